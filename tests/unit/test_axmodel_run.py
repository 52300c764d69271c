"""`axbuild run` on a file: what it reads, how samples are named, paired and batched, and what it prints and writes."""

import json

import numpy as np
import pytest
from PIL import Image

from axbuild.cli.app import run
from axbuild.toolchain.axmodel.feed import Feed, SampleFile, files_of
from axbuild.toolchain.data.resize import resized
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axmodel_world import SHAPE, build, expected

PICTURES = np.arange(7 * 12, dtype=np.uint8).reshape(7, *SHAPE[1:]) * 3


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "compiled.axmodel").write_bytes(build(folder / "npu"))
    (folder / "mixed.axmodel").write_bytes(build(folder / "mixed", on_cpu=True))
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch, models):
    monkeypatch.chdir(tmp_path)
    np.save("seven.npy", PICTURES)
    return tmp_path


def asked(models, capsys, *arguments, model="compiled.axmodel", code=0):
    assert run(["run", str(models / model), *arguments]) == code
    return capsys.readouterr()


@pytest.mark.parametrize(("model", "on_cpu"), [("compiled.axmodel", False), ("mixed.axmodel", True)])
def test_every_sample_of_an_array_is_answered_in_the_largest_batches(here, models, capsys, model, on_cpu):
    arguments = ["--input", "seven.npy", "--batch_size", "7", "--output_dir", "out", "--json"]
    found = json.loads(asked(models, capsys, *arguments, model=model).out)
    assert (found["count"], found["batches"], found["simulated"]) == (7, [4, 2, 1], True)
    answers = expected(PICTURES, on_cpu=on_cpu)
    assert [sample["name"] for sample in found["samples"]] == [f"seven.{n}" for n in range(7)]
    for number, sample in enumerate(found["samples"]):
        (output,) = sample["outputs"]
        assert (output["name"], output["dtype"], output["shape"]) == ("out/put", "FP32", [1, 2, 3, 2])
        assert (output["min"], output["max"]) == (answers[number].min(), answers[number].max())
        written = np.load(here / f"out/seven.{number}/out_put.npy")
        assert np.array_equal(written, answers[number : number + 1])


def test_a_batch_takes_as_long_as_its_parts(here, models, capsys):
    def cycles(size):
        arguments = ["--input", "seven.npy", "--batch_size", str(size), "--json"]
        return json.loads(asked(models, capsys, *arguments).out)["estimated_cycles"]

    assert cycles(7) == cycles(4) + cycles(2) + cycles(1)
    assert cycles(0) == cycles(4)


def test_numbers_that_json_has_not_are_text(models, tmp_path, monkeypatch, capsys):
    """A logarithm of negative values on the CPU."""
    (tmp_path / "odd.axmodel").write_bytes(build(tmp_path / "odd", on_cpu=True, op_type="Log"))
    monkeypatch.chdir(tmp_path)
    np.save("one.npy", np.full(SHAPE, 127, np.uint8))
    assert run(["run", "odd.axmodel", "--input", "one.npy", "--json"]) == 0
    (output,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["samples"][0]["outputs"]
    assert (output["min"], output["max"], output["mean"]) == ("nan", "nan", "nan")
    assert run(["run", "odd.axmodel", "--input", "one.npy"]) == 0
    assert "min nan  mean nan  max nan" in capsys.readouterr().out


def test_raw_bytes_and_arrays_are_the_same_samples(here, models, capsys):
    (here / "seven.bin").write_bytes(PICTURES.tobytes())
    raw, array = (asked(models, capsys, "--input", file).out for file in ("seven.bin", "seven.npy"))
    assert raw.splitlines()[:-1] == array.splitlines()[:-1]


def test_what_is_printed(here, models, capsys):
    np.save("one.npy", PICTURES[:1])
    lines = asked(models, capsys, "--input", "one.npy").out.splitlines()
    assert lines[0] == "one                   out/put  FP32  1x2x3x2  min -62.5  mean 0.5  max 63.5"
    assert lines[1].startswith("1 sample on the simulated AX650 NPU1 in ")
    assert ", in runs of 1; the cost model estimates" in lines[1]
    lines = asked(models, capsys, "--input", "seven.npy", "--batch_size", "3").out.splitlines()
    assert lines[-1].startswith("7 samples on the simulated AX650 NPU1 in ")
    assert ", in runs of 3 as batches of 2 + 1; the cost model estimates" in lines[-1]


def test_what_is_inside_the_programs_is_written_as_codes(here, models, capsys):
    asked(models, capsys, "--input", "seven.npy", "--output_dir", "out", "--layers")
    for number in range(7):
        inside = np.load(here / f"out/seven.{number}/pic_turned.npy")
        assert inside.dtype == np.uint8
        assert np.array_equal(inside, PICTURES[number : number + 1].transpose(0, 3, 1, 2))


def test_a_folder_gives_its_files_by_name_and_no_sample_is_lost_to_another(here, models, capsys):
    for name, picture in (("b/x.npy", 1), ("a/x.npy", 0), ("a/w.npy", 2)):
        (here / name).parent.mkdir(exist_ok=True)
        np.save(here / name, PICTURES[picture : picture + 1])
    (here / "a/.hidden").touch()
    found = json.loads(
        asked(models, capsys, "--input", "image=b", "--input", "image=a", "--output_dir", "out", "--json").out
    )
    assert [sample["name"] for sample in found["samples"]] == ["x", "w", "x~2"]
    for folder, number in (("x", 1), ("w", 2), ("x~2", 0)):
        assert np.array_equal(np.load(here / f"out/{folder}/out_put.npy")[0], expected(PICTURES)[number])


@pytest.mark.parametrize(("color", "layout"), [("BGR", "NHWC"), ("RGB", "NCHW"), ("GRAY", "NHWC")])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_picture_is_resized_and_laid_out_as_the_input_takes_it(tmp_path, color, layout, dtype):
    pixels = np.random.default_rng(7).integers(0, 256, (9, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    channels = 1 if color == "GRAY" else 3
    shape = (1, 6, 5, channels) if layout == "NHWC" else (1, channels, 6, 5)
    tensor = BoundaryTensor("x", dtype, shape, layout=layout, color=color)
    ((name, found),) = SampleFile(tensor, tmp_path / "p.png").named()
    opened = Image.open(tmp_path / "p.png").convert("L" if color == "GRAY" else "RGB")
    wanted = resized(np.asarray(opened).reshape(9, 8, channels), 6, 5)
    wanted = wanted[..., ::-1] if color == "BGR" else wanted
    assert (name, found.dtype, found.shape) == ("p", np.dtype(dtype), shape)
    assert np.array_equal(found[0], wanted if layout == "NHWC" else wanted.transpose(2, 0, 1))


A, B, SHARED = (
    BoundaryTensor("a", "float32", (1, 2)),
    BoundaryTensor("b", "int64", (1, 1)),
    BoundaryTensor("shared", "float32", (3,), batch_axis=None),
)


def test_samples_of_several_inputs_are_paired_by_place_and_what_has_no_batch_serves_all(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6, dtype=np.float32).reshape(3, 2))
    np.save(tmp_path / "b.npy", np.arange(3, dtype=np.int64).reshape(3, 1))
    np.save(tmp_path / "s.npy", np.ones(3, np.float32))
    given = [f"{name}={tmp_path / file}" for name, file in (("shared", "s.npy"), ("b", "b.npy"), ("a", "a.npy"))]
    found = list(Feed(files_of([SHARED, A, B], given)))
    assert [name for name, _ in found] == ["a.0", "a.1", "a.2"]
    for number, (_, sample) in enumerate(found):
        assert sample["a"].tolist() == [[2 * number, 2 * number + 1]]
        assert (sample["b"].tolist(), sample["shared"].tolist()) == ([[number]], [1, 1, 1])


def test_inputs_of_different_counts_are_refused_before_anything_runs(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2), np.float32))
    np.save(tmp_path / "b.npy", np.zeros((2, 1), np.int64))
    files = files_of([A, B], [f"a={tmp_path}/a.npy", f"b={tmp_path}/b.npy"])
    with pytest.raises(Exception, match="different numbers of samples: 'a' 3, 'b' 2"):
        Feed(files)


WRONG = [
    ([], "AX482: nothing is given for the input 'image' U8 [1, 3, 2, 2]"),
    (["--input", "gone.npy"], "AX482: --input gone.npy: there is no such file or folder"),
    (["--input", "image=gone.npy"], "AX482: there is no file or folder gone.npy"),
    (["--input", "imago=seven.npy"], "AX482: the model has no input 'imago'; it has image"),
    (["--input", "empty"], "AX482: the folder empty holds no file"),
    (["--input", "short.bin"], "AX482: 'short.bin' has 13 bytes, and a sample of input 'image' has 12 (U8 [1, 3, 2"),
    (["--input", "none.bin"], "AX482: 'none.bin' has 0 bytes"),
    (["--input", "flat.npy"], "AX334: 'flat.npy' is uint8 [12], and model input 'image' is uint8 [1, 3, 2, 2]"),
    (["--input", "real.npy"], "AX334: 'real.npy' is float32 [1, 3, 2, 2], and model input 'image' is uint8"),
    (["--input", "text.png"], "AX333: 'text.png' is not a readable picture"),
    (["--input", "seven.npy", "--group_index", "1"], "AX482: the model has no shape group 1; it has 0"),
    (["--input", "seven.npy", "--batch_size", "-1"], "AX260: --batch_size, --group_index and --top take numbers"),
    (["--input", "seven.npy", "--layers"], "AX260: --layers has no effect without --output_dir"),
    (["--input", "seven.npy", "--output_dir", "text.png"], "AX482: text.png/seven.0 cannot be written"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_mistakes_are_told_in_the_users_terms(here, models, capsys, arguments, said):
    (here / "empty").mkdir()
    (here / "short.bin").write_bytes(bytes(13))
    (here / "none.bin").touch()
    (here / "text.png").write_text("no picture")
    np.save("flat.npy", PICTURES[0].reshape(-1))
    np.save("real.npy", PICTURES[:1].astype(np.float32))
    found = asked(models, capsys, *arguments, code=2)
    assert said in found.err
    assert found.out == ""


def test_a_picture_for_an_input_that_is_none_says_how_it_would_be_one(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "p.png")
    tensor = BoundaryTensor("x", "float32", (1, 3, 2, 2))
    with pytest.raises(Exception, match=r"'x' takes FP32 \[1, 3, 2, 2\], which is no picture") as raised:
        SampleFile(tensor, tmp_path / "p.png").count()
    assert "input_processors" in raised.value.hint


def test_a_picture_for_an_input_of_yuv_bytes_is_refused(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "p.png")
    tensor = BoundaryTensor("x", "uint8", (1, 3, 2, 1), layout="NHWC", color="YUV420SP")
    with pytest.raises(Exception, match=r"'x' takes the bytes of a YUV420SP picture, U8 \[1, 3, 2, 1\], and 'p.png'"):
        SampleFile(tensor, tmp_path / "p.png").count()
