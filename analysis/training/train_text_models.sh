#!/usr/bin/env bash
# Train both shipped text models from nothing into FOLDER (runs/training of the repository; the shipped files stay), in
# less than an hour. Interrupted, the same command goes on from the last round. The text comes from the packages of jobs/text_packages.txt.
#   ./train_text_models.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-../../runs/training}
mkdir -p "$out"
[ -f "$out/language_bert.safetensors" ] || ./train_text.py bert --out "$out/language_bert.safetensors" --rounds 10 --steps 300
[ -f "$out/character_gpt.safetensors" ] || ./train_text.py gpt2 --out "$out/character_gpt.safetensors" --rounds 12 --steps 500
