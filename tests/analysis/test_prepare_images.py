"""prepare_images: crop and resize as torchvision's, labels of every layout, the file as the C++ reader expects it."""

import h5py
import numpy as np
import pytest
from PIL import Image

import prepare_images
from prepare_images import crop_offset, resized


def save_image(path, width, height, mode="RGB"):
    """A lossless image whose red channel counts columns and whose green channel counts rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.arange(width)[None, :], np.arange(height)[:, None]
    Image.fromarray(pixels).convert(mode).save(path)
    return pixels


def labelled_folder(folder, count=3, width=20, height=16):
    for i in range(count):
        save_image(folder / f"{i}.png", width, height)
    (folder / "labels.csv").write_text("file,class_index\n" + "".join(f"{i}.png,{10 * i}\n" for i in range(count)))
    return folder


def prepare(*arguments) -> int:
    return prepare_images.main([str(a) for a in arguments])


@pytest.mark.parametrize("length, crop, offset", [(227, 224, 1), (225, 224, 0), (229, 224, 2), (248, 224, 12)])
def test_crop_offset_of_resized_images_rounds_down(length, crop, offset):
    assert crop_offset(length, crop, resized=False) == offset


@pytest.mark.parametrize("length, crop, offset", [(227, 224, 2), (225, 224, 0), (229, 224, 2), (248, 224, 12), (8, 8, 0)])
def test_crop_offset_rounds_halves_to_even_like_torchvision(length, crop, offset):
    assert crop_offset(length, crop) == offset


@pytest.mark.parametrize("size, expected", [((500, 375), (330, 248)), ((375, 500), (248, 330)), ((100, 100), (248, 248))])
def test_resize_scales_the_shorter_side_and_rounds_the_longer_down(size, expected):
    assert resized(*size, 248) == expected


def test_crop_only_copies_the_central_pixels(tmp_path):
    folder = labelled_folder(tmp_path / "images")
    assert prepare(folder, tmp_path / "out.h5", "--crop-only", "--size", 9) == 0
    with h5py.File(tmp_path / "out.h5") as file:
        images = file["images"][:]
        assert images.shape == (3, 9, 9, 3) and images.dtype == np.uint8
        # (20 - 9) / 2 = 5.5 -> 5 and (16 - 9) / 2 = 3.5 -> 3
        assert (images[0, 0, :, 0] == np.arange(5, 14)).all() and (images[0, :, 0, 1] == np.arange(3, 12)).all()
        assert file.attrs["resize"] == "none" and file.attrs["crop"] == "centre 9 x 9 pixels"


def test_the_file_is_what_the_reader_expects(tmp_path):
    folder = labelled_folder(tmp_path / "images")
    assert prepare(folder, tmp_path / "out.h5", "--crop-only", "--size", 8) == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["labels"].dtype == np.int32 and list(file["labels"]) == [0, 10, 20]
        assert np.allclose(file["images"].attrs["mean"], [0.485, 0.456, 0.406], rtol=0)
        assert np.allclose(file["images"].attrs["std"], [0.229, 0.224, 0.225], rtol=0)
        assert file["images"].attrs["mean"].dtype == np.float64
        assert [name.decode() for name in file["files"]] == ["0.png", "1.png", "2.png"]
        assert file.attrs["source"] == str(folder)
    assert not (tmp_path / "out.h5.tmp").exists()


def test_deit_settings_resize_to_248_and_crop_224(tmp_path):
    folder = tmp_path / "images"
    save_image(folder / "0.png", 250, 200)
    (folder / "labels.csv").write_text("file,class_index\n0.png,7\n")
    assert prepare(folder, tmp_path / "out.h5", "--model", "deit_small_patch16_224") == 0
    with Image.open(folder / "0.png") as image:
        whole = np.asarray(image.convert("RGB").resize((310, 248), Image.Resampling.BICUBIC))
    with h5py.File(tmp_path / "out.h5") as file:
        assert (file["images"][0] == whole[12:236, 43:267]).all()
        assert file.attrs["resize"] == "shorter side to 248 pixels" and file.attrs["interpolation"] == "bicubic"


def test_options_override_the_model(tmp_path):
    folder = labelled_folder(tmp_path / "images")
    assert prepare(folder, tmp_path / "out.h5", "--size", 7, "--crop-fraction", 0.875, "--interpolation", "bilinear",
                   "--mean", 0.1, 0.2, 0.3, "--std", 0.4, 0.5, 0.6) == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["images"].shape == (3, 7, 7, 3) and file.attrs["resize"] == "shorter side to 8 pixels"
        assert list(file["images"].attrs["mean"]) == [0.1, 0.2, 0.3] and list(file["images"].attrs["std"]) == [0.4, 0.5, 0.6]


def test_class_folders_are_numbered_by_name_and_images_ordered_by_file_name(tmp_path):
    for folder, image in (("b_dog", "1.png"), ("a_cat", "2.png"), ("b_dog", "3.PNG"), ("c_eel", "0.png")):
        save_image(tmp_path / "val" / folder / image, 8, 8)
    assert prepare(tmp_path / "val", tmp_path / "out.h5", "--crop-only", "--size", 8) == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert list(file["labels"]) == [2, 1, 0, 1]
        assert [f.decode() for f in file["files"]] == ["c_eel/0.png", "b_dog/1.png", "a_cat/2.png", "b_dog/3.PNG"]


def test_some_folders_of_imagenet_warn_and_a_class_list_numbers_them(tmp_path, capsys):
    save_image(tmp_path / "val" / "n02" / "1.png", 8, 8)
    options = ("--crop-only", "--size", 8)
    assert prepare(tmp_path / "val", tmp_path / "out.h5", *options) == 0
    assert "warning: 1 class folders" in capsys.readouterr().err
    (tmp_path / "classes.txt").write_text("n00\nn01\nn02\n")
    assert prepare(tmp_path / "val", tmp_path / "out.h5", *options, "--classes", tmp_path / "classes.txt") == 0
    assert not capsys.readouterr().err
    with h5py.File(tmp_path / "out.h5") as file:
        assert list(file["labels"]) == [2]


def test_flat_files_take_a_labels_file_of_two_columns(tmp_path):
    for name in ("x1.png", "x0.png"):
        save_image(tmp_path / "flat" / name, 8, 8)
    (tmp_path / "val.txt").write_text("x0.png 65\nx1.png 970\n")
    assert prepare(tmp_path / "flat", tmp_path / "out.h5", "--labels", tmp_path / "val.txt", "--crop-only", "--size", 8) == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert list(file["labels"]) == [65, 970]


@pytest.mark.parametrize("mode, suffix", [("L", ".png"), ("LA", ".png"), ("RGBA", ".png"), ("P", ".png"), ("CMYK", ".jpg")])
def test_other_colour_modes_become_rgb(tmp_path, mode, suffix):
    save_image(tmp_path / f"0{suffix}", 8, 8, mode)
    how = prepare_images.Preprocessing(8, None, "bicubic", (0.5,) * 3, (0.5,) * 3)
    assert prepare_images.load_image(tmp_path / f"0{suffix}", how).shape == (8, 8, 3)


def test_more_images_than_one_batch(tmp_path):
    folder = labelled_folder(tmp_path / "images", count=prepare_images.BATCH + 2, width=4, height=4)
    assert prepare(folder, tmp_path / "out.h5", "--crop-only", "--size", 4) == 0
    with h5py.File(tmp_path / "out.h5") as file:
        assert (file["images"][:, 0, :, 0] == np.arange(4)).all()


def _unlabelled(folder):
    save_image(folder / "extra.png", 20, 16)


def _unreadable(folder):
    (folder / "1.png").write_bytes(b"not an image")


def _absent(folder):
    (folder / "2.png").unlink()


def _mixed(folder):
    (folder / "labels.csv").unlink()
    save_image(folder / "n01" / "9.png", 8, 8)


def _no_labels(folder):
    (folder / "labels.csv").unlink()


def _bad_index(folder):
    (folder / "labels.csv").write_text("file,class_index\n0.png,cat\n")


def _two_labels(folder):
    (folder / "labels.csv").write_text("file,class_index\n0.png,1\n0.png,2\n")


def _development_kit(folder):
    (folder / "labels.csv").write_text("490\n361\n171\n")


def _deep(folder):
    Image.fromarray(np.zeros((16, 20), np.uint16)).save(folder / "1.png")


@pytest.mark.parametrize("spoil, message", [
    (_unlabelled, "has no label for extra.png"), (_unreadable, "1.png cannot be read as an image"),
    (_absent, "names 2.png, which is not in"), (_mixed, "mixes image files"), (_no_labels, "no labels.csv"),
    (_bad_index, 'labels.csv:2: "0.png cat" is not'), (_two_labels, "has two labels, 1 and 2"),
    (_development_kit, "an order of its own"), (_deep, "more than 8 bits")])
def test_unusable_input_exits_4_names_the_culprit_and_leaves_no_file(tmp_path, capsys, spoil, message):
    folder = labelled_folder(tmp_path / "images")
    spoil(folder)
    assert prepare(folder, tmp_path / "out.h5", "--crop-only", "--size", 8) == 4
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and error.count("\n") == 1
    assert not list(tmp_path.glob("out.h5*"))


def test_an_image_smaller_than_the_crop_is_refused(tmp_path, capsys):
    folder = labelled_folder(tmp_path / "images")
    assert prepare(folder, tmp_path / "out.h5", "--crop-only") == 4
    assert "20 × 16 pixels, smaller than the crop of 224" in capsys.readouterr().err


def test_senseless_settings_exit_2(tmp_path, capsys):
    folder = labelled_folder(tmp_path / "images")
    assert prepare(folder, tmp_path / "out.h5", "--crop-fraction", 1.5) == 2
    assert prepare(folder, tmp_path / "out.h5", "--crop-only", "--crop-fraction", 0.9) == 2
    assert "--crop-only does not resize" in capsys.readouterr().err
