#!/usr/bin/env bash
# Train both shipped models from nothing: about an hour on one core. Interrupted, the same command goes
# on from the last epoch.
#   ./train_fashion_vits.sh [FOLDER]
#
# Three stages. First with shifted images; W_Q and W_K start 1.6 times larger than usual, which sharpens the attention:
# sharp attention is what makes a transformer feel write noise, as the published models do. Then without shifts, for the
# last two points of accuracy. Last, variation-aware training of that model.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-../../data}
mkdir -p "$out"
./train_fashion_vit.py standard --out "$out/fashion_vit_stage1.safetensors" --epochs 16 --query-key-gain 1.6 \
    --weight-decay 0 --threads 1
./train_fashion_vit.py standard --from "$out/fashion_vit_stage1.safetensors" --out "$out/fashion_vit.safetensors" \
    --epochs 12 --learning-rate 5e-4 --shift 0 --weight-decay 0 --threads 1
./train_fashion_vit.py vat --from "$out/fashion_vit.safetensors" --out "$out/fashion_vit_vat.safetensors" \
    --epochs 4 --learning-rate 3e-4 --gamma 3 7 --shift 0 --weight-decay 0 --threads 1
rm -f "$out/fashion_vit_stage1.safetensors"
