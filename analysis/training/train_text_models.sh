#!/usr/bin/env bash
# Train both shipped text models from nothing: about 25 minutes on one core that does nothing else. Interrupted, the same
# command goes on from the last round. The text comes from the packages of jobs/text_packages.txt.
#   ./train_text_models.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-../../data}
mkdir -p "$out"
./train_text.py bert --out "$out/language_bert.safetensors" --rounds 10 --steps 300
./train_text.py gpt2 --out "$out/character_gpt.safetensors" --rounds 12 --steps 500
