"""Text to token numbers: BERT's WordPiece, GPT-2's byte pairs, and plain characters.

Decides nothing about data sets; `prepare_text.py` reads text and writes tokens. All read the vocabulary files that
checkpoints are published with: vocab.txt (a piece a line), vocab.json with merges.txt, and for characters a file with
one a line, where \\n, \\r, \\t and \\\\ are written as escapes.
"""

from __future__ import annotations

import functools
import json
import unicodedata
from pathlib import Path
from typing import Iterator

CLASSIFY, SEPARATE, UNKNOWN, PADDING = "[CLS]", "[SEP]", "[UNK]", "[PAD]"
LONGEST_WORD = 100  # characters; a longer word is [UNK], as in BERT


class TokenError(Exception):
    """A vocabulary or a text cannot be used; the message says why and what to do."""


# ---- WordPiece (Devlin et al., arXiv 1810.04805, and the tokenizer published with it) ---------------------------------

class WordPiece:
    """Greedy longest match within words; pieces that go on a word begin with ##."""

    def __init__(self, pieces: list[str], lower_case: bool = True, source: str = "the vocabulary"):
        self.name = "wordpiece uncased" if lower_case else "wordpiece cased"
        self._lower_case = lower_case
        self.pieces = pieces
        self._id = numbered(pieces, source)
        for special in (CLASSIFY, SEPARATE, UNKNOWN):
            if special not in self._id:
                raise TokenError(f"{source} has no {special}. Give the vocab.txt that was published with the weights.")
        self.unknown = self._id[UNKNOWN]
        # WordPiece can end no word with a longer piece than this.
        self._longest = max(map(len, pieces))

    @classmethod
    def load(cls, path: Path, lower_case: bool = True) -> WordPiece:
        return cls(_lines(path), lower_case, str(path))

    def __len__(self) -> int:
        return len(self.pieces)

    def encode(self, text: str) -> list[int]:
        """Tokens of `text` alone, without [CLS] and [SEP]."""
        return [piece for word in split_words(text, self._lower_case) for piece in self._pieces_of(word)]

    def encode_pair(self, first: str, second: str | None = None, length: int | None = None) -> tuple[list[int], list[int]]:
        """([CLS] first [SEP] second [SEP], segment of each token: 0, then 1 from `second` on). With `length`, the ends of
        the longer text are cut until that many tokens are left, as BERT's own preparation of pairs does."""
        texts = [self.encode(text) for text in (first, second) if text is not None]
        while length is not None and sum(map(len, texts)) + len(texts) + 1 > length:
            max(reversed(texts), key=len).pop()
        tokens, segments = [self._id[CLASSIFY]], [0]
        for segment, text in enumerate(texts):
            tokens += [*text, self._id[SEPARATE]]
            segments += [segment] * (len(text) + 1)
        return tokens, segments

    @functools.lru_cache(maxsize=100_000)
    def _pieces_of(self, word: str) -> tuple[int, ...]:
        if len(word) > LONGEST_WORD:
            return (self.unknown,)
        found, begin = [], 0
        while begin < len(word):
            for end in range(min(len(word), begin + self._longest), begin, -1):
                piece = ("##" if begin else "") + word[begin:end]
                if piece in self._id:
                    found.append(self._id[piece])
                    begin = end
                    break
            else:
                return (self.unknown,)
        return tuple(found)


def split_words(text: str, lower_case: bool) -> Iterator[str]:
    """BERT's basic tokenizer: words at white space, every punctuation mark and every Chinese character apart."""
    spaced = "".join(_spaced(text))
    for word in spaced.split():
        if lower_case:
            word = "".join(c for c in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(c) != "Mn")
        yield from _split_punctuation(word)


def _spaced(text: str) -> Iterator[str]:
    """Control, format and private characters dropped, white space made plain, Chinese characters set apart."""
    for character in text:
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            yield " "
        elif character == "�" or unicodedata.category(character) in ("Cc", "Cf", "Co"):
            continue
        elif _is_chinese(ord(character)):
            yield f" {character} "
        else:
            yield character


def _split_punctuation(word: str) -> Iterator[str]:
    begin = 0
    for place, character in enumerate(word):
        if _is_punctuation(character):
            if begin < place:
                yield word[begin:place]
            yield character
            begin = place + 1
    if begin < len(word):
        yield word[begin:]


def _is_punctuation(character: str) -> bool:
    """Unicode's, and all of ASCII that is neither letter nor digit: $, + and ^ too."""
    return "!" <= character <= "~" and not character.isalnum() or unicodedata.category(character).startswith("P")


# Blocks of CJK ideographs; Hangul, Hiragana and Katakana are written with spaces or as words and stay together.
_CHINESE = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
            (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def _is_chinese(code: int) -> bool:
    return code >= 0x3400 and any(first <= code <= last for first, last in _CHINESE)


# ---- byte pairs (Radford et al. 2019, GPT-2) --------------------------------------------------------------------------

class BytePairs:
    """GPT-2's: UTF-8 bytes as printable characters, merged within words in the order of merges.txt. No text is unknown."""

    name = "gpt2 byte pairs"

    def __init__(self, ids: dict[str, int], merges: list[tuple[str, str]], source: str = "the vocabulary"):
        self._id = ids
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        missing = [c for c in _byte_characters() if c not in ids] or [a + b for a, b in merges if a + b not in ids]
        if missing:
            raise TokenError(f"{source} has no token {missing[0]}. Give the vocab.json and the merges.txt that were "
                             "published together.")
        later = set(_byte_characters()[0x80:0xC0])  # bytes that go on a character in UTF-8
        self._begins = {number: sum(c not in later for c in token) for token, number in ids.items()}

    @classmethod
    def load(cls, vocabulary: Path, merges: Path) -> BytePairs:
        try:
            ids = json.loads(_read(vocabulary))
        except json.JSONDecodeError as error:
            raise TokenError(f"{vocabulary}:{error.lineno}: not JSON ({error.msg}). Give GPT-2's vocab.json.") from None
        if not isinstance(ids, dict) or not all(isinstance(number, int) for number in ids.values()):
            raise TokenError(f"{vocabulary} does not map tokens to numbers. Give GPT-2's vocab.json.")
        pairs = []
        for number, line in enumerate(_read(merges).split("\n"), 1):
            if line and not (number == 1 and line.startswith("#version")):
                pair = tuple(line.split(" "))
                if len(pair) != 2:
                    raise TokenError(f'{merges}:{number}: "{line}" is not a pair of tokens. Give GPT-2\'s merges.txt.')
                pairs.append(pair)
        return cls(ids, pairs, str(vocabulary))

    def __len__(self) -> int:
        return max(self._id.values()) + 1

    def encode(self, text: str) -> list[int]:
        characters = _byte_characters()
        return [self._id[token] for word in split_like_gpt2(text)
                for token in self._merge("".join(characters[byte] for byte in word.encode()))]

    def characters(self, tokens: list[int]) -> int:
        """That begin in these tokens: a character of several bytes may be cut."""
        return sum(self._begins[token] for token in tokens)

    @functools.lru_cache(maxsize=100_000)
    def _merge(self, word: str) -> tuple[str, ...]:
        parts = list(word)
        while len(parts) > 1:
            pair = min(zip(parts, parts[1:]), key=lambda p: self._rank.get(p, len(self._rank)))
            if pair not in self._rank:
                break
            merged, place = [], 0
            while place < len(parts):
                both = tuple(parts[place: place + 2]) == pair
                merged.append("".join(parts[place: place + 1 + both]))
                place += 1 + both
            parts = merged
        return tuple(parts)


@functools.lru_cache
def _byte_characters() -> tuple[str, ...]:
    """The character that stands for each byte: itself if it is printable in Latin-1, else one from U+0100 on."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def split_like_gpt2(text: str) -> Iterator[str]:
    r"""What 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ finds, in turn.

    Written out, since Python's own expressions do not know \p{L}.
    """
    kinds = [_kind(character) for character in text] + ["end"]
    place = 0
    while place < len(text):
        begin = place
        contraction = next((c for c in _CONTRACTIONS if text.startswith(c, place)), None)
        if contraction:
            place += len(contraction)
        else:
            if text[place] == " " and kinds[place + 1] not in ("space", "end"):
                place += 1
            kind = kinds[place]
            while kinds[place] == kind:
                place += 1
            # The last of several blanks belongs to the word after it.
            if kind == "space" and kinds[place] != "end" and place - begin > 1:
                place -= 1
        yield text[begin:place]


def _kind(character: str) -> str:
    major = unicodedata.category(character)[0]
    # str.isspace also counts U+001C to U+001F, which regular expressions for Unicode do not.
    if character.isspace() and not "\x1c" <= character <= "\x1f":
        return "space"
    return {"L": "letter", "N": "number"}.get(major, "other")


# ---- characters -------------------------------------------------------------------------------------------------------

class Characters:
    """One token per character; a character outside the vocabulary is <unk> if there is one, else an error."""

    name = "characters"
    _ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}

    def __init__(self, characters: list[str], source: str = "the vocabulary"):
        self._characters = characters
        self._source = source
        self._id = numbered(characters, source)

    @classmethod
    def load(cls, path: Path) -> Characters:
        plain = {escape: character for character, escape in cls._ESCAPES.items()}
        characters = [plain.get(line, line) for line in _lines(path)]
        for number, character in enumerate(characters, 1):
            if len(character) != 1 and character != "<unk>":
                raise TokenError(f'{path}:{number}: "{character}" is not one character. Write one a line, \\n for the '
                                 "end of a line.")
        return cls(characters, str(path))

    @classmethod
    def of(cls, text: str) -> Characters:
        return cls(sorted(set(text)))

    def save(self, path: Path) -> None:
        path.write_text("".join(self._ESCAPES.get(c, c) + "\n" for c in self._characters), encoding="utf-8", newline="\n")

    def __len__(self) -> int:
        return len(self._characters)

    def encode(self, text: str) -> list[int]:
        unknown = self._id.get("<unk>")
        found = [self._id.get(character, unknown) for character in text]
        if None in found:
            place = found.index(None)
            line = text.count("\n", 0, place) + 1
            raise TokenError(f'line {line}: the character "{text[place]}" (U+{ord(text[place]):04X}) is not in '
                             f"{self._source}. Remove it, or add <unk> to a vocabulary that a model is trained with.")
        return found

    def characters(self, tokens: list[int]) -> int:
        return len(tokens)

    def decode(self, tokens: list[int]) -> str:
        return "".join(self._characters[token] for token in tokens)


# ---- vocabulary files -------------------------------------------------------------------------------------------------

def numbered(tokens: list[str], source: str) -> dict[str, int]:
    """The place of each token. Throws TokenError if there is none or one comes twice."""
    ids: dict[str, int] = {}
    for number, token in enumerate(tokens):
        if ids.setdefault(token, number) != number:
            raise TokenError(f'{source}:{number + 1}: "{token}" is also in line {ids[token] + 1}. Remove one, if the '
                             "weights belong to a vocabulary without it.")
    if not ids:
        raise TokenError(f"{source} is empty. Give a file with one token a line.")
    return ids


def _lines(path: Path) -> list[str]:
    lines = _read(path).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _read(path: Path) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read().replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise TokenError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
