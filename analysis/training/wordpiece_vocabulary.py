"""Learn a WordPiece vocabulary from texts: the same texts give the same pieces."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from typing import Iterable

from tokenisers import CLASSIFY, PADDING, SEPARATE, UNKNOWN, split_words

SPECIAL = [PADDING, UNKNOWN, CLASSIFY, SEPARATE, "[MASK]"]


def learn(texts: Iterable[str], size: int, lower_case: bool = True, rarest: int = 3) -> list[str]:
    """At most `size` pieces: BERT's special ones, the characters, then merges of the most frequent neighbours.

    Characters and pairs seen fewer than `rarest` times are left out. Of pairs as frequent, the first in the alphabet goes
    first.
    """
    counts = Counter(word for text in texts for word in split_words(text, lower_case))
    words = sorted(counts)
    parts = [[word[0], *("##" + character for character in word[1:])] for word in words]
    characters: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    holders: dict[tuple[str, str], set[int]] = defaultdict(set)  # words that hold, or once held, the pair
    for index, word in enumerate(words):
        for part in parts[index]:
            characters[part] += counts[word]
        for pair in zip(parts[index], parts[index][1:]):
            pairs[pair] += counts[word]
            holders[pair].add(index)

    pieces = SPECIAL + sorted(part for part, count in characters.items() if count >= rarest)
    known = set(pieces)
    waiting = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(waiting)
    while waiting and len(pieces) < size:
        count, pair = heapq.heappop(waiting)
        if -count != pairs[pair]:
            continue  # changed since; it was pushed again with its new count
        if -count < rarest:
            break
        merged = pair[0] + pair[1].removeprefix("##")
        if merged not in known:
            known.add(merged)
            pieces.append(merged)
        changed = set()
        for index in sorted(holders.pop(pair)):
            changed |= _merge(parts[index], pair, merged, counts[words[index]], pairs, holders, index)
        for other in changed:
            if pairs[other] > 0:
                heapq.heappush(waiting, (-pairs[other], other))
    return pieces


def _merge(word: list[str], pair: tuple[str, str], merged: str, count: int, pairs: Counter, holders: dict, index: int) -> set:
    """Join `pair` wherever it stands in `word`, in place; the pairs whose counts changed."""
    before = Counter(zip(word, word[1:]))
    place = 0
    while place < len(word) - 1:
        if (word[place], word[place + 1]) == pair:
            word[place: place + 2] = [merged]
        place += 1
    after = Counter(zip(word, word[1:]))
    changed = {other for other in before | after if before[other] != after[other]}
    for other in changed:
        pairs[other] += count * (after[other] - before[other])
        if after[other]:
            holders[other].add(index)
    return changed
