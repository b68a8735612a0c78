"""crossweep cost as a user meets it: what it prints, and the sentence for every kind of bad input. In expected sentences,
FOLDER stands for the folder of the test."""

import json
from pathlib import Path

import pytest
import tiny_study
from tiny_study import crossweep

pytestmark = pytest.mark.skipif(tiny_study.program() is None,
                                reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")

USAGE, CONFIGURATION, DATA = 2, 3, 4
HARDWARE = Path(__file__).resolve().parents[2] / "configs/hardware"
MACHINE = """description = "a machine"
source = "its maker"
peak_flop_per_s = 1e12
bandwidth_B_per_s = 1e10
"""


def cost(*arguments):
    done = crossweep("cost", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_refused(result, folder, code, sentences):
    assert result.stderr.replace(str(folder), "FOLDER") == f"crossweep: {sentences}\n"
    assert result.returncode == code
    assert result.stdout == ""


def test_lengths_are_listed_or_doubled():
    assert [entry["tokens"] for entry in cost("--model", "gpt2", "--lengths", "7,128:1000")["lengths"]] == [7, 128, 256, 512]
    assert [entry["tokens"] for entry in cost("--model", "bert-base")["lengths"]] == [512]


def test_operations_add_up():
    entry = cost("--model", "gpt2", "--lengths", "512", "--hardware", HARDWARE)["lengths"][0]
    for key in ("flop", "moved_B", "weights_B", "cache_B", "activations_B", "vector_products"):
        assert entry[key] == pytest.approx(sum(operation[key] for operation in entry["operations"].values()))
    for machine, on in entry["on"].items():
        parts = [operation["on"][machine] for operation in entry["operations"].values()]
        assert on["latency_s"] == pytest.approx(sum(part["latency_s"] for part in parts))
        assert on["moved_B"] == pytest.approx(sum(part["moved_B"] for part in parts))


def test_latency_is_the_roofline_of_a_file(tmp_path):
    (tmp_path / "m.toml").write_text(MACHINE)
    found = cost("--model", "gpt2", "--lengths", "1", "--hardware", tmp_path / "m.toml")
    for operation in found["lengths"][0]["operations"].values():
        assert operation["on"]["m"]["latency_s"] == pytest.approx(max(operation["flop"] / 1e12, operation["moved_B"] / 1e10))
    assert found["hardware"][0]["ridge_flop_per_B"] == 100


def test_on_crossbars_neither_weights_nor_the_cache_move():
    entry = cost("--model", "gpt2", "--lengths", "1024", "--hardware", HARDWARE)["lengths"][0]
    assert entry["on"]["rram_crossbars"]["moved_B"] == entry["activations_B"]
    assert entry["on"]["a100"]["moved_B"] == entry["moved_B"]
    assert entry["weights_B"] > 0.8 * entry["moved_B"]


def test_weights_give_the_shape(tmp_path):
    study = tiny_study.write_study(tmp_path)
    found = cost("--model", study.parent / "weights.safetensors")
    assert (found["kind"], found["depth"], found["width"], found["heads"], found["mlp_width"]) == ("encoder", 2, 16, 2, 32)
    assert [entry["tokens"] for entry in found["lengths"]] == [5]
    assert found["lengths"][0]["weights_B"] == 2 * (4 * 16 * 16 + 2 * 16 * 32)


def test_text_has_a_row_per_length_and_per_operation():
    shown = crossweep("cost", "--model", "GPT-2", "--lengths", "128:512", "--hardware", HARDWARE)
    first_words = [line.split()[0] for line in shown.stdout.splitlines() if line]
    assert {"128", "256", "512", "projections", "query_key", "softmax", "probability_value", "feed_forward",
            "rest"} <= set(first_words)
    assert "46.1667" in shown.stdout  # GB at 512 tokens
    assert "ms" not in crossweep("cost", "--model", "gpt2").stdout.partition("For latencies")[0]


@pytest.mark.parametrize("model, most", [("bert-base", 512), ("gpt2", 1024), ("deit-small", 197)])
def test_a_length_beyond_the_positions_is_refused_unless_asked_for(tmp_path, model, most):
    sentence = (f"{most + 1} tokens are beyond the {most} that {model} has positions for. Give smaller --lengths, or "
                "--beyond to count as if it had more.")
    assert_refused(crossweep("cost", "--model", model, "--lengths", most + 1), tmp_path, USAGE, sentence)
    assert cost("--model", model, "--lengths", most + 1, "--beyond")["lengths"][0]["tokens"] == most + 1


def test_a_length_beyond_that_of_the_weights_is_refused(tmp_path):
    study = tiny_study.write_study(tmp_path)
    assert_refused(crossweep("cost", "--model", study.parent / "weights.safetensors", "--lengths", "6"), tmp_path, USAGE,
                   "6 tokens are beyond the 5 that FOLDER/weights.safetensors has positions for. Give smaller --lengths, "
                   "or --beyond to count as if it had more.")


@pytest.mark.parametrize("lengths", ["0", "-3", "x", "1.5", "8:4", "8:", ":8", "1073741825"])
def test_what_is_no_length_is_refused(tmp_path, lengths):
    assert_refused(crossweep("cost", "--model", "gpt2", f"--lengths={lengths}"), tmp_path, USAGE,
                   f"--lengths {lengths} is not a number of tokens from 1 to 1073741824, nor a range from:to. Write, for "
                   "example, --lengths 128,256 or --lengths 128:4096.")


def test_an_unknown_model_is_refused(tmp_path):
    assert_refused(crossweep("cost", "--model", tmp_path / "bert"), tmp_path, USAGE,
                   "--model FOLDER/bert is neither a published model nor a file. Give the path of weights, or one of "
                   "bert-base, bert-large, gpt2, deit-tiny, deit-small, deit-base, lv-vit-s.")


@pytest.mark.parametrize("change, sentence", [
    (("peak_flop_per_s = 1e12\n", ""),
     "1:1: peak_flop_per_s is missing (operations per second at most). Give a number above 0."),
    (("1e12", "-1"), "3:19: peak_flop_per_s = -1 is not positive (operations per second at most). Give a number above 0."),
    (("1e10", "0"), "4:21: bandwidth_B_per_s = 0 is not positive (bytes per second to and from memory). Give a number "
                    "above 0."),
    (("bandwidth_B_per_s", "bandwith_B_per_s"), None)])
def test_a_wrong_hardware_file_is_refused(tmp_path, change, sentence):
    (tmp_path / "m.toml").write_text(MACHINE.replace(*change))
    refused = crossweep("cost", "--model", "gpt2", "--hardware", tmp_path / "m.toml")
    if sentence is None:
        assert 'unknown key "bandwith_B_per_s"; did you mean "bandwidth_B_per_s"?' in refused.stderr
        assert refused.returncode == CONFIGURATION
    else:
        assert_refused(refused, tmp_path, CONFIGURATION, f"FOLDER/m.toml:{sentence}")


def test_hardware_that_is_not_there_or_there_twice_is_refused(tmp_path):
    assert_refused(crossweep("cost", "--model", "gpt2", "--hardware", tmp_path / "no.toml"), tmp_path, DATA,
                   "FOLDER/no.toml cannot be read (No such file or directory). Give the path of a hardware file.")
    assert_refused(crossweep("cost", "--model", "gpt2", "--hardware", tmp_path), tmp_path, DATA,
                   "--hardware FOLDER: there is no TOML file in that folder. Give hardware files as those in "
                   "configs/hardware.")
    (tmp_path / "m.toml").write_text(MACHINE)
    assert_refused(crossweep("cost", "--model", "gpt2", "--hardware", tmp_path / "m.toml", "--hardware", tmp_path), tmp_path,
                   USAGE, "--hardware FOLDER/m.toml: another file is called m too. Give it once, or rename one.")
