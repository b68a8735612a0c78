#!/usr/bin/python3
"""Turn labelled JPEG or PNG files into the HDF5 data set that crossweep reads.

    prepare_images.py FOLDER images.h5                        FOLDER holds labels.csv (columns file,class_index)
    prepare_images.py imagenet/val images.h5                  FOLDER holds one folder per class, sorted by name
    prepare_images.py imagenet/val images.h5 --labels val.txt files lie flat, labels in val.txt
    prepare_images.py FOLDER images.h5 --crop-only            the images are already resized: centre crop alone

The file holds `images` uint8 [n, h, w, c] with attributes `mean` and `std` (float64 [c], of pixels scaled to
[0, 1]), `labels` int32 [n] and `files` (text [n]); root attributes `source`, `resize`, `crop` and `interpolation`
say how it was made. Images are ordered by file name, so that the first n of ImageNet's are a mix of classes.

A labels file is a CSV with the columns file,class_index, or lines of "FILE INDEX"; the index counts classes from 0
in the order of the model's outputs (for ImageNet: the sorted WordNet identifiers).
Exit codes: 0 done, 2 usage, 4 images or labels cannot be used.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIXES = {".jpeg", ".jpg", ".png"}
BATCH = 64  # images decoded and held at a time

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_DEIT = {"size": 224, "crop_fraction": 0.9, "interpolation": "bicubic"} | _IMAGENET
# timm's evaluation settings (default_cfgs of its vision_transformer and deit modules).
MODELS = {
    "deit_tiny_patch16_224": _DEIT,
    "deit_small_patch16_224": _DEIT,
    "deit_base_patch16_224": _DEIT,
    "vit_tiny_patch16_224": _DEIT | {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    "vit_small_patch16_224": _DEIT | {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    "vit_base_patch16_224": _DEIT | {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
}
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR,
            "nearest": Image.Resampling.NEAREST, "lanczos": Image.Resampling.LANCZOS}


class DataError(Exception):
    """Images or labels cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Preprocessing:
    """`size`: edge of the square crop in pixels. `resize`: length of the shorter side before it, None = as it is."""

    size: int
    resize: int | None
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


def load_image(path: Path, how: Preprocessing) -> np.ndarray:
    """Read, convert to RGB, resize and centre-crop one image: uint8 [size, size, 3]. Throws DataError."""
    try:
        with Image.open(path) as opened:
            if opened.mode.startswith(("I", "F")):
                raise DataError(f"{path} has more than 8 bits per channel (mode {opened.mode}). Convert it to 8 bits.")
            # As torchvision loads: alpha is dropped, not blended, and the EXIF orientation is not applied.
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}). Replace the file or remove it.") from None
    if how.resize is not None:
        image = image.resize(resized(image.width, image.height, how.resize), _FILTERS[how.interpolation])
    if min(image.size) < how.size:
        raise DataError(f"{path} is {image.width} × {image.height} pixels, smaller than the crop of {how.size}. "
                        + ("Leave out --crop-only or give a smaller --size." if how.resize is None else
                           "Give a smaller --crop-fraction."))
    left, top = (crop_offset(length, how.size, how.resize is not None) for length in (image.width, image.height))
    return np.asarray(image.crop((left, top, left + how.size, top + how.size)))


def resized(width: int, height: int, shorter: int) -> tuple[int, int]:
    """Width and height after scaling the shorter side to `shorter`; the longer is rounded down, as torchvision does."""
    if width <= height:
        return shorter, int(shorter * height / width)
    return int(shorter * width / height), shorter


def crop_offset(length: int, crop: int, resized: bool = True) -> int:
    """First pixel of a centre crop. After a resize as torchvision's, which rounds halves to even; of images that come
    already resized rounded down, which is what their published figures were measured with."""
    return int(round((length - crop) / 2.0)) if resized else (length - crop) // 2


# ---- finding images and labels ----------------------------------------------------------------------------------

def find_images(folder: Path, labels: Path | None, classes: Path | None) -> list[tuple[Path, int]]:
    """(file, class index) of all images of `folder`, ordered by file name. Throws DataError.

    With a labels file (`labels`, else labels.csv in the folder) the files lie in the folder as it says; without,
    every folder in it is a class, numbered in name order or as listed in `classes`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Give the folder that holds the images.")
    if labels is None and (folder / "labels.csv").exists():
        labels = folder / "labels.csv"
    flat = [p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES]
    folders = sorted((p for p in folder.iterdir() if p.is_dir()), key=lambda p: p.name)
    if labels is not None:
        if classes is not None:
            raise DataError("a labels file already numbers the classes. Leave out --classes.")
        found = _from_labels(folder, labels, flat)
    elif flat and folders:
        raise DataError(f"{folder} mixes image files ({flat[0].name}, …) with class folders ({folders[0].name}, …). "
                        "Keep one kind, or give --labels.")
    elif flat:
        raise DataError(f"{folder} holds {len(flat)} images but no labels.csv. Add one (columns file,class_index) or "
                        "give --labels FILE.")
    else:
        found = _from_class_folders(folder, folders, classes)
    if not found:
        raise DataError(f"{folder} holds no images (looked for {', '.join(sorted(SUFFIXES))}).")
    return sorted(found, key=lambda entry: (entry[0].name, str(entry[0])))


def _from_labels(folder: Path, labels: Path, flat: list[Path]) -> list[tuple[Path, int]]:
    index_of = read_labels(labels)
    found = {}
    for name, index in index_of.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{labels} names {name}, which is not in {folder}. Remove the line or add the file.")
        found[path] = index
    missing = sorted(p.name for p in flat if p not in found)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{labels} has no label for {missing[0]}{more}. Add the missing lines or move the files away.")
    return list(found.items())


def _from_class_folders(folder: Path, folders: list[Path], classes: Path | None) -> list[tuple[Path, int]]:
    order = [p.name for p in folders]
    if classes is not None:
        order = [line.strip() for line in _read_text(classes).splitlines() if line.strip()]
        unknown = [p.name for p in folders if p.name not in order]
        if unknown:
            raise DataError(f"{classes} does not list the class folder {unknown[0]}. Add it in its place.")
    elif len(order) != 1000 and all(name.startswith("n") and name[1:].isdigit() for name in order) and order:
        print(f"warning: {len(order)} class folders of ImageNet are numbered 0 to {len(order) - 1}, which is not their "
              "index among all 1000; give --classes with the 1000 identifiers in order.", file=sys.stderr)
    return [(path, order.index(p.name)) for p in folders for path in p.iterdir() if path.suffix.lower() in SUFFIXES]


def read_labels(path: Path) -> dict[str, int]:
    """File name -> class index, from a CSV with columns file,class_index or from lines "FILE INDEX"."""
    lines = [line for line in _read_text(path).splitlines() if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty. Give lines of file,class_index.")
    separator = "," if "," in lines[0] else None
    rows = list(csv.reader(lines)) if separator else [line.split() for line in lines]
    columns, first = (0, 1), 0
    header = [cell.strip() for cell in rows[0]]
    if {"file", "class_index"} <= set(header):
        columns, first = (header.index("file"), header.index("class_index")), 1
    index_of: dict[str, int] = {}
    for number, row in enumerate(rows[first:], first + 1):
        if len(row) == 1:
            raise DataError(f'{path}:{number}: "{row[0]}" is one column, not FILE and INDEX. The development kit\'s '
                            "ILSVRC2012_validation_ground_truth.txt counts classes in an order of its own and cannot "
                            "be used.")
        try:
            name, index = row[columns[0]].strip(), int(row[columns[1]])
        except (IndexError, ValueError):
            raise DataError(f'{path}:{number}: "{" ".join(row)}" is not a file and a whole class index. Write '
                            "file,class_index.") from None
        if index < 0:
            raise DataError(f"{path}:{number}: class index {index} of {name} is negative. Classes count from 0.")
        if index_of.setdefault(name, index) != index:
            raise DataError(f"{path}:{number}: {name} has two labels, {index_of[name]} and {index}. Keep one.")
    return index_of


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from None


# ---- writing ----------------------------------------------------------------------------------------------------

def write_images(out: Path, entries: list[tuple[Path, int]], source: Path, how: Preprocessing, jobs: int) -> None:
    """Decode `entries` in batches and write them to `out` through a temporary file and a rename. Throws DataError."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".tmp")
    try:
        with h5py.File(temporary, "w") as file, ThreadPoolExecutor(jobs) as pool:
            images = file.create_dataset("images", (len(entries), how.size, how.size, 3), np.uint8)
            images.attrs["mean"], images.attrs["std"] = np.array(how.mean, float), np.array(how.std, float)
            file["labels"] = np.array([index for _, index in entries], np.int32)
            file.create_dataset("files", data=[path.relative_to(source).as_posix() for path, _ in entries], dtype=h5py.string_dtype())
            file.attrs["source"] = str(source)
            file.attrs["resize"] = "none" if how.resize is None else f"shorter side to {how.resize} pixels"
            file.attrs["crop"] = f"centre {how.size} x {how.size} pixels"
            file.attrs["interpolation"] = "none" if how.resize is None else how.interpolation
            for begin in range(0, len(entries), BATCH):
                batch = entries[begin: begin + BATCH]
                images[begin: begin + len(batch)] = np.stack(list(pool.map(lambda e: load_image(e[0], how), batch)))
                _show_progress(begin + len(batch), len(entries))
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total} images", end="\n" if done == total else "", file=sys.stderr, flush=True)


def preprocessing(options: argparse.Namespace) -> Preprocessing:
    """The model's settings with what the command line overrides. Throws ValueError for what makes no sense."""
    chosen = dict(MODELS[options.model])
    for key in ("size", "crop_fraction", "interpolation", "mean", "std"):
        if getattr(options, key) is not None:
            chosen[key] = getattr(options, key)
    if chosen["size"] < 1:
        raise ValueError(f"--size {chosen['size']} is not a positive number of pixels.")
    if not 0 < chosen["crop_fraction"] <= 1:
        raise ValueError(f"--crop-fraction {chosen['crop_fraction']} is not in (0, 1].")
    if min(chosen["std"]) <= 0:
        raise ValueError("--std must be positive.")
    if options.crop_only and (options.crop_fraction is not None or options.interpolation is not None):
        raise ValueError("--crop-only does not resize. Leave out --crop-fraction and --interpolation.")
    resize = None if options.crop_only else math.floor(chosen["size"] / chosen["crop_fraction"])
    return Preprocessing(chosen["size"], resize, chosen["interpolation"], tuple(chosen["mean"]), tuple(chosen["std"]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder of images")
    parser.add_argument("out", type=Path, metavar="OUT.h5", help="file to write")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of files that lie flat (default: FOLDER/labels.csv)")
    parser.add_argument("--classes", type=Path, metavar="FILE",
                        help="class folder names in the order of the model's outputs, one a line (default: sorted by name)")
    parser.add_argument("--model", choices=sorted(MODELS), default="deit_tiny_patch16_224",
                        help="whose evaluation preprocessing (default: %(default)s; all DeiT models share it)")
    parser.add_argument("--crop-only", action="store_true", help="centre crop without resizing")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="edge of the crop")
    parser.add_argument("--crop-fraction", type=float, metavar="F",
                        help="the shorter side becomes floor(size / F) before the crop; 0.875 is DeiT's own evaluation")
    parser.add_argument("--interpolation", choices=sorted(_FILTERS))
    parser.add_argument("--mean", type=float, nargs=3, metavar=("R", "G", "B"), help="of pixels scaled to [0, 1]")
    parser.add_argument("--std", type=float, nargs=3, metavar=("R", "G", "B"), help="of pixels scaled to [0, 1]")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="decoding threads (default: the processors of this job)")
    options = parser.parse_args(arguments)
    try:
        how = preprocessing(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        entries = find_images(options.folder, options.labels, options.classes)
        write_images(options.out, entries, options.folder, how, max(1, options.jobs))
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    print(f"{options.out}: {len(entries)} images of {how.size} × {how.size}, "
          f"{len({index for _, index in entries})} classes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
