"""crossweep cost --study as a user meets it: energy, area and latency of a study's points from shapes alone, and the
sentence for every kind of bad input. In expected sentences, FOLDER stands for the folder of the test."""

import json
from pathlib import Path

import pytest
import tiny_study
from tiny_study import crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

USAGE, CONFIGURATION, DATA = 2, 3, 4
ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = ROOT / "configs/architectures.toml"
DEIT_TINY = ROOT / "../shared/data/deit_tiny/deit_tiny_patch16_224.safetensors"
MULTI_BIT, SINGLE_BIT, LARGE_SMALL = range(3)


def costs(study, *arguments):
    done = crossweep("cost", "--study", study, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["points"]


def cost(point, tokens=None):
    """Of the only length, or of that one."""
    return next(entry for entry in point["lengths"] if tokens in (None, entry["tokens"]))


def assert_refused(result, folder, code, sentences):
    assert result.stderr.replace(str(folder), "FOLDER") == f"crossweep: {sentences}\n"
    assert result.returncode == code
    assert result.stdout == ""


@pytest.fixture(scope="module")
def bert_large():
    return [cost(point) for point in costs(ARCHITECTURES, "--model", "bert-large", "--hardware", ROOT / "configs/hardware")]


def test_components_and_layers_add_up(bert_large):
    for entry in bert_large:
        for key in ("energy_J", "area_m2", "latency_s"):
            assert entry[key] == pytest.approx(sum(part[key] for part in entry["components"].values()))
        for key in ("energy_J", "latency_s"):  # shared area belongs to no layer
            assert entry[key] == pytest.approx(sum(layer[key] for layer in entry["layers"]))
        assert len(entry["layers"]) == 25
        assert entry["layers"][24]["energy_J"] == 0  # of what stands around the blocks
        assert entry["area_delay_m2_s"] == pytest.approx(entry["area_m2"] * entry["latency_s"])


def test_machines_stand_beside_the_points(bert_large):
    a100 = bert_large[0]["on"]["a100"]
    assert a100["energy_J"] == pytest.approx(400 * a100["latency_s"])
    assert a100["area_delay_m2_s"] == pytest.approx(826e-6 * a100["latency_s"])
    assert set(bert_large[0]["on"]["xeon_6242"]) == {"latency_s"}  # its file gives neither area nor power


def test_arrays_of_a_traditional_bert_large_are_those_of_its_shape(bert_large):
    # On arrays of 64 x 64, in 24 blocks: four projections of 16 x 16 tiles, two of feed-forward of 16 x 64, and K and V of 16
    # heads with 8 tiles each; 7 bits in slices of 2 or 1, on two columns.
    tiles = 24 * (4 * 16 * 16 + 2 * 16 * 64 + 2 * 16 * 8)
    assert bert_large[MULTI_BIT]["arrays"] == tiles * 4 * 2
    assert bert_large[SINGLE_BIT]["arrays"] == tiles * 7 * 2
    assert bert_large[MULTI_BIT]["chips"] == 9


def test_conversions_of_large_and_small_are_those_of_its_shape(bert_large):
    def groups(inputs):
        return -(-inputs // 3)  # rows that a 2-bit converter can tell exactly, with cells of one bit
    tokens, width, feed_forward, heads, planes = 512, 1024, 4096, 16, 8
    of_products = 8 * (groups(width) * (4 * width + feed_forward) + groups(feed_forward) * width)
    of_attention = heads * (8 * groups(width // heads) * tokens + 7 * groups(tokens) * (width // heads))
    of_softmax = heads * 7 * groups(tokens)
    of_norms = 2 * 8 * groups(width) * (1 + planes)
    wanted = 24 * tokens * (planes * (of_products + of_attention) + of_softmax + of_norms)
    assert bert_large[LARGE_SMALL]["conversions"] == wanted
    assert bert_large[LARGE_SMALL]["components"]["adc"]["energy_J"] == pytest.approx(wanted * 2.83e-13 / 2**4)


def test_large_and_small_keeps_weights_and_the_results_of_a_block_in_storage(bert_large):
    weights = 24 * (4 * 1024**2 + 2 * 1024 * 4096)
    results = 512 * (6 * 1024 + 4096) + 16 * 512**2  # Q, K, V, attention, two branches; hidden; scores
    assert bert_large[LARGE_SMALL]["components"]["storage"]["area_m2"] == pytest.approx((weights + results) * 4 * 4.1e-15)
    assert bert_large[LARGE_SMALL]["chips"] == 1


def test_computation_cells_wear_out_in_days(bert_large):
    entry = bert_large[LARGE_SMALL]
    assert 160 < entry["writes_per_cell"] < 180
    inferences = entry["wear_out_years"] * 365.25 * 24 * 3600 / entry["latency_s"]
    assert inferences * entry["writes_per_cell"] == pytest.approx(1e9)


def test_a_figure_can_be_set(bert_large):
    dearer = costs(ARCHITECTURES, "--model", "bert-large", "--set", "technology.shift_add_energy_J=1.5e-13")
    for before, after in zip(bert_large, dearer):
        before, after = before["components"], cost(after)["components"]
        assert after["shift_add"]["energy_J"] == pytest.approx(2 * before["shift_add"]["energy_J"])
        assert after["adc"] == before["adc"]


def test_lengths_and_first_points():
    points = costs(ARCHITECTURES, "--model", "bert-base", "--lengths", "128:512", "--first", "2")
    assert [[entry["tokens"] for entry in point["lengths"]] for point in points] == [[128, 256, 512]] * 2
    assert points[1]["settings"] == {"crossbar.fidelity": "circuit", "device.bits_per_cell": "1"}
    assert cost(points[0], 512)["energy_J"] > 4 * cost(points[0], 128)["energy_J"]
    beyond = costs(ARCHITECTURES, "--model", "bert-base", "--lengths", "1024", "--beyond", "--first", "1")
    assert cost(beyond[0])["tokens"] == 1024


def test_a_study_has_a_model_of_its_own(tmp_path):
    study = tiny_study.write_study(tmp_path)
    points = costs(study, "--first", "1")
    assert not points[0]["blocks_alone"]
    entry = cost(points[0])
    assert entry["tokens"] == 5
    assert len(entry["layers"]) == 3
    assert entry["layers"][2]["energy_J"] > 0  # embedding and head


@pytest.mark.skipif(not DEIT_TINY.exists(), reason="no weights of DeiT-Ti")
def test_blocks_of_a_published_shape_are_those_of_its_weights():
    by_name = costs(ARCHITECTURES, "--model", "deit-tiny")
    by_weights = costs(ARCHITECTURES, "--model", DEIT_TINY)
    for name, weights in zip(by_name, by_weights):
        assert name["blocks_alone"] and not weights["blocks_alone"]
        assert cost(name)["layers"][:12] == cost(weights)["layers"][:12]


def test_text_has_totals_and_components():
    shown = crossweep("cost", "--study", ARCHITECTURES, "--model", "BERT-Large", "--hardware", ROOT / "configs/hardware/a100.toml")
    first_words = [line.split()[0] for line in shown.stdout.splitlines() if line.strip()]
    assert {"0", "1", "2", "a100", "adc", "storage", "interconnect"} <= set(first_words)
    assert "bert-large (blocks alone)" in shown.stdout


def test_what_goes_with_a_study_is_refused_without_one(tmp_path):
    assert_refused(crossweep("cost"), tmp_path, USAGE,
                   "There is nothing to count. Give --model, or a study with --study.")
    for option in (("--set", "device.g_max_S=1e-5"), ("--first", "1")):
        assert_refused(crossweep("cost", "--model", "gpt2", *option), tmp_path, USAGE,
                       "--set and --first go with a study. Give one with --study, or leave them out.")


def test_lengths_that_a_model_does_not_have_are_refused(tmp_path):
    study = tiny_study.write_study(tmp_path)
    assert_refused(crossweep("cost", "--study", study, "--lengths", "4"), tmp_path, USAGE,
                   "An image of FOLDER/weights.safetensors has 5 tokens, and --lengths asks for 4. Leave --lengths out.")
    assert_refused(crossweep("cost", "--study", ARCHITECTURES, "--model", "bert-large", "--lengths", "513"), tmp_path, USAGE,
                   "513 tokens are beyond the 512 that bert-large has positions for. Give smaller --lengths, or --beyond to "
                   "count as if it had more.")


def test_an_unknown_model_or_study_is_refused(tmp_path):
    result = crossweep("cost", "--study", ARCHITECTURES, "--model", tmp_path / "bert")
    assert result.returncode == USAGE
    assert "is neither a published model nor a file" in result.stderr
    assert crossweep("cost", "--study", tmp_path / "no.toml").returncode == DATA


def test_costs_that_cannot_be_are_refused(tmp_path):
    for value in ("0", "-1e-13"):
        result = crossweep("cost", "--study", ARCHITECTURES, "--set", f"technology.adc_energy_J={value}")
        assert result.returncode == CONFIGURATION
        assert "technology.adc_energy_J" in result.stderr and "not positive" in result.stderr
