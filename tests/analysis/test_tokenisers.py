"""Tokenisers against known answers and against Hugging Face's own, and the learner of WordPiece vocabularies."""

import json
from pathlib import Path

import pytest

import corpora
import wordpiece_vocabulary
from texts_in_many_languages import PAIRS, TEXTS, digest, manual_page_lines
from tokenisers import BytePairs, Characters, TokenError, WordPiece, split_like_gpt2, split_words

REFERENCE = json.loads((Path(__file__).parent / "reference_tokens.json").read_text())
# The vocabulary of the test that was published with BERT (google-research/bert, tokenization_test.py).
PUBLISHED = ["[UNK]", "[CLS]", "[SEP]", "want", "##want", "##ed", "wa", "un", "runn", "##ing", ","]


def reference_tokeniser(name: str):
    if name == "byte_pairs":
        merges = [tuple(pair.split(" ")) for pair in REFERENCE[name]["merges"]]
        return BytePairs(REFERENCE[name]["ids"], merges)
    return WordPiece(REFERENCE[name]["pieces"], lower_case=name == "uncased")


# ---- against Hugging Face's -------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["uncased", "cased", "byte_pairs"])
def test_hard_texts_in_many_languages_become_the_tokens_of_the_reference(name):
    tokeniser = reference_tokeniser(name)
    for text, tokens in zip(TEXTS, REFERENCE[name]["tokens"], strict=True):
        assert tokeniser.encode(text) == tokens, ascii(text)


@pytest.mark.parametrize("name", ["uncased", "cased"])
def test_pairs_become_the_tokens_and_segments_of_the_reference(name):
    tokeniser = reference_tokeniser(name)
    for pair, expected in zip(PAIRS, REFERENCE[name]["pairs"], strict=True):
        assert list(tokeniser.encode_pair(*pair)) == expected


@pytest.fixture(scope="module")
def lines():
    try:
        found = manual_page_lines()
    except corpora.CorpusError as error:
        pytest.skip(str(error))
    if digest(found) != REFERENCE["lines"]:
        pytest.skip("the manual pages changed since make_reference_tokens.py read them")
    return found


@pytest.mark.parametrize("name", ["uncased", "cased", "byte_pairs"])
def test_thousands_of_lines_of_manual_pages_become_the_tokens_of_the_reference(name, lines):
    tokeniser = reference_tokeniser(name)
    assert len(lines) > 5000
    assert digest([tokeniser.encode(line) for line in lines]) == REFERENCE[name]["lines"]


# ---- WordPiece --------------------------------------------------------------------------------------------------

def words_of(tokeniser: WordPiece, text: str) -> list[str]:
    return [tokeniser.pieces[token] for token in tokeniser.encode(text)]


@pytest.mark.parametrize("text, pieces", [
    ("", []), ("unwanted running", ["un", "##want", "##ed", "runn", "##ing"]), ("unwantedX running", ["[UNK]", "runn", "##ing"]),
    ("UNwant\u00E9d,running", ["un", "##want", "##ed", ",", "runn", "##ing"])])
def test_the_published_example_of_bert(text, pieces):
    assert words_of(WordPiece(PUBLISHED), text) == pieces


@pytest.mark.parametrize("lower_case, text, words", [
    (True, " \tHeLLo!how  \n Are yoU?  ", ["hello", "!", "how", "are", "you", "?"]), (True, "H\u00E9llo", ["hello"]),
    (False, " \tHeLLo!how  \n Are yoU?  ", ["HeLLo", "!", "how", "Are", "yoU", "?"]), (False, "H\u00E9llo", ["H\u00E9llo"]),
    (True, "ah\u535A\u63A8zz", ["ah", "\u535A", "\u63A8", "zz"]), (True, "$5^2", ["$", "5", "^", "2"]),
    (True, "a\x00b\u200dc\ufffdd\x7fe", ["abcde"])])
def test_words_are_split_as_berts(lower_case, text, words):
    assert list(split_words(text, lower_case)) == words


def test_a_greek_word_ends_in_its_own_sigma():
    """As in the Python that BERT was trained with; the reference in Rust lowers each character by itself."""
    assert list(split_words("ΣΊΣΥΦΟΣ ΣΑΣ", True)) == ["σισυφος", "σας"]


def test_a_word_of_100_characters_is_read_and_of_101_is_not():
    tokeniser = WordPiece(["[UNK]", "[CLS]", "[SEP]", "a", "##a"])
    assert tokeniser.encode("a" * 100) == [3] + [4] * 99 and tokeniser.encode("a" * 101) == [0]


def test_a_pair_is_two_segments():
    tokens, segments = WordPiece(PUBLISHED).encode_pair("want", "running")
    assert (tokens, segments) == ([1, 3, 2, 8, 9, 2], [0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("special", ["[CLS]", "[SEP]", "[UNK]"])
def test_a_vocabulary_without_a_special_token_is_refused(tmp_path, special):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(piece + "\n" for piece in PUBLISHED if piece != special))
    with pytest.raises(TokenError, match=rf"vocab.txt has no \[{special[1:-1]}\]. Give the vocab.txt"):
        WordPiece.load(path)


def test_bad_vocabulary_files_are_refused(tmp_path):
    for text, words in ((b"", "is empty"), (b"[UNK]\na\na\n", 'vocab.txt:3: "a" is also in line 2'), (b"\xff", "cannot be read")):
        (tmp_path / "vocab.txt").write_bytes(text)
        with pytest.raises(TokenError, match=words):
            WordPiece.load(tmp_path / "vocab.txt")
    with pytest.raises(TokenError, match="none.txt cannot be read \\(No such file"):
        WordPiece.load(tmp_path / "none.txt")


def test_the_learner_merges_the_most_frequent_neighbours_first():
    pieces = wordpiece_vocabulary.learn(["low low low lower lowest newest newest"], 200, rarest=2)
    assert pieces[:5] == wordpiece_vocabulary.SPECIAL
    # l-ow and lo-w are as frequent, 5 times; the alphabet decides, then what is left goes on from there.
    merged = [piece for piece in pieces[5:] if len(piece.removeprefix("##")) > 1]
    assert merged[0] == "##ow" and merged[1] == "low" and "##est" in merged and "lower" not in merged
    assert words_of(WordPiece(pieces), "lowest") == ["low", "##est"]


def test_the_learner_does_not_depend_on_the_order_of_texts():
    texts = [text for text in TEXTS if text.strip()]
    assert wordpiece_vocabulary.learn(texts, 400, rarest=1) == wordpiece_vocabulary.learn(texts[::-1], 400, rarest=1)


# ---- byte pairs -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, words", [
    ("Hello  world", ["Hello", " ", " world"]), ("it's 3rd", ["it", "'s", " 3", "rd"]), ("a\n b  ", ["a", "\n", " b", "  "]),
    ("don'T ?!x", ["don", "'", "T", " ?!", "x"]), (" 's", [" '", "s"]), ("", [])])
def test_words_are_split_as_gpt2s(text, words):
    assert list(split_like_gpt2(text)) == words


def test_merges_apply_in_their_order_not_in_that_of_the_text():
    ids = dict(REFERENCE["byte_pairs"]["ids"])
    for token in ("bc", "ab", "Ġabc", "abc", "Ġab"):
        ids.setdefault(token, len(ids))
    tokeniser = BytePairs(ids, [("b", "c"), ("a", "b"), ("a", "bc")])
    assert tokeniser.encode("abc ab") == [ids["abc"], ids["Ġ"], ids["ab"]]


def test_characters_are_counted_where_they_begin():
    tokeniser = reference_tokeniser("byte_pairs")
    for text in TEXTS:
        assert tokeniser.characters(tokeniser.encode(text)) == len(text)


def test_byte_pairs_read_the_files_they_are_published_in(tmp_path):
    ids, merges = REFERENCE["byte_pairs"]["ids"], REFERENCE["byte_pairs"]["merges"]
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    tokeniser = BytePairs.load(tmp_path / "vocab.json", tmp_path / "merges.txt")
    assert len(tokeniser) == 556 and tokeniser.encode(TEXTS[0]) == REFERENCE["byte_pairs"]["tokens"][0]
    for name, text, words in (("merges.txt", "a b c\n", 'merges.txt:1: "a b c" is not a pair'),
                              ("merges.txt", "é z\n", "vocab.json has no token éz. Give"),
                              ("vocab.json", "{", "vocab.json:1: not JSON"), ("vocab.json", "[]", "does not map tokens"),
                              ("vocab.json", '{"a": 0}', "has no token Ā. Give")):
        (tmp_path / name).write_text(text)
        with pytest.raises(TokenError, match=words):
            BytePairs.load(tmp_path / "vocab.json", tmp_path / "merges.txt")


# ---- characters -------------------------------------------------------------------------------------------------

def test_characters_survive_a_round_trip(tmp_path):
    text = "A line\nwith a \\ and a tab\t\r\n…"
    Characters.of(text).save(tmp_path / "characters.txt")
    tokeniser = Characters.load(tmp_path / "characters.txt")
    assert len(tokeniser) == len(set(text)) and tokeniser.decode(tokeniser.encode(text)) == text


def test_an_unknown_character_is_an_error_or_a_token(tmp_path):
    (tmp_path / "characters.txt").write_text("a\nb\n\\n\n")
    with pytest.raises(TokenError, match=r'line 2: the character "\?" \(U\+003F\) is not in .*characters.txt'):
        Characters.load(tmp_path / "characters.txt").encode("ab\na?")
    (tmp_path / "characters.txt").write_text("<unk>\na\nb\n")
    assert Characters.load(tmp_path / "characters.txt").encode("b?") == [2, 0]
    (tmp_path / "characters.txt").write_text("a\nbc\n")
    with pytest.raises(TokenError, match='characters.txt:2: "bc" is not one character'):
        Characters.load(tmp_path / "characters.txt")
