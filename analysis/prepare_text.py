#!/usr/bin/python3
"""Turn text into the HDF5 data set of tokens that crossweep reads.

    prepare_text.py reviews.tsv reviews.h5 --vocabulary vocab.txt --length 128            lines of CLASS<TAB>TEXT
    prepare_text.py book.txt book.h5 --vocabulary vocab.json --merges merges.txt          GPT-2: text cut into windows
    prepare_text.py book.txt book.h5 --characters characters.txt --length 128             the same, by characters
    prepare_text.py language language.h5 --vocabulary data/language_bert.vocab.txt --length 32       held-out text of
    prepare_text.py bible bible.h5 --characters data/character_gpt.vocab.txt --length 128            shipped models

`language` and `bible` are read from Debian's packages (jobs/text_packages.txt). In a TSV, a third column is a second
text, as BERT's pairs are. Windows that are not full are left out.

The file holds `tokens` int32 [n, length] (0 behind the end), `mask` uint8 [n, length] (1: a token), `segments` uint8
[n, length] if there are pairs, and to classify `labels` int32 [n] with the attribute `classes`. Attributes of `tokens`:
`task` ("classification" or "language_model"), `tokeniser`, `vocabulary` (its size), `characters_per_token` (on average
over the tokens to be told). Exit codes: 0 done, 2 usage, 4 text or vocabulary cannot be used.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "training"))

import corpora
import safetensors_file
from tokenisers import BytePairs, Characters, TokenError, WordPiece

# Where models keep the token embedding, [vocabulary, width]; and the embedding of places, [length, width].
_TOKEN_EMBEDDINGS = ("bert.embeddings.word_embeddings.weight", "embeddings.word_embeddings.weight", "wte.weight",
                     "transformer.wte.weight")
_PLACE_EMBEDDINGS = ("bert.embeddings.position_embeddings.weight", "embeddings.position_embeddings.weight", "wpe.weight",
                     "transformer.wpe.weight")


class DataError(Exception):
    """Text or labels cannot be used; the message says which and what to do."""


@dataclass
class Text:
    """What one row is made of; `place` says where it was found."""

    place: str
    first: str
    second: str | None = None
    label: int = 0


@dataclass
class TokenSet:
    rows: list[list[int]] = field(default_factory=list)
    segments: list[list[int]] = field(default_factory=list)
    labels: list[int] | None = None
    classes: list[str] = field(default_factory=list)
    characters_per_token: float = 1.0
    source: str = ""


# ---- classification ---------------------------------------------------------------------------------------------

def read_tsv(path: Path, classes: list[str] | None) -> tuple[list[Text], list[str]]:
    """Lines of CLASS<TAB>TEXT[<TAB>TEXT]; classes are numbered as in `classes`, else in alphabetical order."""
    texts, names = [], []
    for number, line in enumerate(_read(path).split("\n"), 1):
        if not line.strip():
            continue
        columns = line.rstrip("\r").split("\t")
        if len(columns) not in (2, 3):
            raise DataError(f"{path}:{number}: {len(columns)} columns, not CLASS<TAB>TEXT. Put a tab between the class and its "
                            "text.")
        if not all(column.strip() for column in columns):
            raise DataError(f"{path}:{number}: a text or its class is empty. Remove the line.")
        if classes is not None and columns[0] not in classes:
            raise DataError(f'{path}:{number}: the class "{columns[0]}" is not one of --classes. Add it in its place.')
        names.append(columns[0])
        texts.append(Text(f"{path}:{number}", *columns[1:]))
    if not texts:
        raise DataError(f"{path} holds no text. Give lines of CLASS<TAB>TEXT.")
    classes = classes or sorted(set(names))
    for text, name in zip(texts, names):
        text.label = classes.index(name)
    return texts, classes


def classified(texts: list[Text], classes: list[str], tokeniser: WordPiece, length: int, truncate: bool) -> TokenSet:
    tokens = TokenSet(labels=[], classes=classes)
    for text in texts:
        row, segments = tokeniser.encode_pair(text.first, text.second, length if truncate else None)
        if len(row) == 2 + (text.second is not None):
            raise DataError(f"{text.place}: the text is empty once control characters are left out. Remove the line.")
        if len(row) > length:
            raise DataError(f"{text.place}: {len(row)} tokens with [CLS] and [SEP] are more than --length {length}. Shorten "
                            "the text or give --truncate.")
        tokens.rows.append(row)
        tokens.segments.append(segments)
        tokens.labels.append(text.label)
    return tokens


# ---- language models --------------------------------------------------------------------------------------------

def windows(text: str, place: str, tokeniser: Characters | BytePairs, length: int, count: int | None = None) -> TokenSet:
    """`text` cut into windows of `length` tokens, the first `count`; what is left at the end is dropped."""
    if not text.strip():
        raise DataError(f"{place} holds no text. Give a file of prose.")
    try:
        tokens = tokeniser.encode(text)
    except TokenError as error:
        raise DataError(f"{place}: {error}") from None
    if len(tokens) < length:
        raise DataError(f"{place}: {len(tokens)} tokens do not fill a window of {length}. Give more text or a smaller "
                        "--length.")
    rows = [tokens[begin: begin + length] for begin in range(0, len(tokens) - length + 1, length)][:count]
    told = sum(tokeniser.characters(row[1:]) for row in rows)
    return TokenSet(rows, [[0] * length for _ in rows], characters_per_token=told / (len(rows) * (length - 1)))


# ---- reading and writing ----------------------------------------------------------------------------------------

def _read(path: Path) -> str:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}). Give text in UTF-8.") from None


def read_tokens(options: argparse.Namespace) -> tuple[TokenSet, WordPiece | BytePairs | Characters]:
    """All of the source as tokens, and what made them. Throws DataError, CorpusError and TokenError."""
    is_corpus = options.source in ("language", "bible") and not Path(options.source).exists()
    if options.vocabulary is None:
        tokeniser = Characters.load(options.characters)
    elif options.merges:
        tokeniser = BytePairs.load(options.vocabulary, options.merges)
    else:
        tokeniser = WordPiece.load(options.vocabulary, not options.cased)
    if options.weights is not None:
        check_weights(options.weights, tokeniser, options.length)
    if not isinstance(tokeniser, WordPiece):
        if options.source == "language" and is_corpus:
            raise DataError("the corpus language is to be classified. Give a --vocabulary of WordPiece, vocab.txt.")
        text = corpora.bible("test") if is_corpus else _read(Path(options.source))
        tokens = windows(text, options.source, tokeniser, options.length, options.count)
    else:
        if options.source == "bible" and is_corpus:
            raise DataError("the corpus bible is not in classes. Give --characters, or --vocabulary with --merges.")
        if is_corpus:
            pieces, labels = corpora.language_pieces("test", options.per_class)
            texts = [Text(f'language: "{piece}"', piece, label=label) for piece, label in zip(pieces, labels)]
            classes = list(corpora.LANGUAGES)
        else:
            named = options.classes and [line.strip() for line in _read(options.classes).splitlines() if line.strip()]
            texts, classes = read_tsv(Path(options.source), named)
        tokens = classified(texts, classes, tokeniser, options.length, options.truncate)
    tokens.source = options.source
    return tokens, tokeniser


def check_weights(path: Path, tokeniser: WordPiece | BytePairs | Characters, length: int) -> None:
    """Throws DataError unless the model at `path` has these tokens and takes texts as long."""
    try:
        shapes, metadata = safetensors_file.shapes(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not safetensors ({error}). Give the weights of a BERT or a GPT-2.") from None
    embedding = next((shapes[name] for name in _TOKEN_EMBEDDINGS if name in shapes), None)
    places = next((shapes[name] for name in _PLACE_EMBEDDINGS if name in shapes), None)
    if embedding is None or places is None:
        raise DataError(f"{path} has no embedding of tokens and places. Give the weights of a BERT or a GPT-2.")
    if embedding[0] != len(tokeniser):
        raise DataError(f"{path} embeds {embedding[0]} tokens, the vocabulary has {len(tokeniser)}. Give the vocabulary that was "
                        "published with the weights.")
    if places[0] < length:
        raise DataError(f"{path} takes at most {places[0]} tokens, not --length {length}. Give a smaller --length.")
    if metadata.get("tokeniser", tokeniser.name) != tokeniser.name:
        raise DataError(f"{path} was trained on {metadata['tokeniser']}, not on {tokeniser.name}. Change --cased, "
                        "--vocabulary or --characters.")


def write_tokens(out: Path, tokens: TokenSet, tokeniser: WordPiece | BytePairs | Characters, length: int) -> None:
    """Through a temporary file and a rename."""
    matrix, mask, segments = (np.zeros((len(tokens.rows), length), kind) for kind in (np.int32, np.uint8, np.uint8))
    for index, row in enumerate(tokens.rows):
        matrix[index, : len(row)], mask[index, : len(row)], segments[index, : len(row)] = row, 1, tokens.segments[index]
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".tmp")
    try:
        with h5py.File(temporary, "w") as file:
            file["tokens"], file["mask"] = matrix, mask
            if segments.any():
                file["segments"] = segments
            if tokens.labels is not None:
                file["labels"] = np.array(tokens.labels, np.int32)
                file["labels"].attrs.create("classes", tokens.classes, dtype=h5py.string_dtype())
            file["tokens"].attrs.update({
                "task": "language_model" if tokens.labels is None else "classification", "tokeniser": tokeniser.name,
                "vocabulary": len(tokeniser), "characters_per_token": tokens.characters_per_token})
            file.attrs["source"] = tokens.source
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SOURCE", help="TSV to classify, text for a language model, language or bible")
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="file to write")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--vocabulary", type=Path, metavar="FILE", help="vocab.txt of WordPiece, or vocab.json of byte pairs")
    kind.add_argument("--characters", type=Path, metavar="FILE", help="one character a line, \\n for the end of a line")
    parser.add_argument("--merges", type=Path, metavar="FILE", help="merges.txt of byte pairs")
    parser.add_argument("--cased", action="store_true", help="WordPiece keeps capitals and accents")
    parser.add_argument("--length", type=int, default=128, metavar="TOKENS", help="of a row (default: %(default)s)")
    parser.add_argument("--truncate", action="store_true", help="cut what is longer instead of refusing it")
    parser.add_argument("--classes", type=Path, metavar="FILE",
                        help="class names in the order of the model's outputs, one a line (default: sorted by name)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors that the tokens are for: checks the sizes")
    parser.add_argument("--count", type=int, metavar="N", help="the first N rows")
    parser.add_argument("--per-class", type=int, default=250, metavar="N", help="of language (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.length < 3:
        parser.error(f"--length {options.length} leaves no room for a token beside [CLS] and [SEP].")
    if options.merges and not options.vocabulary:
        parser.error("--merges goes with the --vocabulary of byte pairs, vocab.json.")
    for name in ("count", "per_class"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            parser.error(f"--{name.replace('_', '-')} {getattr(options, name)} is not a positive number.")
    return options


def main(arguments: list[str] | None = None) -> int:
    try:
        options = parse(arguments)
    except SystemExit as error:
        return error.code
    try:
        tokens, tokeniser = read_tokens(options)
        if options.count is not None:
            for rows in (tokens.rows, tokens.segments, tokens.labels or []):
                del rows[options.count:]
        write_tokens(options.out, tokens, tokeniser, options.length)
    except (DataError, corpora.CorpusError, TokenError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    what = "to go on with" if tokens.labels is None else f"in {len(tokens.classes)} classes"
    print(f"{options.out}: {len(tokens.rows)} texts of up to {options.length} tokens {what}, {tokeniser.name}, vocabulary of "
          f"{len(tokeniser)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
