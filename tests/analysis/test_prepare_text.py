"""prepare_text: the file as the C++ reader expects it, and one sentence for everything that cannot be used."""

import json

import h5py
import numpy as np
import pytest

import corpora
import prepare_text
import safetensors_file
from tokenisers import _byte_characters

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "##b", "c"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vocab.txt").write_text("".join(piece + "\n" for piece in PIECES))
    (tmp_path / "characters.txt").write_text("\\n\n \na\nb\nc\n")
    (tmp_path / "texts.tsv").write_text("good\ta b c\nbad\tabb\n\ngood\tc\n")
    (tmp_path / "prose.txt").write_text("abc cba\naab")
    return tmp_path


def prepare(folder, source, *arguments) -> int:
    named = [str(a) if str(a).startswith("-") or "." not in str(a) else str(folder / a) for a in arguments]
    return prepare_text.main([str(folder / source) if "." in source else source, str(folder / "out.h5"), *named])


def classify(folder, *arguments, source="texts.tsv"):
    return prepare(folder, source, "--vocabulary", "vocab.txt", *arguments)


def model(folder, *arguments, source="prose.txt"):
    return prepare(folder, source, "--characters", "characters.txt", *arguments)


# ---- what is written --------------------------------------------------------------------------------------------

def test_classified_texts_are_padded_masked_and_labelled(folder):
    assert classify(folder, "--length", 6) == 0
    with h5py.File(folder / "out.h5") as file:
        tokens = file["tokens"]
        assert tokens.dtype == np.int32 and file["mask"].dtype == np.uint8 and file["labels"].dtype == np.int32
        assert tokens[:].tolist() == [[2, 4, 5, 7, 3, 0], [2, 4, 6, 6, 3, 0], [2, 7, 3, 0, 0, 0]]
        assert file["mask"][:].sum(axis=1).tolist() == [5, 5, 3] and (file["mask"][:, 0] == 1).all()
        assert list(file["labels"]) == [1, 0, 1] and list(file["labels"].attrs["classes"]) == ["bad", "good"]
        assert dict(tokens.attrs) == {"task": "classification", "tokeniser": "wordpiece uncased", "vocabulary": 8,
                                      "characters_per_token": 1.0}
        assert "segments" not in file and tokens.chunks is None and tokens.compression is None
    assert not (folder / "out.h5.tmp").exists()


def test_the_second_text_of_a_pair_is_another_segment(folder):
    (folder / "pairs.tsv").write_text("x\ta\tb c\nx\ta b\tc\n")
    assert classify(folder, "--length", 7, source="pairs.tsv") == 0
    with h5py.File(folder / "out.h5") as file:
        assert file["tokens"][:].tolist() == [[2, 4, 3, 5, 7, 3, 0], [2, 4, 5, 3, 7, 3, 0]]
        assert file["segments"].dtype == np.uint8
        assert file["segments"][:].tolist() == [[0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1, 0]]


def test_classes_are_numbered_as_their_file_says_and_rows_can_be_limited(folder):
    (folder / "classes.txt").write_text("good\nunused\nbad\n")
    assert classify(folder, "--length", 6, "--classes", "classes.txt", "--count", 2) == 0
    with h5py.File(folder / "out.h5") as file:
        assert list(file["labels"]) == [0, 2] and file["tokens"].shape == (2, 6)


def test_prose_is_cut_into_full_windows(folder):
    assert model(folder, "--length", 4) == 0
    with h5py.File(folder / "out.h5") as file:
        assert file["tokens"][:].tolist() == [[2, 3, 4, 1], [4, 3, 2, 0]]
        assert (file["mask"][:] == 1).all() and "labels" not in file and "segments" not in file
        assert dict(file["tokens"].attrs) == {"task": "language_model", "tokeniser": "characters", "vocabulary": 5,
                                              "characters_per_token": 1.0}


def test_characters_per_token_count_those_that_are_told(folder):
    ids = {character: number for number, character in enumerate(_byte_characters())} | {"ab": 256, "Ġc": 257}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\na b\nĠ c\n")
    (folder / "prose.txt").write_text("ab c ab cå")
    assert prepare(folder, "prose.txt", "--vocabulary", "vocab.json", "--merges", "merges.txt", "--length", 7) == 0
    with h5py.File(folder / "out.h5") as file:  # ab| c| |ab| c|å in two bytes
        assert file["tokens"].shape == (1, 7) and file["tokens"][0, :5].tolist() == [256, 257, ids["Ġ"], 256, 257]
        assert file["tokens"].attrs["characters_per_token"] == pytest.approx((2 + 1 + 2 + 2 + 1) / 6)
        assert file["tokens"].attrs["vocabulary"] == 258


def test_long_texts_are_cut_on_request_and_keep_their_end(folder):
    assert classify(folder, "--length", 4, "--truncate") == 0
    with h5py.File(folder / "out.h5") as file:
        assert file["tokens"][:].tolist() == [[2, 4, 5, 3], [2, 4, 6, 3], [2, 7, 3, 0]]


# ---- what is refused --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, words", [
    (b"x\ta\nx\ta b c\n", "texts.tsv:2: 5 tokens with [CLS] and [SEP] are more than --length 4. Shorten the text or give"),
    (b"x a b\n", "texts.tsv:1: 1 columns, not CLASS<TAB>TEXT. Put a tab"),
    (b"x\t \n", "texts.tsv:1: a text or its class is empty. Remove the line."),
    (b"x\t\xe2\x80\x8b\n", "texts.tsv:1: the text is empty once control characters are left out. Remove"),
    (b"\n", "texts.tsv holds no text. Give lines of CLASS<TAB>TEXT."),
    (b"x\t\xff\n", "texts.tsv cannot be read")])
def test_texts_that_cannot_be_used_are_named_with_their_line(folder, capsys, text, words):
    (folder / "texts.tsv").write_bytes(text)
    assert classify(folder, "--length", 4) == 4
    said = capsys.readouterr().err
    assert said.startswith("error: ") and words in said and said.count("\n") == 1
    assert not (folder / "out.h5").exists()


def test_a_class_that_is_not_listed_is_refused(folder, capsys):
    (folder / "classes.txt").write_text("good\n")
    assert classify(folder, "--classes", "classes.txt") == 4
    assert 'texts.tsv:2: the class "bad" is not one of --classes. Add it' in capsys.readouterr().err


@pytest.mark.parametrize("text, words", [
    ("", "prose.txt holds no text. Give"), ("ab", "prose.txt: 2 tokens do not fill a window of 4. Give more text or"),
    ("abc\nab?", 'prose.txt: line 2: the character "?" (U+003F) is not in')])
def test_prose_that_cannot_be_used_is_refused(folder, capsys, text, words):
    (folder / "prose.txt").write_text(text)
    assert model(folder, "--length", 4) == 4
    assert words in capsys.readouterr().err


def test_a_vocabulary_without_special_tokens_is_refused(folder, capsys):
    (folder / "vocab.txt").write_text("a\nb\n")
    assert classify(folder) == 4
    assert "vocab.txt has no [CLS]. Give the vocab.txt that was published with the weights." in capsys.readouterr().err


def test_weights_must_fit_the_vocabulary_and_the_length(folder, capsys):
    def weights(vocabulary=8, length=16, **metadata):
        safetensors_file.save(folder / "w.safetensors", {
            "bert.embeddings.word_embeddings.weight": np.zeros((vocabulary, 4), np.float32),
            "bert.embeddings.position_embeddings.weight": np.zeros((length, 4), np.float32)}, metadata)
        return classify(folder, "--length", 6, "--weights", "w.safetensors")

    assert weights() == 0 and weights(tokeniser="wordpiece uncased") == 0
    for made, words in (({"vocabulary": 9}, "embeds 9 tokens, the vocabulary has 8. Give the vocabulary"),
                        ({"length": 5}, "takes at most 5 tokens, not --length 6. Give a smaller"),
                        ({"tokeniser": "wordpiece cased"}, "trained on wordpiece cased, not on wordpiece uncased. Change")):
        assert weights(**made) == 4
        assert words in capsys.readouterr().err
    safetensors_file.save(folder / "w.safetensors", {"x": np.zeros(1, np.float32)}, {})
    assert classify(folder, "--weights", "w.safetensors") == 4
    assert "has no embedding of tokens and places. Give the weights of" in capsys.readouterr().err
    for content, words in ((b"", "is not safetensors"), (b"\xff" * 20, "its header is longer than the file")):
        (folder / "w.safetensors").write_bytes(content)
        assert classify(folder, "--weights", "w.safetensors") == 4
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("arguments, words", [
    (["--length", 2], "leaves no room"), (["--count", 0], "--count 0 is not a positive"), (["--merges", "m.txt"], "goes with the")])
def test_options_that_make_no_sense_are_usage_errors(folder, capsys, arguments, words):
    run = model if "--merges" in arguments else classify
    assert run(folder, *arguments) == 2
    assert words in capsys.readouterr().err


# ---- corpora ----------------------------------------------------------------------------------------------------

def test_a_missing_package_is_named(folder, capsys, monkeypatch):
    corpora._all_pieces.cache_clear()
    monkeypatch.setattr(corpora, "_DPKG", folder)
    assert classify(folder, source="language") == 4
    assert "the Debian package manpages-da is not installed. Run apt-get install manpages-da." in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(folder))
    assert model(folder, source="bible") == 4
    assert "apt-get install bible-kjv bible-kjv-text" in capsys.readouterr().err


def test_a_corpus_needs_its_kind_of_tokens(folder, capsys):
    assert model(folder, source="language") == 4 and "to be classified. Give a --vocabulary" in capsys.readouterr().err
    assert classify(folder, source="bible") == 4 and "not in classes. Give --characters" in capsys.readouterr().err


PAGE = r""".\" a comment
.TH LS 1
.SH NAVN
ls \- viser innholdet i mapper
.PP
Vis en liste over FILer (standard er å vise alle filer i gjeldende
mappe). Oppføringene sorteres med \fB\-cftuvSUX\fP eller alfabetisk hvis ingen.
.nf
slett ikke dette her nå
.fi
.B ls
viser filene i
.I MAPPE
som \(Foer vanlig\(Fc for deg og meg og alle de andre her
.PP
The name of this file is not translated yet
"""


def test_pieces_are_the_plain_words_of_a_page():
    assert corpora.page_pieces(PAGE) == [
        "viser innholdet i mapper", "Vis en liste over", "standard er å vise alle filer", "i gjeldende mappe",
        "Oppføringene sorteres med", "eller alfabetisk hvis ingen", "viser filene i", "for deg og meg og alle", "de andre her"]


@pytest.fixture(scope="module")
def pieces():
    try:
        return {split: corpora.language_pieces(split, 300) for split in corpora.SPLITS}
    except corpora.CorpusError as error:
        pytest.skip(str(error))


def test_no_held_out_piece_was_trained_on_or_is_in_two_languages(pieces):
    train, test = ({piece.casefold() for piece in pieces[split][0]} for split in corpora.SPLITS)
    assert not train & test and len(test) == len(pieces["test"][0])
    for texts, labels in pieces.values():
        assert len(texts) == len(labels) and min(labels.count(label) for label in range(10)) >= 250
        assert all(corpora.WORDS[0] <= len(text.split()) <= corpora.WORDS[1] for text in texts)
    assert "the" not in {word.lower() for texts, _ in pieces.values() for text in texts for word in text.split()}


def test_the_bible_is_split_at_a_verse_near_its_end():
    try:
        train, test = (corpora.bible(split) for split in corpora.SPLITS)
    except corpora.CorpusError as error:
        pytest.skip(str(error))
    assert train.startswith("In the beginning God created") and test.rstrip().endswith("be with you all. Amen.")
    assert 0.94 < len(train) / len(train + test) < 0.96 and train.endswith("\n") and len(set(train + test)) < 70
