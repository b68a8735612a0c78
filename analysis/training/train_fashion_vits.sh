#!/usr/bin/env bash
# Train all shipped vision models from nothing: about an hour and a half on one core. Interrupted, the same command
# goes on from the last epoch; a model whose file is there is not trained again.
#   ./train_fashion_vits.sh [FOLDER]        (default: runs/training of the repository; the shipped files stay)
#
# ViT in two stages: first with shifted images, then without shifts, for the last two points of accuracy. W_Q and W_K
# start 1.6 times larger than usual, which sharpens the attention: sharp attention is what makes a transformer feel
# write noise, as the published models do. LV-ViT starts in the same way; its convolutions learn faster, so one stage is
# enough. Sparse ViT adds token selection to the ViT. Last, variation-aware training of each.
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-../../runs/training}
mkdir -p "$out"

train() { # train MODE NAME OPTIONS...
    local mode=$1 file="$out/$2.safetensors"
    shift 2
    [ -f "$file" ] || ./train_fashion_vit.py "$mode" --out "$file" "$@" --weight-decay 0 --threads 1
}

train_with_variations() { # train_with_variations NAME EPOCHS
    train vat "$1_vat" --from "$out/$1.safetensors" --epochs "$2" --learning-rate 3e-4 --gamma 3 7 --shift 0
}

[ -f "$out/fashion_vit.safetensors" ] || train standard fashion_vit_stage1 --epochs 16 --query-key-gain 1.6
train standard fashion_vit --from "$out/fashion_vit_stage1.safetensors" --epochs 12 --learning-rate 5e-4 --shift 0
train standard fashion_lv_vit --family lv_vit --epochs 10 --query-key-gain 1.6 --shift 1
train standard fashion_sparse_vit --family sparse_vit --from "$out/fashion_vit.safetensors" --epochs 5 \
    --learning-rate 5e-4 --shift 0
train_with_variations fashion_vit 4
train_with_variations fashion_lv_vit 2
train_with_variations fashion_sparse_vit 4
rm -f "$out/fashion_vit_stage1.safetensors"
