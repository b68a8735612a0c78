"""BERT and GPT-2 against PyTorch's own encoder layers, masks, caches, crossbars without noise, and the shipped models."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

import bert
import gpt2
import prepare_text
import safetensors_file
import train_text
from crossbar_noise import Crossbar

DATA = Path(__file__).resolve().parents[2] / "data"
IDEAL = {"read_sigma": 0.0, "write_sigma": 0.0, "quantise": False}
BERT = bert.Architecture(vocab_size=50, max_length=12, num_classes=5, embed_dim=24, depth=2, num_heads=3, mlp_dim=40)
GPT2 = gpt2.Architecture(vocab_size=50, max_length=12, embed_dim=24, depth=2, num_heads=3)


def randomised(model):
    """Every parameter random, so that none can be forgotten unnoticed."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3 + ("orm.weight" in name or "ln_" in name))
    return model.eval().requires_grad_(False)


def tokens(*shape, seed=2):
    return torch.randint(0, 50, shape, generator=torch.Generator().manual_seed(seed))


def as_torch(parts, norms, heads, width, mlp, norm_first, activation, eps):
    """nn.TransformerEncoderLayer of a block's (in_proj, out_proj, linear1, linear2), each (weight [out, in], bias)."""
    layer = torch.nn.TransformerEncoderLayer(width, heads, mlp, 0.0, activation, eps, batch_first=True, norm_first=norm_first)
    own = [(layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias)]
    own += [(m.weight, m.bias) for m in (layer.self_attn.out_proj, layer.linear1, layer.linear2, layer.norm1, layer.norm2)]
    with torch.no_grad():
        for (weight, bias), (w, b) in zip(own, [*parts, *((n.weight, n.bias) for n in norms)], strict=True):
            weight.copy_(w)
            bias.copy_(b)
    return layer.eval()


# ---- BERT -------------------------------------------------------------------------------------------------------

def test_bert_has_the_names_of_published_checkpoints():
    names = set(bert.BertClassifier(BERT).state_dict())
    block = {f"bert.encoder.layer.1.{part}.{kind}" for kind in ("weight", "bias") for part in (
        "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
        "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm")}
    rest = {f"bert.embeddings.{part}_embeddings.weight" for part in ("word", "position", "token_type")}
    rest |= {f"{part}.{kind}" for part in ("bert.embeddings.LayerNorm", "bert.pooler.dense", "classifier")
             for kind in ("weight", "bias")}
    assert names == rest | block | {name.replace(".1.", ".0.") for name in block}


@pytest.mark.parametrize("batch, length", [(1, 1), (3, 7), (2, 12)])
def test_bert_is_pytorchs_post_norm_encoder_between_embeddings_and_pooler(batch, length):
    model = randomised(bert.BertClassifier(BERT))
    words, segments = tokens(batch, length), tokens(batch, length, seed=3) % 2
    mask = torch.arange(length) < torch.tensor([length, max(1, length - 4), 1][:batch])[:, None]
    table = model.bert.embeddings
    x = table.word_embeddings.weight[words] + table.position_embeddings.weight[:length] + table.token_type_embeddings.weight[segments]
    x = F.layer_norm(x, (24,), table.LayerNorm.weight, table.LayerNorm.bias, 1e-12)
    for layer in model.bert.encoder.layer:
        own = layer.attention.self
        inner = [torch.cat([getattr(m, kind) for m in (own.query, own.key, own.value)]) for kind in ("weight", "bias")]
        others = [(m.weight, m.bias) for m in (layer.attention.output.dense, layer.intermediate.dense, layer.output.dense)]
        norms = (layer.attention.output.LayerNorm, layer.output.LayerNorm)
        reference = as_torch([inner, *others], norms, 3, 24, 40, False, F.gelu, 1e-12)
        with torch.enable_grad():  # keeps PyTorch on the path that is written out, away from its fused one
            x = reference(x, src_key_padding_mask=~mask).detach()
    expected = model.classifier(torch.tanh(model.bert.pooler.dense(x[:, 0])))
    assert torch.allclose(model(words, mask, segments), expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.1


def test_padding_changes_nothing():
    model, words = randomised(bert.BertClassifier(BERT)), tokens(2, 5)
    padded = torch.cat([words, tokens(2, 7, seed=5)], dim=1)
    mask = torch.arange(12).expand(2, 12) < 5
    assert torch.allclose(model(padded, mask), model(words), rtol=0, atol=1e-5)
    # On crossbars too, where a large value of padding would set the scale of what is written.
    crossbar = Crossbar(read_sigma=0.0, write_sigma=0.0)
    assert torch.allclose(model(padded, mask, crossbar=crossbar), model(words, crossbar=crossbar), rtol=0, atol=1e-4)


# ---- GPT-2 ------------------------------------------------------------------------------------------------------

def test_gpt2_has_the_names_and_shapes_of_published_checkpoints():
    shapes = {name: tuple(tensor.shape) for name, tensor in gpt2.Gpt2(GPT2).state_dict().items()}
    expected = {"wte.weight": (50, 24), "wpe.weight": (12, 24), "ln_f.weight": (24,), "ln_f.bias": (24,)}
    for i in range(2):
        for name, (inputs, outputs) in {"attn.c_attn": (24, 72), "attn.c_proj": (24, 24), "mlp.c_fc": (24, 96),
                                        "mlp.c_proj": (96, 24)}.items():
            expected |= {f"h.{i}.{name}.weight": (inputs, outputs), f"h.{i}.{name}.bias": (outputs,)}
        expected |= {f"h.{i}.{norm}.{kind}": (24,) for norm in ("ln_1", "ln_2") for kind in ("weight", "bias")}
    assert shapes == expected


@pytest.mark.parametrize("batch, length", [(1, 1), (3, 7), (2, 12)])
def test_gpt2_is_pytorchs_pre_norm_encoder_with_a_causal_mask(batch, length):
    model, words = randomised(gpt2.Gpt2(GPT2)), tokens(batch, length)
    x = model.wte.weight[words] + model.wpe.weight[:length]
    for block in model.h:
        parts = [(m.weight.t(), m.bias) for m in (block.attn.c_attn, block.attn.c_proj, block.mlp.c_fc, block.mlp.c_proj)]
        reference = as_torch(parts, (block.ln_1, block.ln_2), 3, 24, 96, True, lambda y: F.gelu(y, approximate="tanh"), 1e-5)
        with torch.enable_grad():
            x = reference(x, torch.nn.Transformer.generate_square_subsequent_mask(length)).detach()
    expected = F.layer_norm(x, (24,), model.ln_f.weight, model.ln_f.bias, 1e-5) @ model.wte.weight.t()
    assert torch.allclose(model(words), expected, rtol=0, atol=2e-5)
    assert expected.std() > 0.1


@pytest.mark.parametrize("steps", [[1] * 12, [5, 1, 1, 5], [12]])
def test_decoding_with_a_cache_equals_the_full_forward(steps):
    model, words = randomised(gpt2.Gpt2(GPT2)), tokens(2, 12)
    caches = model.new_caches()
    logits = torch.cat([model.decode(part, caches) for part in words.split(steps, dim=1)], dim=1)
    assert torch.allclose(logits, model(words), rtol=0, atol=1e-5)
    assert all(k.shape == v.shape == (2, 12, 24) for k, v in caches)


def test_rows_in_the_cache_keep_their_write_noise():
    model, words = randomised(gpt2.Gpt2(GPT2)), tokens(1, 6)
    caches, noisy = model.new_caches(), Crossbar(**IDEAL | {"write_sigma": 0.1}, generator=torch.Generator().manual_seed(1))
    model.decode(words[:, :4], caches, noisy)
    before = [[part.clone() for part in cache] for cache in caches]
    model.decode(words[:, 4:], caches, noisy)
    assert all(torch.equal(new[:, :4], old) for cache, olds in zip(caches, before) for new, old in zip(cache, olds))


# ---- on crossbars -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", [bert, gpt2])
def test_crossbars_without_noise_equal_the_plain_model_and_each_non_ideality_shows(family):
    model = randomised(bert.BertClassifier(BERT) if family is bert else gpt2.Gpt2(GPT2))
    words, generator = tokens(3, 9), torch.Generator().manual_seed(1)
    plain = model(words)
    assert torch.allclose(model(words, crossbar=Crossbar(**IDEAL)), plain, rtol=0, atol=2e-5)
    for change in ({"read_sigma": 0.05}, {"write_sigma": 0.1}, {"quantise": True}):
        assert not torch.allclose(model(words, crossbar=Crossbar(**IDEAL | change, generator=generator)), plain, atol=1e-3)


# ---- training ---------------------------------------------------------------------------------------------------

class CountingTask:
    """Tells the next number; stops like a killed job when it has given `batches` batches."""

    metric, glimpse = "loss", 4

    def __init__(self, batches=10**9):
        self.left = batches

    def loss(self, model, batch, generator, crossbar):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        begins = torch.tensor([generator.randrange(30) for _ in range(batch)])
        numbers = begins[:, None] + torch.arange(9)
        return F.cross_entropy(model(numbers[:, :-1], crossbar).flatten(0, 1), numbers[:, 1:].flatten())

    def score(self, model, crossbar=None, limit=None):
        return 0.0


def train_counting(folder, batches=10**9, **changes):
    options = argparse.Namespace(out=str(folder / "w.safetensors"), rounds=3, steps=7, batch=4, learning_rate=1e-2, seed=1,
                                 weight_decay=0.01, threads=1, **changes)
    torch.manual_seed(1)
    model = gpt2.Gpt2(GPT2)
    model.initialise()
    train_text.train(model, CountingTask(batches), options, lambda generator, noise: Crossbar(gamma=3.0, generator=noise))
    return model.state_dict()


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path, capsys):
    (tmp_path / "whole").mkdir()
    whole = train_counting(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_counting(tmp_path, batches=10)
    resumed = train_counting(tmp_path)
    assert "resuming after round 1" in capsys.readouterr().out
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    train_counting(tmp_path)
    with pytest.raises(SystemExit, match="of a training with other options. Remove it to start anew."):
        train_counting(tmp_path, width=7)


# ---- the shipped models -----------------------------------------------------------------------------------------

def shipped(name, architecture, model):
    tensors, metadata = safetensors_file.load(DATA / f"{name}.safetensors")
    built = model(architecture(**json.loads(metadata["architecture"])))
    built.load_state_dict({key: torch.from_numpy(tensor) for key, tensor in tensors.items()})
    assert (DATA / f"{name}.safetensors").stat().st_size < 6e6
    return built.eval().requires_grad_(False), metadata


def test_the_shipped_bert_knows_the_language_of_held_out_words(tmp_path):
    model, metadata = shipped("language_bert", bert.Architecture, bert.BertClassifier)
    texts = [("Ændringen skal skrives to gange før den gemmes", "da"), ("Ändringen måste skrivas två gånger innan den sparas", "sv"),
             ("De wijziging moet tweemaal worden geschreven", "nl"), ("Die Änderung muss zweimal geschrieben werden", "de"),
             ("El cambio debe escribirse dos veces", "es"), ("A mudança deve ser escrita duas vezes", "pt-br"),
             ("La modifica deve essere scritta due volte", "it"), ("La modification doit être écrite deux fois", "fr"),
             ("Zmiana musi zostać zapisana dwa razy", "pl")]
    classes = json.loads(metadata["classes"])
    (tmp_path / "classes.txt").write_text("\n".join(classes))
    (tmp_path / "texts.tsv").write_text("".join(f"{language}\t{text}\n" for text, language in texts))
    arguments = (tmp_path / "texts.tsv", tmp_path / "texts.h5", "--vocabulary", DATA / "language_bert.vocab.txt", "--classes",
                 tmp_path / "classes.txt", "--length", "32", "--weights", DATA / "language_bert.safetensors")
    assert prepare_text.main([str(argument) for argument in arguments]) == 0
    words, mask, labels = read(tmp_path / "texts.h5")
    assert (model(words, mask).argmax(1) == labels).sum() >= len(texts) - 1
    assert float(metadata["top1_percent"]) >= 93


def test_the_shipped_gpt_writes_english(tmp_path):
    model, metadata = shipped("character_gpt", gpt2.Architecture, gpt2.Gpt2)
    prose = "And he said unto them, Behold, the noise of the current is as the noise of many waters, and no man can read it twice.\n"
    (tmp_path / "prose.txt").write_text(prose)
    arguments = (tmp_path / "prose.txt", tmp_path / "prose.h5", "--characters", DATA / "character_gpt.vocab.txt", "--length", "100",
                 "--weights", DATA / "character_gpt.safetensors")
    assert prepare_text.main([str(argument) for argument in arguments]) == 0
    words, _, _ = read(tmp_path / "prose.h5")
    bits = F.cross_entropy(model(words)[0, :-1], words[0, 1:]) / torch.log(torch.tensor(2.0))
    assert bits < 3 and float(metadata["bits_per_character"]) < 2.5


def read(path):
    import h5py
    with h5py.File(path) as file:
        labels = torch.from_numpy(file["labels"][:]).long() if "labels" in file else None
        return torch.from_numpy(file["tokens"][:]).long(), torch.from_numpy(file["mask"][:]).bool(), labels
