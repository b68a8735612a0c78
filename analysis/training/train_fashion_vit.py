#!/usr/bin/python3
r"""Train the Fashion-MNIST vision transformers that ship in data/.

    ./train_fashion_vit.py standard --out ../../data/fashion_vit.safetensors
    ./train_fashion_vit.py vat --from ../../data/fashion_vit.safetensors --out ../../data/fashion_vit_vat.safetensors
    ./train_fashion_vit.py standard --family lv_vit --out ../../data/fashion_lv_vit.safetensors
    ./train_fashion_vit.py standard --family sparse_vit --from ../../data/fashion_vit.safetensors \
        --out ../../data/fashion_sparse_vit.safetensors

`vat` is variation-aware training: fine-tuning with read noise in the weights and write + read noise in K and V.
`--family sparse_vit` adds token selection to the dense model given by --from, which is also its teacher; its variation-
aware training then keeps the learned selection as it is and runs with the best tokens only, as inference does.
A checkpoint is kept beside the output after every epoch; the same command picks it up again.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

# Without these, BLAS threads fight OpenMP threads and half of the time goes into page faults.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "SkylakeX",
                "MALLOC_TRIM_THRESHOLD_": "4000000000", "MALLOC_MMAP_THRESHOLD_": "4000000000"}
if any(name not in os.environ for name in _ENVIRONMENT):
    os.environ.update({name: os.environ.get(name, value) for name, value in _ENVIRONMENT.items()})
    os.execv(sys.executable, [sys.executable, *sys.argv])

import torch
from tqdm import tqdm

import fashion_mnist
import losses
import vision_weights
from crossbar_noise import Crossbar
from vit import FAMILIES, Architecture, VisionTransformer


def accuracy(model, images, labels, crossbar=None, batch=250) -> float:
    """Top-1 in per cent; with a crossbar, read noise is drawn anew for every batch."""
    with torch.no_grad():
        hits = sum(int((model(images[i: i + batch], crossbar).argmax(1) == labels[i: i + batch]).sum())
                   for i in range(0, len(images), batch))
    return 100.0 * hits / len(images)


def train(model, teacher, options, crossbar_of_step) -> None:
    """AdamW with a cosine schedule; `crossbar_of_step(generator)` gives the non-idealities of one step, or None."""
    images, labels = fashion_mnist.load("train")
    test_images, test_labels = fashion_mnist.load("t10k")
    decayed = [p for p in model.parameters() if p.ndim >= 2 and p.shape[0] > 1]
    plain = [p for p in model.parameters() if not (p.ndim >= 2 and p.shape[0] > 1)]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": options.weight_decay},
                                   {"params": plain, "weight_decay": 0.0}], lr=options.learning_rate)
    steps = len(images) // options.batch
    total = options.epochs * steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.learning_rate, total_steps=total,
                                                   pct_start=options.warmup, anneal_strategy="cos")
    checkpoint = Path(options.out).with_suffix(".checkpoint.pt")
    first = 0
    # A checkpoint belongs to one training: with other options it would finish under a false name.
    identity = {name: value for name, value in vars(options).items() if name not in ("threads", "out")}
    if checkpoint.exists():
        state = torch.load(checkpoint)
        if state["options"] != identity:
            sys.exit(f"{checkpoint}: the checkpoint is of a training with other options. Remove it to start anew.")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        first = state["epoch"]
        print(f"resuming after epoch {first} from {checkpoint}")

    for epoch in range(first, options.epochs):
        generator = torch.Generator().manual_seed(options.seed * 1000 + epoch)
        order = torch.randperm(len(images), generator=generator)
        loss_of = losses.of_training(model, teacher, generator)
        model.train()
        started, running = time.time(), 0.0
        bar = tqdm(range(steps), desc=f"epoch {epoch + 1}/{options.epochs}", disable=not sys.stderr.isatty())
        for step in bar:
            index = order[step * options.batch: (step + 1) * options.batch]
            batch = fashion_mnist.augment(images[index], generator, options.shift)
            loss = loss_of(batch, labels[index], crossbar_of_step(generator))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            running += loss.item()
            bar.set_postfix(loss=f"{running / (step + 1):.3f}")
        model.eval()
        noisy = " ".join(f"γ={g}: {accuracy(model, test_images[:1000], test_labels[:1000], Crossbar(gamma=g, generator=generator)):.1f}"
                         for g in (3, 5, 8))
        print(f"epoch {epoch + 1}: loss {running / steps:.4f}, top-1 {accuracy(model, test_images, test_labels):.2f} %, "
              f"first 1000 images under noise {noisy}, {time.time() - started:.0f} s", flush=True)
        torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(),
                    "schedule": schedule.state_dict(), "epoch": epoch + 1, "options": identity}, checkpoint)


def build(options) -> tuple[VisionTransformer, VisionTransformer | None, str]:
    """The model to train, its teacher where there is one, and the commands that made and will make it."""
    command = shlex.join([Path(word).name if "/" in word else word for word in ["train_fashion_vit.py", *sys.argv[1:]]])
    if not options.start:
        arch = Architecture(**{**FAMILIES[options.family], "family": options.family, "patch_size": options.patch,
                               "embed_dim": options.width, "depth": options.depth, "num_heads": options.width // 32,
                               "stem_channels": options.stem_channels if options.family == "lv_vit" else 0})
        model = VisionTransformer(arch)
        model.initialise(options.query_key_gain)
        return model, None, command
    start, metadata = vision_weights.load(options.start)
    command = f"{metadata['training_command']} && {command}"
    if options.family in (None, start.arch.family):
        return start, None, command
    if (options.family, start.arch.family) != ("sparse_vit", "vit"):
        sys.exit(f"{options.start}: weights of family {start.arch.family} cannot start a {options.family}. "
                 "Only a sparse_vit starts from another family, from a vit.")
    ratios = tuple(round(options.keep_ratio ** (stage + 1), 6) for stage in range(len(options.prune_before)))
    model = VisionTransformer(replace(start.arch, family="sparse_vit", keep_ratios=ratios,
                                      prune_before=tuple(options.prune_before)))
    model.initialise()
    model.load_state_dict(start.state_dict(), strict=False)  # all but the predictors
    return model, start, command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["standard", "vat"])
    parser.add_argument("--family", choices=FAMILIES, help="default: that of the weights to start from, else vit")
    parser.add_argument("--out", required=True, help="safetensors file to write")
    parser.add_argument("--from", dest="start", help="weights to start from (vat and sparse_vit: needed)")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--warmup", type=float, default=0.1, help="fraction of the steps")
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--shift", type=int, default=2, help="largest random shift of an image, in pixels")
    parser.add_argument("--query-key-gain", type=float, default=1.0, help="factor on the initial W_Q and W_K")
    parser.add_argument("--patch", type=int, default=4)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--stem-channels", type=int, default=24, help="lv_vit: channels of the convolutions")
    parser.add_argument("--keep-ratio", type=float, default=0.7, help="sparse_vit: tokens kept at each selection")
    parser.add_argument("--prune-before", type=int, nargs="+", default=(2, 3, 5), metavar="BLOCK",
                        help="sparse_vit: the blocks before which tokens are selected")
    parser.add_argument("--gamma", type=float, nargs=2, default=(3.0, 8.0), metavar=("LOW", "HIGH"),
                        help="vat: the write noise factor of a step is uniform in this range")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    vat = options.mode == "vat"
    if vat and not options.start:
        parser.error("vat needs --from WEIGHTS")
    if options.family == "sparse_vit" and not options.start:
        parser.error("sparse_vit needs --from WEIGHTS, a vit to add token selection to")
    options.family = options.family or (None if options.start else "vit")
    options.epochs = options.epochs or (3 if vat else 20)
    options.learning_rate = options.learning_rate or (2e-4 if vat else 1e-3)
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)

    model, teacher, command = build(options)

    def crossbar_of_step(generator):
        if not vat:
            return None
        low, high = options.gamma
        return Crossbar(gamma=low + (high - low) * torch.rand((), generator=generator).item(), generator=generator)

    train(model, teacher, options, crossbar_of_step)
    model.eval()
    top1 = accuracy(model, *fashion_mnist.load("t10k"))
    vision_weights.save(options.out, model, {
        "format": "pt",
        "model": f"fashion_{model.arch.family}_patch{model.arch.patch_size}_{model.arch.image_size}",
        "normalisation": json.dumps({"mean": [fashion_mnist.MEAN], "std": [fashion_mnist.STD]}),
        "training_command": command,
        "seed": str(options.seed),
        "data_set": "Fashion-MNIST (Debian package dataset-fashion-mnist)",
        "top1_percent": f"{top1:.2f}",
        "top1_images": "10000",
    })
    Path(options.out).with_suffix(".checkpoint.pt").unlink(missing_ok=True)
    print(f"top-1 {top1:.2f} % on the 10 000 test images; written to {options.out}")


if __name__ == "__main__":
    main()
