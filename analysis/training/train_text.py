#!/usr/bin/python3
"""Train the two text models that ship in data/, on text from Debian packages.

    ./train_text.py bert --out ../../data/language_bert.safetensors    which of ten languages a few words are in
    ./train_text.py gpt2 --out ../../data/character_gpt.safetensors    English, character by character
    ./train_text.py bert --from WEIGHTS --gamma 3 7 --out OTHER        variation-aware: fine-tuned under write noise

The vocabulary is learnt from the training part and written beside the weights. A checkpoint is kept beside the output
after every round; the same command picks it up again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import sys
import time
from pathlib import Path

# Without these, BLAS threads fight OpenMP threads and half of the time goes into page faults.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "SkylakeX",
                "MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "4000000000"}
if __name__ == "__main__" and any(name not in os.environ for name in _ENVIRONMENT):
    os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
    os.execv(sys.executable, [sys.executable, *sys.argv])
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from torch.nn import functional as F

import bert
import corpora
import gpt2
import safetensors_file
import tokenisers
import wordpiece_vocabulary
from crossbar_noise import Crossbar


class LanguageTask:
    """Few words in, their language out: as many pieces of each language in a batch, however rare it is."""

    pieces_per_language = {"train": 6000, "test": 250}
    dropped_words = 0.1  # become [UNK]: a model that waits for one word fails on others
    metric, glimpse = "top1_percent", 500

    def __init__(self, options, vocabulary: Path):
        self.length = options.length
        texts, labels = corpora.language_pieces("train", self.pieces_per_language["train"])
        if not options.start:
            pieces = wordpiece_vocabulary.learn(texts, options.vocabulary)
            vocabulary.write_text("".join(piece + "\n" for piece in pieces), encoding="utf-8")
        self.tokeniser = tokenisers.WordPiece.load(vocabulary)
        self.by_label = [[] for _ in corpora.LANGUAGES]
        for text, label in zip(texts, labels):
            self.by_label[label].append([self.tokeniser.encode(word) for word in text.split()])
        texts, labels = corpora.language_pieces("test", self.pieces_per_language["test"])
        self.test = self._padded([self.tokeniser.encode(text) for text in texts])
        self.test_labels = torch.tensor(labels)
        self.architecture = bert.Architecture(vocab_size=len(self.tokeniser), max_length=options.length,
                                              num_classes=len(corpora.LANGUAGES), embed_dim=options.width,
                                              depth=options.depth, num_heads=options.width // 32, mlp_dim=4 * options.width)

    def _padded(self, texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        first, last = self.tokeniser.encode_pair("")[0]
        rows = [[first, *tokens[: self.length - 2], last] for tokens in texts]
        longest = max(map(len, rows))
        tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        return tokens, torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]

    def loss(self, model, batch: int, generator: random.Random, crossbar) -> torch.Tensor:
        labels = [generator.randrange(len(self.by_label)) for _ in range(batch)]
        texts = []
        for label in labels:
            words = generator.choice(self.by_label[label])
            count = generator.randint(corpora.WORDS[0], len(words))
            begin = generator.randint(0, len(words) - count)
            unknown = [self.tokeniser.unknown]
            texts.append([token for word in words[begin: begin + count]
                          for token in (unknown if generator.random() < self.dropped_words else word)])
        tokens, mask = self._padded(texts)
        return F.cross_entropy(model(tokens, mask, crossbar=crossbar), torch.tensor(labels))

    def score(self, model, crossbar=None, limit: int | None = None) -> float:
        """Top-1 in per cent of the held-out pieces."""
        tokens, mask, labels = self.test[0][:limit], self.test[1][:limit], self.test_labels[:limit]
        hits = sum(int((model(t, m, crossbar=crossbar).argmax(1) == wanted).sum())
                   for t, m, wanted in zip(tokens.split(250), mask.split(250), labels.split(250)))
        return 100.0 * hits / len(labels)

    def metadata(self) -> dict[str, str]:
        return {"model": "language_bert", "classes": json.dumps(corpora.LANGUAGES), "test_texts": str(len(self.test_labels)),
                "data_set": "words of translated manual pages (Debian packages manpages-"
                            + ", manpages-".join(corpora.LANGUAGES) + ")"}


class CharacterTask:
    """The next character of the Bible; the score counts windows as the simulator does, whose first is not predicted."""

    metric, glimpse = "bits_per_character", 80

    def __init__(self, options, vocabulary: Path):
        text = corpora.bible("train")
        if not options.start:
            tokenisers.Characters.of(text).save(vocabulary)
        self.tokeniser = tokenisers.Characters.load(vocabulary)
        self.text = torch.tensor(self.tokeniser.encode(text))
        held_out = torch.tensor(self.tokeniser.encode(corpora.bible("test")))
        self.length = options.length
        self.test = held_out[: len(held_out) // self.length * self.length].view(-1, self.length)
        self.architecture = gpt2.Architecture(vocab_size=len(self.tokeniser), max_length=options.length,
                                              embed_dim=options.width, depth=options.depth, num_heads=options.width // 32)

    def loss(self, model, batch: int, generator: random.Random, crossbar) -> torch.Tensor:
        begins = torch.tensor([generator.randrange(len(self.text) - self.length) for _ in range(batch)])
        windows = self.text[begins[:, None] + torch.arange(self.length + 1)]
        return F.cross_entropy(model(windows[:, :-1], crossbar).flatten(0, 1), windows[:, 1:].flatten())

    def score(self, model, crossbar=None, limit: int | None = None) -> float:
        """Bits per character of the held-out windows."""
        windows = self.test[:limit]
        nats = sum(float(F.cross_entropy(model(w, crossbar)[:, :-1].flatten(0, 1), w[:, 1:].flatten(), reduction="sum"))
                   for w in windows.split(50))
        return nats / (len(windows) * (self.length - 1) * 0.6931471805599453)

    def metadata(self) -> dict[str, str]:
        return {"model": "character_gpt", "test_texts": str(len(self.test)),
                "data_set": "King James Bible, verses without numbers (Debian package bible-kjv-text)"}


TASKS = {"bert": (LanguageTask, bert.Architecture, bert.BertClassifier),
         "gpt2": (CharacterTask, gpt2.Architecture, gpt2.Gpt2)}


def train(model, task, options, crossbar_of_step) -> None:
    """AdamW with a cosine schedule; `crossbar_of_step(generator)` gives the non-idealities of one step, or None."""
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    plain = [p for p in model.parameters() if p.ndim < 2]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": options.weight_decay},
                                   {"params": plain, "weight_decay": 0.0}], lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, pct_start=0.1,
                                                   total_steps=options.rounds * options.steps, anneal_strategy="cos")
    checkpoint = Path(options.out).with_suffix(".checkpoint.pt")
    # A checkpoint belongs to one training: with other options it would finish under a false name.
    identity = {name: value for name, value in vars(options).items() if name not in ("threads", "out")}
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        if state["options"] != identity:
            sys.exit(f"{checkpoint}: the checkpoint is of a training with other options. Remove it to start anew.")
        for part, name in ((model, "model"), (optimiser, "optimiser"), (schedule, "schedule")):
            part.load_state_dict(state[name])
        first = state["round"]
        print(f"resuming after round {first} from {checkpoint}")

    for number in range(first, options.rounds):
        generator = random.Random(options.seed * 1000 + number)
        noise = torch.Generator().manual_seed(options.seed * 1000 + number)
        model.train()
        started, running = time.time(), 0.0
        for _ in range(options.steps):
            loss = task.loss(model, options.batch, generator, crossbar_of_step(generator, noise))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            running += loss.item()
        model.eval()
        with torch.no_grad():
            noisy = " ".join(f"γ={g}: {task.score(model, Crossbar(gamma=g, generator=noise), task.glimpse):.2f}" for g in (3, 5, 8))
            clean = task.score(model, limit=task.glimpse)
        print(f"round {number + 1} of {options.rounds}: loss {running / options.steps:.4f}, {task.metric} of {task.glimpse} held-out "
              f"texts {clean:.3f}, under noise {noisy}, {time.time() - started:.0f} s", flush=True)
        torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict(),
                    "round": number + 1, "options": identity}, checkpoint)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=sorted(TASKS))
    parser.add_argument("--out", required=True, help="safetensors file to write; the vocabulary is put beside it")
    parser.add_argument("--from", dest="start", help="weights to start from; their vocabulary lies beside them")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=400, help="of a round")
    parser.add_argument("--batch", type=int, help="texts of a step")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--query-key-gain", type=float, default=1.0, help="factor on the initial W_Q and W_K")
    parser.add_argument("--vocabulary", type=int, default=3000, metavar="SIZE", help="bert: WordPiece tokens, at most")
    parser.add_argument("--length", type=int, help="tokens of a text, at most")
    parser.add_argument("--width", type=int, default=96)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--gamma", type=float, nargs=2, metavar=("LOW", "HIGH"),
                        help="variation-aware: the write noise factor of a step is uniform in this range")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    is_bert = options.family == "bert"
    options.batch = options.batch or (128 if is_bert else 16)
    options.length = options.length or (32 if is_bert else 128)
    options.learning_rate = options.learning_rate or (1e-3 if is_bert else 2e-3)
    return options


def main() -> None:
    options = parse()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    out = Path(options.out)
    vocabulary = Path(options.start or out).with_suffix(".vocab.txt")
    make_task, Architecture, Model = TASKS[options.family]
    command = shlex.join([Path(word).name if "/" in word else word for word in ["train_text.py", *sys.argv[1:]]])
    try:
        task = make_task(options, vocabulary)
    except (corpora.CorpusError, tokenisers.TokenError) as error:
        sys.exit(f"error: {error}")
    if options.start:
        tensors, metadata = safetensors_file.load(options.start)
        model = Model(Architecture(**json.loads(metadata["architecture"])))
        model.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
        command = f"{metadata['training_command']} && {command}"
    else:
        model = Model(task.architecture)
        model.initialise(options.query_key_gain)

    def crossbar_of_step(generator, noise):
        return Crossbar(gamma=generator.uniform(*options.gamma), generator=noise) if options.gamma else None

    train(model, task, options, crossbar_of_step)
    model.eval()
    with torch.no_grad():
        score = task.score(model)
    safetensors_file.save(out, {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}, {
        "format": "pt",
        "architecture": json.dumps(model.arch.to_dict()),
        "tokeniser": task.tokeniser.name,
        "training_command": command,
        "seed": str(options.seed),
        task.metric: f"{score:.4f}",
    } | task.metadata())
    if options.start:
        out.with_suffix(".vocab.txt").write_bytes(vocabulary.read_bytes())
    out.with_suffix(".checkpoint.pt").unlink(missing_ok=True)
    print(f"{task.metric} {score:.3f} of held-out text; written to {out}")


if __name__ == "__main__":
    main()
