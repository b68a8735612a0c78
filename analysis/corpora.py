"""Real text from Debian packages: translated manual pages and the King James Bible.

Decides what counts as a piece of text and which pieces are held out; tokens are left to `tokenisers.py`.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import itertools
import re
import subprocess
import unicodedata
from pathlib import Path

# Language of the pages as their package names it, in the order of the class indices.
LANGUAGES = ("da", "sv", "nb", "nl", "de", "es", "pt-br", "it", "fr", "pl")
SPLITS = ("train", "test")
HELD_OUT_PAGES = 0.15      # of the names of manual pages, the same in every language
HELD_OUT_CHARACTERS = 0.05  # the end of the Bible, from the first chapter of Colossians on
CHARACTERS = {"train": 1_200_000, "test": 200_000}  # of pages of a language, as they are: more says the same again
WORDS = (3, 6)             # of a piece: fewer say too little, more make it easy

_DPKG = Path("/var/lib/dpkg/info")


class CorpusError(Exception):
    """A corpus cannot be used; the message says which and what to do."""


# ---- the language of a few words --------------------------------------------------------------------------------

def language_pieces(split: str, per_language: int) -> tuple[list[str], list[int]]:
    """Pieces of manual pages, WORDS words each, and their languages, at most `per_language` of each.

    A page is held out in all languages or in none, so what a held-out piece speaks of was not learnt elsewhere. A piece
    found twice is kept once, in the training split if it is in both; one found in two languages is dropped: no
    one could tell. The order mixes languages and pages, and is the same everywhere.
    """
    pieces_of, languages_of = _all_pieces()
    trained = set().union(*pieces_of["train"])
    chosen = []
    for label, pieces in enumerate(pieces_of[split]):
        own = [piece for key, piece in pieces.items()
               if len(languages_of[key]) == 1 and (split == "train" or key not in trained)]
        chosen += [(piece, label) for piece in sorted(own, key=_order)[:per_language]]
    chosen.sort(key=lambda entry: _order(entry[0]))
    return [piece for piece, _ in chosen], [label for _, label in chosen]


@functools.lru_cache
def _all_pieces() -> tuple[dict[str, list[dict[str, str]]], dict[str, set[int]]]:
    """Of each split and language the pieces by their lower case; and the languages of each."""
    languages_of: dict[str, set[int]] = {}
    pieces_of: dict[str, list[dict[str, str]]] = {name: [{} for _ in LANGUAGES] for name in SPLITS}
    for label, language in enumerate(LANGUAGES):
        read = dict.fromkeys(SPLITS, 0)
        for page in sorted(pages_of(language), key=lambda path: (_fraction(_name(path)), path)):
            part = "test" if _fraction(_name(page)) < HELD_OUT_PAGES else "train"
            if read[part] < CHARACTERS[part]:
                source = read_page(page)
                read[part] += len(source)
                for piece in page_pieces(source):
                    languages_of.setdefault(piece.casefold(), set()).add(label)
                    pieces_of[part][label].setdefault(piece.casefold(), piece)
    return pieces_of, languages_of


def page_pieces(source: str) -> list[str]:
    """The runs of plain words of a manual page's prose, cut to WORDS words. Names, options and English are left out."""
    pieces = []
    for paragraph in _paragraphs(source):
        if _has_english(paragraph, _ENGLISH_ALONE, 1):
            continue
        for clause in re.split(r"[^\w\s'’-]", paragraph):
            if _has_english(clause, _ENGLISH, 2 + len(clause.split()) // 6):
                continue
            for is_word, words in itertools.groupby(clause.split(), key=_is_word):
                run = list(words) if is_word else []
                pieces += [" ".join(run[begin: begin + WORDS[1]]) for begin in range(0, len(run) - WORDS[0] + 1, WORDS[1])]
    return pieces


def _is_word(word: str) -> bool:
    """Letters in small type, perhaps with a capital first: LESSOPEN, O_RDONLY and x86 are names."""
    letters = re.sub(r"(?<=\w)[-'’](?=\w)", "", word)
    return letters.isalpha() and letters[1:] == letters[1:].lower()


# Words that give away what nobody translated yet: one of the first set in a paragraph, two of the second in a clause (other
# languages have some of them too).
_ENGLISH_ALONE = {"the", "and", "with", "which", "this", "such", "your", "these", "each", "should", "its", "can", "must", "they",
                  "does", "into", "using", "without", "then", "than", "other", "used", "specified", "where", "between"}
_ENGLISH = {"that", "from", "you", "not", "are", "has", "have", "when", "will", "by", "it", "or", "file", "if", "be", "name",
            "list", "only", "is", "for", "as", "on", "to", "of", "output", "files", "print"}


def _has_english(text: str, words: set[str], count: int) -> bool:
    return len(words.intersection(text.lower().split())) >= count


_BLOCKS = {".nf": ".fi", ".EX": ".EE", ".de": "..", ".ie": ".el", ".TS": ".TE", ".Vb": ".Ve", ".ig": ".."}
_ESCAPES = [(re.compile(pattern), by) for pattern, by in (
    (r"\\\".*", ""), (r"\\f[BI].*?\\f[RP]", " ; "), (r"\\f(\[[^]]*\]|\(..|.)", ""), (r"\\[|&^,/:%]", ""),
    (r"\\[ ~0]", " "), (r"\\-", "-"), (r"\\\((aq|cq)", "'"), (r"\\[s][-+]?\d", ""), (r"\\\(..", " ; "),
    (r"\\\*?\[[^]]*\]|\\\*\(..|\\\*.", " ; "), (r"\\.", ""))]


def _paragraphs(source: str) -> list[str]:
    """Prose of a page: text lines joined between macros, without what is set in bold or italics or as it stands."""
    paragraphs, lines, until = [], [], None
    for line in source.split("\n"):
        if until is not None:
            until = None if line.startswith(until) else until
        elif line[:3] in _BLOCKS:
            until = _BLOCKS[line[:3]]
        elif line.startswith((".B", ".I", ".RB", ".RI", ".SM", ".SB")):
            lines.append(" ; ")  # a name within a sentence
        elif line.startswith((".", "'")) or not line.strip():
            paragraphs.append(" ".join(lines))
            lines = []
        else:
            lines.append(line)
    paragraphs.append(" ".join(lines))
    text = unicodedata.normalize("NFC", "\n".join(paragraphs))
    for pattern, by in _ESCAPES:
        text = pattern.sub(by, text)
    return [paragraph for paragraph in text.split("\n") if paragraph.strip()]


def pages_of(language: str) -> list[Path]:
    package = f"manpages-{language}"
    listing = _DPKG / f"{package}.list"
    if not listing.exists():
        raise CorpusError(f"the Debian package {package} is not installed. Run apt-get install {package}.")
    pages = [Path(line) for line in listing.read_text().splitlines() if re.search(r"/man\d/.*\.gz$", line)]
    pages = [page for page in pages if page.exists()]
    if not pages:
        raise CorpusError(f"the pages of the Debian package {package} are not under /usr/share/man. Remove path-exclude "
                          "from /etc/dpkg/dpkg.cfg.d and install it again.")
    return pages


def read_page(page: Path) -> str:
    with gzip.open(page) as file:
        return file.read().decode(errors="replace")


def _fraction(text: str) -> float:
    """In [0, 1), by the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _name(page: Path) -> str:
    return page.name.split(".")[0]


def _order(piece: str) -> tuple[float, str]:
    return _fraction(piece), piece


# ---- English prose ----------------------------------------------------------------------------------------------

def bible(split: str) -> str:
    """The King James Bible, a verse a line, without its numbers; held out is its end."""
    try:
        ran = subprocess.run(["bible", "-f", "gen1:1-rev22:21"], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise CorpusError("the program bible cannot be run. Run apt-get install bible-kjv bible-kjv-text.") from None
    verses = [line.split(" ", 1)[1].rstrip() for line in ran.stdout.decode("latin-1").splitlines() if " " in line]
    text = "\n".join(verses) + "\n"
    end = text.index("\n", int(len(text) * (1 - HELD_OUT_CHARACTERS))) + 1
    return text[:end] if split == "train" else text[end:]
