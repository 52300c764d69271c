"""Calibration data: archives that cannot be trusted, pictures, arrays, and which of them are used."""

from __future__ import annotations

import io
import warnings
import zipfile

import numpy as np
import pytest
from calibration_world import ARRAYS, BYTES, PICTURES, npy, png, room_in, tar
from PIL import Image

from axbuild.codes import exit_code_of
from axbuild.errors import AxWarning
from axbuild.toolchain.data.archives import BrokenArchiveError
from axbuild.toolchain.data.arrays import BadArrayError
from axbuild.toolchain.data.decode import CalibrationSetError, DecodeParams
from axbuild.toolchain.data.images import BadImageError, decode_image
from axbuild.toolchain.data.resize import resized


@pytest.fixture
def room(tmp_path):
    return room_in(tmp_path)


@pytest.mark.parametrize(("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz")])
def test_pictures_of_a_tar_are_decoded_in_channel_order(room, name, mode):
    tar(room.source / name, {"set/a.png": png((1, 2, 3)), "set/b.PNG": png((4, 5, 6))}, mode)
    samples = room.run(DecodeParams("", "Image", 32, "BGR"))
    assert list(samples) == ["a", "b"]
    assert samples["a"].dtype == np.uint8
    assert samples["a"].shape == (4, 4, 3)
    assert samples["a"][0, 0].tolist() == [3, 2, 1]
    assert samples["b"][3, 3].tolist() == [6, 5, 4]


def test_a_zip_and_loose_files_give_the_same_samples(room):
    with zipfile.ZipFile(room.source / "a.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("deep/er/a.png", png((9, 8, 7)))
        opened.writestr("__MACOSX/._a.png", b"no picture")
    zipped = room.run(PICTURES)
    (room.source / "a.zip").unlink()
    (room.source / "a.png").write_bytes(png((9, 8, 7)))
    loose = room.run(PICTURES)
    assert list(zipped) == list(loose) == ["a"]
    assert np.array_equal(zipped["a"], loose["a"])


def test_the_first_size_samples_by_name_are_taken_and_fewer_where_there_are_fewer(room):
    for index in range(5):
        (room.source / f"{index}.png").write_bytes(png((index, 0, 0)))
    assert list(room.run(DecodeParams("", "Image", 2, "RGB"))) == ["0", "1"]
    assert len(room.run(DecodeParams("", "Image", -1, "RGB"))) == 5
    assert len(room.run(DecodeParams("", "Image", 32, "RGB"))) == 5


def test_a_picture_is_resized_to_the_model_and_grey_is_one_channel(room):
    room.inputs = (("x", [1, 1, 2, 3]),)
    (room.source / "a.png").write_bytes(png((255, 255, 255), (30, 20)))
    sample = room.run(DecodeParams("", "Image", 32, "GRAY"))["a"]
    assert sample.shape == (2, 3, 1)
    assert sample.tolist() == [[[255]] * 3] * 2


def test_a_picture_is_resized_as_opencv_does_it_in_the_order_of_its_channels():
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    content = saved(Image.fromarray(pixels))
    assert np.array_equal(decode_image(content, "a", (5, 7), "RGB").pixels, resized(pixels, 5, 7))
    assert np.array_equal(decode_image(content, "a", (5, 7), "BGR").pixels, resized(pixels, 5, 7)[:, :, ::-1])


def test_a_picture_that_has_the_size_keeps_its_pixels():
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    assert np.array_equal(decode_image(stream.getvalue(), "a", (5, 7), "RGB").pixels, pixels)


@pytest.mark.parametrize("content", [b"", b"no picture", png((1, 2, 3), (40, 40))[:60]], ids=["empty", "text", "cut"])
def test_a_corrupt_picture_is_named(room, content):
    tar(room.source / "a.tar", {"good.png": png((0, 0, 0)), "set/bad.png": content})
    with pytest.raises(BadImageError, match=r"'a\.tar/set/bad\.png' is not a readable picture") as caught:
        room.run(PICTURES)
    assert exit_code_of(caught.value.code) == 2


def saved(picture, form="PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def turned() -> bytes:
    """A picture of 4 x 2 pixels that a camera held on its side marks as to be turned clockwise."""
    picture = Image.new("RGB", (4, 2), (0, 0, 0))
    picture.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(picture, exif=exif)


def test_a_picture_is_turned_as_its_exif_orientation_says():
    picture = decode_image(turned(), "a", (4, 2), "RGB")
    assert picture.pixels[:, :, 0].tolist() == [[0, 255], [0, 0], [0, 0], [0, 0]]
    assert picture.conversions == ("turned as their EXIF orientation says",)


def test_of_16_bits_the_upper_8_are_kept():
    values = np.array([[0, 255], [256, 65535]], np.uint16)
    picture = decode_image(saved(Image.fromarray(values)), "a", (2, 2), "GRAY")
    assert picture.pixels[:, :, 0].tolist() == [[0, 0], [1, 255]]
    assert picture.conversions == ("cut from 16 to 8 bits",)


def test_pictures_of_floats_are_refused(room):
    (room.source / "a.tif").write_bytes(saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))
    with pytest.raises(BadImageError, match="mode F, which are not 8 or 16 bits a channel"):
        room.run(PICTURES)


@pytest.mark.parametrize(
    ("mode", "form", "tensor_format", "conversion"),
    [
        ("L", "PNG", "RGB", "made colour from grey"),
        ("RGB", "PNG", "GRAY", "made grey from colour"),
        ("CMYK", "JPEG", "BGR", "made RGB from CMYK"),
        ("RGBA", "PNG", "RGB", "without their alpha channel"),
    ],
)
def test_a_conversion_is_told(mode, form, tensor_format, conversion):
    picture = decode_image(saved(Image.new(mode, (4, 4)), form), "a", (4, 4), tensor_format)
    assert picture.conversions == (conversion,)


def told(room, params):
    """The warnings of a run by code, and its notes under "" """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        room.run(params)
    return {one.message.code: one.message.sentence for one in caught}


def noise(seed, size=(4, 4)):
    return saved(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)))


def test_what_is_odd_about_a_set_is_one_counted_line_each(room):
    for number in range(3):
        (room.source / f"n{number}.png").write_bytes(noise(number))
    (room.source / "again.png").write_bytes(noise(0))
    (room.source / "flat.png").write_bytes(png((7, 7, 7)))
    (room.source / "grey.png").write_bytes(saved(Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4) * 9)))
    (room.source / "turned.png").write_bytes(turned())
    said = told(room, PICTURES)
    del said[""]
    assert said == {
        "AX337": "the set has 7 samples, fewer than size = 32",
        "AX338": "1 of 7 samples repeats another one, such as 'n0' and 'again'",
        "AX339": "1 of 7 samples holds one value only, such as 'flat'",
        "AX340": "of 7 pictures 1 made colour from grey, 1 turned as their EXIF orientation says, such as 'grey'",
    }


def test_a_set_in_order_is_told_nothing_but_its_numbers(room):
    (room.source / "a.png").write_bytes(saved(Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))))
    assert told(room, DecodeParams("", "Image", 1, "RGB", (127.5,) * 3, (127.5,) * 3)) == {
        "": "1 sample; behind mean and std the channels hold -1 to -0.6471 (mean -0.8235), "
        "-0.9922 to -0.6392 (mean -0.8157), -0.9843 to -0.6314 (mean -0.8078)"
    }


def test_pictures_that_use_few_values_were_scaled_before(room):
    pixels = np.arange(48).reshape(4, 4, 3) % 3
    (room.source / "a.png").write_bytes(saved(Image.fromarray(pixels.astype(np.uint8))))
    said = told(room, DecodeParams("", "Image", 1, "RGB"))
    assert said["AX341"] == "the pictures use 3 of 256 values; were they scaled before they were saved?"


@pytest.mark.parametrize(
    ("mean", "std", "odd"), [(0.485, 0.229, True), (0.5, 1.0, True), (123.7, 58.4, False), (0.0, 0.5, True)]
)
def test_a_mean_in_units_of_one_is_seen(room, mean, std, odd):
    (room.source / "a.png").write_bytes(noise(1))
    said = told(room, DecodeParams("", "Image", 1, "RGB", (mean,) * 3, (std,) * 3))
    assert ("AX342" in said) is odd
    assert not odd or said["AX342"].endswith("both are in units of pixels, 0 to 255")


@pytest.mark.parametrize(
    ("rows", "code", "sentence"),
    [
        (
            [[5, 0, 7, 0], [9, 8, 0, 0]],
            "",
            "2 samples; the arrays hold whole numbers from 0 to 9, 38% of them zeros that",
        ),
        (
            [[-1, 2, 3, 4], [9, 8, 7, 6]],
            "",
            "2 samples; the arrays hold whole numbers from -1 to 9, 0% of them zeros that",
        ),
        (
            [[5] + [0] * 15, [3] + [0] * 15],
            "AX388",
            "the arrays hold whole numbers from 0 to 5, 94% of them zeros that",
        ),
    ],
)
def test_of_whole_numbers_range_and_padding_are_told(room, rows, code, sentence):
    room.inputs, room.dtype = (("ids", [1, len(rows[0])]),), "int64"
    for number, row in enumerate(rows):
        (room.source / f"{number}.npy").write_bytes(npy(np.array([row])))
    said = told(room, DecodeParams("ids", "Numpy", 2, "AutoColorSpace"))
    assert list(said) == [code]
    assert said[code].startswith(sentence)


def test_one_number_in_all_samples_as_the_segments_of_single_sentences_is_no_padding(room):
    room.inputs, room.dtype = (("segments", [1, 4]), ("ids", [1, 4])), "int64"
    for number in range(2):
        (room.source / f"{number}.npy").write_bytes(npy(np.zeros((1, 4), np.int64)))
    said = told(room, DecodeParams("segments", "Numpy", 2, "AutoColorSpace"))
    assert said == {"": "input 'segments': 2 samples; the arrays hold 0 and no other number"}


def test_what_is_odd_is_told_with_its_input_where_the_model_takes_others_and_the_set_is_its_own(room):
    room.inputs, room.dtype = (("ids", [1, 16]), ("mask", [1, 16])), "int64"
    (room.source / "0.npy").write_bytes(npy(np.array([[5] + [0] * 15])))
    said = told(room, DecodeParams("ids", "Numpy", 2, "AutoColorSpace"))
    assert list(said) == ["AX337", "AX388"]
    assert said["AX337"] == "input 'ids': the set has 1 sample, fewer than size = 2"
    assert said["AX388"].startswith("input 'ids': the arrays hold whole numbers from 0 to 5, ")
    of_all = told(room, DecodeParams("", "Numpy", 2, "AutoColorSpace"))
    assert of_all["AX337"] == "the set has 1 sample, fewer than size = 2"


def test_a_text_that_is_called_a_picture_is_no_object_at_an_address(room):
    (room.source / "a.jpg").write_text("hello")
    with pytest.raises(BadImageError) as caught:
        room.run(PICTURES)
    assert str(caught.value) == (
        "error AX333: 'a.jpg' is not a readable picture: its content is of no known format\n"
        "  hint: pictures are JPEG, PNG, BMP, WEBP, PPM, TIFF, GIF, told by their content and not by their name"
    )


def test_a_pointer_of_git_lfs_is_told_as_one(room):
    (room.source / "a.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with pytest.raises(BadImageError, match="hint: it is a Git LFS pointer, not the file itself: run `git lfs pull`"):
        room.run(PICTURES)


def test_folders_of_classes_are_told_apart_by_their_names(room):
    tar(room.source / "a.tar", {f"train/{kind}/0.png": png((n, 0, 0)) for n, kind in enumerate(("cats", "dogs"))})
    assert list(room.run(PICTURES)) == ["cats__0", "dogs__0"]


def test_samples_in_folders_with_long_names_have_names_that_files_can_have(room):
    deep = "/".join(letter * 120 for letter in "ab") + "/" + "汉" * 60
    tar(room.source / "a.tar", {f"{kind}/{deep}/0.png": png((n, 0, 0)) for n, kind in enumerate(("cats", "dogs"))})
    names = list(room.run(PICTURES))
    assert len(set(names)) == 2
    assert all(name.endswith("汉__0") and len(name.encode()) <= 200 for name in names)


def test_a_set_of_npz_files_is_told_which_files_are_taken(room):
    (room.source / "a.npz").write_bytes(b"PK")
    with pytest.raises(CalibrationSetError, match=r"hint: such as 'a\.npz'; samples end in \.npy"):
        room.run(ARRAYS)


def test_a_model_that_takes_its_channels_last_is_told_so(room):
    room.inputs = (("x", [1, 4, 4, 3]),)
    (room.source / "a.png").write_bytes(png((0, 0, 0)))
    with pytest.raises(
        CalibrationSetError, match="hint: the model takes its channels last: say so by tensor_layout, NHWC"
    ):
        room.run(PICTURES)


def test_pictures_of_a_model_that_takes_its_channels_last_have_its_size(room):
    room.inputs = (("x", [1, 2, 5, 3]),)
    (room.source / "a.png").write_bytes(png((1, 2, 3)))
    samples = room.run(DecodeParams("", "Image", 32, "BGR", tensor_layout="NHWC"))
    assert samples["a"].shape == (2, 5, 3)
    assert samples["a"][0, 0].tolist() == [3, 2, 1]
    room.inputs = (("x", [1, 3, 2, 5]),)
    with pytest.raises(CalibrationSetError, match="hint: the model takes its channels first: leave tensor_layout"):
        room.run(DecodeParams("", "Image", 32, "BGR", tensor_layout="NHWC"))


def test_a_picture_of_absurd_size_is_refused_before_it_is_decoded(room):
    header = b"P6 60000 60000 255\n"
    (room.source / "a.ppm").write_bytes(header + b"\0" * 64)
    with pytest.raises(BadImageError, match=r"60000 x 60000 pixels|not a readable picture"):
        room.run(PICTURES)


def test_arrays_are_taken_as_they_are(room):
    array = np.random.default_rng(3).standard_normal((1, 3, 4, 4), dtype=np.float32)
    (room.source / "c.npy").write_bytes(npy(array))
    (room.source / "f.npy").write_bytes(npy(np.asfortranarray(array)))
    samples = room.run(ARRAYS)
    assert np.array_equal(samples["c"], array)
    assert np.array_equal(samples["f"], array)


def test_arrays_of_a_narrower_type_of_the_kind_are_taken_as_the_inputs(room):
    array = np.random.default_rng(3).standard_normal((1, 3, 4, 4)).astype(np.float16)
    (room.source / "a.npy").write_bytes(npy(array))
    (sample,) = room.run(ARRAYS).values()
    assert sample.dtype == np.float32
    assert np.array_equal(sample, array)


def test_of_several_inputs_one_may_be_the_same_in_all_samples(room):
    for name in ("a", "b"):
        (room.source / f"{name}.npy").write_bytes(npy(np.ones((1, 3, 4, 4), np.float32)))
    assert set(told(room, DecodeParams("x", "Numpy", 2, "RGB"))) == {"AX338", "AX339"}
    room.inputs = (("x", [1, 3, 4, 4]), ("other", [1]))
    assert told(room, DecodeParams("x", "Numpy", 2, "RGB")) == {}


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (
            np.zeros((3, 4, 4), np.float32),
            r"'a.npy' is float32 \[3, 4, 4\], and model input 'x' is float32 \[1, 3, 4, 4\]",
        ),
        (np.zeros((1, 3, 4, 4), np.float64), r"'a.npy' is float64 \[1, 3, 4, 4\], and model input 'x' is float32"),
        (np.zeros((1, 3, 4, 4), np.uint8), r"'a.npy' is uint8 \[1, 3, 4, 4\], and model input 'x' is float32"),
        (np.array({"x": 1}, dtype=object), "pickled objects"),
        (np.full((1, 3, 4, 4), np.nan, np.float32), "not finite"),
    ],
    ids=["shape", "dtype", "pixels", "pickle", "nan"],
)
def test_an_array_that_does_not_fit_is_named_with_both_shapes(room, array, sentence):
    (room.source / "a.npy").write_bytes(npy(array))
    with pytest.raises(BadArrayError, match=sentence) as caught:
        room.run(ARRAYS)
    assert exit_code_of(caught.value.code) == 2


def test_bytes_are_taken_as_an_array_of_the_inputs_type_and_shape(room):
    array = np.random.default_rng(3).standard_normal((1, 3, 4, 4), dtype=np.float32)
    for name in ("1", "2"):
        (room.source / f"{name}.bin").write_bytes(array.tobytes())
    samples = room.run(BYTES)
    assert list(samples) == ["1", "2"]
    assert samples["2"].dtype == np.float32
    assert np.array_equal(samples["2"], array)


def test_bytes_of_another_number_are_named_with_both_sizes(room):
    tar(room.source / "set.tar", {"input1/1.bin": bytes(191)})
    with pytest.raises(BadArrayError) as caught:
        room.run(BYTES)
    assert caught.value.sentence == (
        "'set.tar/input1/1.bin' has 191 bytes, and model input 'x' is float32 [1, 3, 4, 4], 192 bytes"
    )
    (room.source / "set.tar").unlink()
    (room.source / "1.bin").write_bytes(np.full((1, 3, 4, 4), np.nan, np.float32).tobytes())
    with pytest.raises(BadArrayError, match=r"'1\.bin' has values that are not finite"):
        room.run(BYTES)


@pytest.mark.parametrize(("params", "name", "other"), [("BYTES", "a.npy", "Numpy"), ("ARRAYS", "a.bin", "Binary")])
def test_a_file_of_another_format_is_named_with_it(room, params, name, other):
    (room.source / name).write_bytes(b"")
    with pytest.raises(CalibrationSetError, match=f"'{name}' is of format {other} and the set is of format"):
        room.run({"BYTES": BYTES, "ARRAYS": ARRAYS}[params])


def test_a_scalar_is_a_sample_of_an_input_that_was_one(room):
    room.inputs = (("x", [1]),)
    np.save(room.source / "a.npy", np.float32(2.5))
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*one value only")
        (array,) = room.run(ARRAYS).values()
    assert array.tolist() == [2.5]


def test_an_array_that_is_cut_off_is_named(room):
    content = npy(np.zeros((1, 3, 4, 4), np.float32))
    (room.source / "a.npy").write_bytes(content[:-1])
    with pytest.raises(BadArrayError, match=r"'a\.npy' is cut off"):
        room.run(ARRAYS)
    (room.source / "a.npy").write_bytes(content + b"x")
    with pytest.raises(BadArrayError, match=r"'a\.npy' goes on behind its array"):
        room.run(ARRAYS)
    (room.source / "a.npy").write_bytes(content[:20])
    with pytest.raises(BadArrayError, match=r"'a\.npy' is not an \.npy file"):
        room.run(ARRAYS)


def test_an_empty_set_and_a_mixed_set_are_errors(room):
    with pytest.raises(CalibrationSetError, match="no sample of format Image among 0 files"):
        room.run(PICTURES)
    (room.source / "a.png").write_bytes(png((0, 0, 0)))
    (room.source / "b.npy").write_bytes(npy(np.zeros(1)))
    with pytest.raises(CalibrationSetError, match=r"'b\.npy' is of format Numpy and the set is of format Image"):
        room.run(PICTURES)
    (room.source / "c.tar").write_bytes(b"")
    with pytest.raises(BrokenArchiveError, match=r"c\.tar stands among 3 files"):
        room.run(PICTURES)


def test_files_that_are_no_samples_are_left_out_with_a_warning(room):
    (room.source / "a.png").write_bytes(png((0, 0, 0)))
    (room.source / "labels.txt").write_text("a 1")
    with pytest.warns(AxWarning, match=r"AX336.*such as 'labels\.txt'"):
        assert list(room.run(PICTURES)) == ["a"]


def test_samples_of_one_name_are_refused(room):
    tar(room.source / "a.tar", {"x/a.png": png((0, 0, 0)), "x/a.jpg": b""})
    with pytest.raises(CalibrationSetError, match=r"'a\.tar/x/a\.jpg' and 'a\.tar/x/a\.png' are samples of one name"):
        room.run(PICTURES)


def test_pictures_need_an_input_that_can_be_one(room):
    room.inputs = (("x", [1, 784]),)
    (room.source / "a.png").write_bytes(png((0, 0, 0)))
    with pytest.raises(CalibrationSetError, match=r"shape \[1, 3, height, width\], and 'x' is \[1, 784\]"):
        room.run(PICTURES)


def test_a_set_is_bound_to_an_input_by_name(room):
    room.inputs = (("x", [1, 3, 4, 4]), ("y", [1, 3, 2, 2]))
    (room.source / "a.png").write_bytes(png((0, 0, 0)))
    assert room.run(DecodeParams("y", "Image", 32, "RGB"))["a"].shape == (2, 2, 3)
    with pytest.raises(CalibrationSetError, match="names the input 'z'"):
        room.run(DecodeParams("z", "Image", 32, "RGB"))
    with pytest.raises(CalibrationSetError, match="cannot serve the inputs x, y"):
        room.run(PICTURES)


def test_two_runs_write_the_same_bytes(room, tmp_path):
    tar(room.source / "a.tar", {"a.png": png((1, 2, 3), (9, 9))})
    assert told(room, PICTURES) == told(room, PICTURES)
    assert (tmp_path / "out1/samples/a.npy").read_bytes() == (tmp_path / "out2/samples/a.npy").read_bytes()
