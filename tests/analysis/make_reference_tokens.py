#!/usr/bin/python3
"""Write reference_tokens.json: what Hugging Face's tokenizers (in Rust, from npm) make of many texts.

    npm install --ignore-scripts tokenizers@0.23.2       in a folder of its own
    make_reference_tokens.py FOLDER

Debian's python3-torchtext 0.14.1 would be the natural reference, but its extension modules are empty there.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parents[1] / "analysis"), str(_HERE.parents[1] / "analysis" / "training"), str(_HERE)]

import tokenisers
import wordpiece_vocabulary
from texts_in_many_languages import PAIRS, TEXTS, digest, manual_page_lines

_PROGRAM = """
const {Tokenizer} = require('tokenizers'), {readFileSync} = require('fs');
const {tokenizer, texts, special} = JSON.parse(readFileSync(0));
const reference = Tokenizer.fromString(JSON.stringify(tokenizer));
Promise.all(texts.map(([a, b]) => reference.encode(a, b === undefined ? null : b, {addSpecialTokens: special})))
    .then(found => process.stdout.write(JSON.stringify(found.map(e => [e.getIds(), e.getTypeIds()]))));
"""
_COMMON = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
           "post_processor": None, "decoder": None}


def ask(folder: Path, tokenizer: dict, texts: list, special: bool = False) -> list:
    query = json.dumps({"tokenizer": _COMMON | tokenizer, "texts": texts, "special": special})
    ran = subprocess.run(["node", "-e", _PROGRAM], input=query, capture_output=True, text=True, check=True, cwd=folder)
    return json.loads(ran.stdout)


def wordpiece(pieces: list[str], lower_case: bool) -> dict:
    return {"normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                           "lowercase": lower_case},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", pieces.index("[SEP]")],
                               "cls": ["[CLS]", pieces.index("[CLS]")]},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": {piece: place for place, piece in enumerate(pieces)}}}


def byte_pairs(ids: dict[str, int], merges: list[str]) -> dict:
    return {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                      "end_of_word_suffix": "", "fuse_unk": False, "vocab": ids, "merges": merges}}


def learn_merges(texts: list[str], count: int) -> tuple[dict[str, int], list[str]]:
    characters = tokenisers._byte_characters()
    counts = Counter("".join(characters[byte] for byte in word.encode())
                     for text in texts for word in tokenisers.split_like_gpt2(text))
    words, ids, merges = [(list(word), counts[word]) for word in sorted(counts)], {}, []
    ids = {character: number for number, character in enumerate(characters)}
    for _ in range(count):
        pairs: Counter = Counter()
        for word, times in words:
            for pair in zip(word, word[1:]):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(" ".join(best))
        ids["".join(best)] = len(ids)
        for word, _ in words:
            for place in range(len(word) - 1):
                if tuple(word[place: place + 2]) == best:
                    word[place: place + 2] = ["".join(best)]
    return ids, merges


def main() -> None:
    folder, lines = Path(sys.argv[1]), manual_page_lines()
    texts, many = [[text] for text in TEXTS], [[line] for line in lines]
    out: dict = {"made_with": "npm tokenizers 0.23.2", "lines": digest(lines)}
    for name, lower_case in (("uncased", True), ("cased", False)):
        pieces = wordpiece_vocabulary.learn(lines + TEXTS, 1500, lower_case, rarest=1)
        reference = wordpiece(pieces, lower_case)
        out[name] = {"pieces": pieces, "tokens": [ids for ids, _ in ask(folder, reference, texts)],
                     "pairs": ask(folder, reference, PAIRS, special=True),
                     "lines": digest([ids for ids, _ in ask(folder, reference, many)])}
    ids, merges = learn_merges(lines[::5] + TEXTS, 300)
    reference = byte_pairs(ids, merges)
    out["byte_pairs"] = {"ids": ids, "merges": merges, "tokens": [ids for ids, _ in ask(folder, reference, texts)],
                         "lines": digest([ids for ids, _ in ask(folder, reference, many)])}
    (_HERE / "reference_tokens.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
