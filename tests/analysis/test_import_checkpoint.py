"""import_checkpoint: finds the weights in published layouts, keeps their bits, and never runs code from a checkpoint."""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import import_checkpoint  # noqa: E402
import safetensors_file  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "app"))

import tiny_study  # noqa: E402


def state(scale=1.0):
    """A small state dict, in the order of its names."""
    generator = torch.Generator().manual_seed(3)
    return OrderedDict((name, scale * torch.randn(*shape, generator=generator))
                       for name, shape in (("cls_token", (1, 1, 4)), ("patch_embed.proj.weight", (4, 1, 2, 2))))


def run(*arguments) -> int:
    return import_checkpoint.main([str(a) for a in arguments])


def imported(folder, content, *options, name="checkpoint.pth", legacy=False):
    """Tensors and metadata of what becomes of `content`."""
    torch.save(content, folder / name, _use_new_zipfile_serialization=not legacy)
    assert run(folder / name, folder / "out.safetensors", *options) == 0
    return safetensors_file.load(folder / "out.safetensors")


def assert_refused(folder, capsys, source, message, *options):
    """One sentence, exit code 4, no file."""
    assert run(source, folder / "out.safetensors", *options) == 4
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1
    assert not list(folder.glob("out.*"))


def assert_same(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, values in expected.items():
        assert tensors[name].dtype == values.numpy().dtype and (tensors[name] == values.numpy()).all()


# ---- where weights lie ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("key, content", [
    ("", state()), ("model", {"model": state(), "epoch": 3}), ("state_dict", {"state_dict": state(), "arch": "deit"}),
    ("model.module", {"model": {"module": state()}}),
    ("model", {"model": state(), "model_ema": state(2), "optimizer": {"step": 1}})])
def test_weights_are_found_and_keep_their_bits(tmp_path, key, content, legacy):
    tensors, metadata = imported(tmp_path, content, legacy=legacy)
    assert_same(tensors, state())
    assert metadata["imported_key"] == key and metadata["imported_from"] == "checkpoint.pth"


@pytest.mark.parametrize("key", ["model_ema", "state_dict_ema"])
def test_averaged_weights_are_taken_on_request(tmp_path, key):
    tensors, metadata = imported(tmp_path, {"model": state(), key: state(2)}, "--ema")
    assert_same(tensors, state(2))
    assert metadata["imported_key"] == key


def test_prefixes_of_wrappers_are_taken_off(tmp_path):
    wrapped = {"module._orig_mod." + name: values for name, values in state().items()}
    assert_same(imported(tmp_path, {"model": wrapped})[0], state())
    # module. stays where other names do not have it, as it may mean something there.
    mixed = {"module.a": torch.ones(2), "b": torch.ones(2)}
    assert_same(imported(tmp_path, mixed)[0], mixed)
    student = {"student." + name: values for name, values in state().items()} | {"teacher.a": torch.ones(2)}
    tensors, _ = imported(tmp_path, student, "--strip", "student.")
    assert_same(tensors, state() | {"teacher.a": torch.ones(2)})


def test_metadata_names_the_file_its_hash_and_the_model(tmp_path):
    _, metadata = imported(tmp_path, state(), "--model", "deit_mine")
    hashed = subprocess.run(["sha256sum", tmp_path / "checkpoint.pth"], capture_output=True, check=True, text=True).stdout
    assert metadata["imported_sha256"] == hashed.split()[0] and metadata["model"] == "deit_mine"


# ---- types and values -------------------------------------------------------------------------------------------

def test_types_become_what_the_simulator_reads(tmp_path, capsys):
    tensors, _ = imported(tmp_path, {
        "half": torch.ones(3).half(), "brain": torch.full((3,), 1.5).bfloat16(), "double": torch.full((2, 2), 0.1).double(),
        "num_batches_tracked": torch.tensor(7), "mask": torch.ones(2, dtype=torch.bool), "version": 2})
    assert {name: values.dtype for name, values in tensors.items()} == {
        "half": np.float16, "brain": np.float32, "double": np.float32}
    assert (tensors["brain"] == 1.5).all() and (tensors["double"] == np.float32(0.1)).all()
    said = capsys.readouterr().out
    assert "note: num_batches_tracked holds int64, no weights, and was left out\n" in said
    assert "note: mask holds bool, no weights, and was left out\n" in said
    assert "note: version is no tensor and was left out\n" in said
    assert "note: brain became F32 (and 1 more)\n" in said


def test_shared_and_strided_tensors_are_written_each_in_full(tmp_path):
    table = torch.arange(12.0).reshape(3, 4)
    shared = {"wte.weight": table, "lm_head.weight": table, "turned": table.t(), "row": table[1], "one": table[0, 0]}
    assert_same(imported(tmp_path, shared)[0], shared)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_values_that_are_not_finite_are_refused(tmp_path, capsys, value):
    torch.save({"a": torch.ones(2), "b": torch.tensor([1.0, value, value], dtype=torch.float64)}, tmp_path / "c.pth")
    assert_refused(tmp_path, capsys, tmp_path / "c.pth", "tensor b has 2 values that are not finite. Fetch")


# ---- code -------------------------------------------------------------------------------------------------------

class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.system, (f"touch {self.victim}",)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("place", [lambda evil: evil, lambda evil: {"model": state(), "args": evil},
                                   lambda evil: {"model": state() | {"a": evil}}])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path, capsys, place, legacy):
    victim = tmp_path / "victim"
    torch.save(place(Evil(victim)), tmp_path / "c.pth", _use_new_zipfile_serialization=not legacy)
    assert_refused(tmp_path, capsys, tmp_path / "c.pth", "c.pth holds more than weights (Unsupported class posix.system): it is "
                   "not read, because that could run code of its maker.")
    assert not victim.exists()
    torch.load(tmp_path / "c.pth")  # the trap works
    assert victim.exists()


class Scripted(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_torchscript_and_tar_archives_are_refused(tmp_path, capsys):
    torch.jit.script(Scripted()).save(str(tmp_path / "c.pth"))
    assert_refused(tmp_path, capsys, tmp_path / "c.pth", "c.pth is a TorchScript archive, a program with weights: it is not read")
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        for name in ("storages", "tensors", "pickle"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert_refused(tmp_path, capsys, tmp_path / "c.tar", "is neither a PyTorch checkpoint nor a safetensors file")


# ---- bad input --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("content, options, message", [
    ({"model": {"a": 1}}, (), "has no weights at the top or under model, module, state_dict (there is a)"),
    ({"epoch": 3}, (), "(there is epoch)"), ([1, 2], (), "(there is nothing)"),
    ({"a": torch.ones(2, dtype=torch.int64)}, (), "holds no tensor of floating point"),
    ({"a": torch.ones(2).to_sparse()}, (), "tensor a is sparse"),
    ({"model": state()}, ("--ema",), "has no averaged weights (model_ema, state_dict_ema, ema). Leave out --ema."),
    ({"lr": 0.5, "model": state()}, (), "holds more than weights (numbers with a fraction)"),
    (state(), ("--strip", "x."), "no tensor's name starts with x."),
    ({"x.a": torch.ones(2), "a": torch.ones(2)}, ("--strip", "x."), "two tensors would be called a.")])
def test_checkpoints_without_usable_weights_are_refused(tmp_path, capsys, content, options, message):
    torch.save(content, tmp_path / "c.pth")
    assert_refused(tmp_path, capsys, tmp_path / "c.pth", message, *options)


@pytest.mark.parametrize("raw, message", [
    (b"", "is neither a PyTorch checkpoint nor a safetensors file"), (b"\x80\x04junk" * 9, "is neither a PyTorch"),
    (b"\x02" + bytes(7) + b"[]", "is neither"), (b"PK\x03\x04" + bytes(99), "cannot be read as a PyTorch checkpoint"),
    (import_checkpoint._LEGACY + b"\x80\x02", "cannot be read as a PyTorch checkpoint")])
def test_other_files_are_refused(tmp_path, capsys, raw, message):
    (tmp_path / "c.pth").write_bytes(raw)
    assert_refused(tmp_path, capsys, tmp_path / "c.pth", message)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_truncated_checkpoint_is_refused(tmp_path, capsys, legacy):
    torch.save(state(), tmp_path / "c.pth", _use_new_zipfile_serialization=not legacy)
    whole = (tmp_path / "c.pth").read_bytes()
    for length in range(20, len(whole) - 1, 97):
        (tmp_path / "c.pth").write_bytes(whole[:length])
        assert_refused(tmp_path, capsys, tmp_path / "c.pth", "c.pth")


def test_a_missing_file_is_refused(tmp_path, capsys):
    assert_refused(tmp_path, capsys, tmp_path / "none.pth", "none.pth")


# ---- safetensors and folders ------------------------------------------------------------------------------------

def write_raw(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_safetensors_keep_their_metadata_and_lose_prefixes(tmp_path, capsys):
    wrapped = {"module." + name: values.numpy() for name, values in state().items()}
    safetensors_file.save(tmp_path / "in.safetensors", wrapped, {"normalisation": "{}"})
    assert run(tmp_path / "in.safetensors", tmp_path / "out.safetensors") == 0
    tensors, metadata = safetensors_file.load(tmp_path / "out.safetensors")
    assert_same(tensors, state())
    assert metadata["normalisation"] == "{}" and "ViT or DeiT by its names, 2 tensors, 20 parameters" in capsys.readouterr().out


def test_bfloat16_of_safetensors_is_widened(tmp_path):
    values = torch.tensor([[1.5, -2.25]])
    raw = values.bfloat16().view(torch.int16).numpy().tobytes()
    write_raw(tmp_path / "in.safetensors", {"a": {"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]}}, raw)
    assert run(tmp_path / "in.safetensors", tmp_path / "out.safetensors") == 0
    assert_same(safetensors_file.load(tmp_path / "out.safetensors")[0], {"a": values})


@pytest.mark.parametrize("entry", [{"dtype": "F32", "shape": [2]}, {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
                                   {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
                                   {"dtype": "F32", "shape": [2], "data_offsets": [-4, 4]}, [1]])
def test_a_safetensors_header_that_lies_is_refused(tmp_path, capsys, entry):
    write_raw(tmp_path / "in.safetensors", {"a": entry}, bytes(8))
    assert_refused(tmp_path, capsys, tmp_path / "in.safetensors", "tensor a is not as the header describes it")


def folder_in_shards(folder):
    folder.mkdir()
    torch.save({"wte.weight": torch.ones(3, 4)}, folder / "pytorch_model-00001-of-00002.bin")
    torch.save({"wpe.weight": torch.zeros(2, 4)}, folder / "pytorch_model-00002-of-00002.bin")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {
        "wte.weight": "pytorch_model-00001-of-00002.bin", "wpe.weight": "pytorch_model-00002-of-00002.bin"}}))
    (folder / "config.json").write_text(json.dumps({"n_head": 2, "layer_norm_epsilon": 1e-5, "vocab_size": 3}))
    return folder


def test_a_folder_in_several_files_is_joined_and_its_config_read(tmp_path, capsys):
    assert run(folder_in_shards(tmp_path / "gpt"), tmp_path / "out.safetensors") == 0
    tensors, metadata = safetensors_file.load(tmp_path / "out.safetensors")
    assert_same(tensors, {"wte.weight": torch.ones(3, 4), "wpe.weight": torch.zeros(2, 4)})
    assert json.loads(metadata["architecture"]) == {"num_heads": 2, "layer_norm_eps": 1e-5}
    assert "GPT-2 by its names" in capsys.readouterr().out


def test_of_two_formats_in_a_folder_the_safe_one_is_taken(tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    safetensors_file.save(folder / "model.safetensors", {"a": np.ones(2, np.float32)}, {})
    torch.save({"b": torch.ones(2)}, folder / "pytorch_model.bin")
    assert run(folder, tmp_path / "out.safetensors") == 0
    assert safetensors_file.load(tmp_path / "out.safetensors")[0].keys() == {"a"}


@pytest.mark.parametrize("spoil, message", [
    (lambda folder: (folder / "pytorch_model-00002-of-00002.bin").unlink(), "pytorch_model-00002-of-00002.bin"),
    (lambda folder: (folder / "pytorch_model.bin.index.json").unlink(), "holds 2 files of weights and no index"),
    (lambda folder: (folder / "pytorch_model.bin.index.json").write_text("[]"), "is not an index of weights"),
    (lambda folder: (folder / "pytorch_model.bin.index.json").write_text('{"weight_map": {"a": "../x.bin"}}'), "outside the folder"),
    (lambda folder: shutil.copy(folder / "pytorch_model-00001-of-00002.bin", folder / "pytorch_model-00002-of-00002.bin"),
     "has the tensor wte.weight that another file"),
    (lambda folder: (folder / "config.json").write_text("{"), "config.json is not JSON")])
def test_folders_that_are_not_whole_are_refused(tmp_path, capsys, spoil, message):
    folder = folder_in_shards(tmp_path / "gpt")
    spoil(folder)
    assert_refused(tmp_path, capsys, folder, message)


# ---- and then -----------------------------------------------------------------------------------------------------

@pytest.mark.skipif(tiny_study.program() is None, reason="no crossweep program: build one or set CROSSWEEP_PROGRAM")
def test_crossweep_reads_what_was_imported(tmp_path):
    tensors = {"module." + name: torch.from_numpy(values) for name, values in tiny_study.weights().items()}
    torch.save({"model": tensors}, tmp_path / "deit.pth")
    assert run(tmp_path / "deit.pth", tmp_path / "out.safetensors", "--model", "tiny") == 0
    shown = tiny_study.crossweep("inspect", tmp_path / "out.safetensors", "--heads", 2, "--json")
    assert shown.returncode == 0, shown.stderr
    facts = json.loads(shown.stdout)
    assert facts["family"] == "ViT or DeiT" and facts["metadata"]["model"] == "tiny"
    assert facts["parameters"] == sum(values.numel() for values in tensors.values())
