"""The tools and rules of the workspace of real models, on small data: nothing is downloaded."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import struct
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import rtoml
from onnx import TensorProto, helper

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputData

MODELS = Path(__file__).resolve().parents[2] / "examples" / "models"


@pytest.fixture(scope="module")
def rules():
    """The workspace's stages, as the package that axbuild makes of its rules/."""
    spec = importlib.machinery.ModuleSpec("models_rules", None, is_package=True)
    spec.submodule_search_locations = [str(MODELS / "rules")]
    sys.modules["models_rules"] = importlib.util.module_from_spec(spec)
    yield lambda name: importlib.import_module(f"models_rules.{name}_stages")
    for name in [name for name in sys.modules if name.partition(".")[0] == "models_rules"]:
        del sys.modules[name]


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(MODELS / "tools"))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_every_wheel_and_every_member_is_pinned() -> None:
    wheels, members = (
        [line for line in (MODELS / "tools" / name).read_text().splitlines() if not line.startswith("#")]
        for name in ("wheels.txt", "members.txt")
    )
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", line) for line in wheels)
    assert all(re.fullmatch(r"[0-9a-f]{64}  \S+  \S+  \S+", line) for line in members)
    pinned = {
        re.sub(r"[-.]", "_", name) + f"-{version}" for name, version in (one.split()[0].split("==") for one in wheels)
    }
    assert {line.split()[1] for line in members} == pinned


def test_twelve_models_each_with_two_chips_and_its_checks() -> None:
    packages = {path.parent.name: rtoml.load(path) for path in MODELS.glob("*/BUILD.toml")}
    assert len(packages) == 12
    for name, tables in packages.items():
        chips = [target.get("target_hardware", "AX650") for target in tables["axmodel"]]
        assert len(set(chips)) == 2, name
        assert [check["level"] for check in tables["check"]] == ["equal", "equal"], name
        assert tables["precision_check"], name
        calibration, evaluation = tables["quant_model"][0]["calibration"], tables["check"][0]["samples"]
        assert not set(named(calibration)) & set(named(evaluation)), name


def named(labels: str | dict[str, str]) -> list[str]:
    return list(labels.values()) if isinstance(labels, dict) else [labels]


# PyTorch's old format, instruction by instruction: see rules/torch_file_stages.py.
def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def torch_file(rebuild: bytes = b"ctorch._utils\n_rebuild_tensor_v2\n", length: int = 6, claimed: int = 6) -> bytes:
    """{"w": a tensor [2, 3] that stands transposed in its storage 0, 1, 2, 3, 4, 5}"""
    magic = 0x1950A86A20F9469CFC6C.to_bytes(10, "little")
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("7") + text("cpu") + number(claimed) + b"NtQ"
    window = number(0) + number(2) + number(3) + b"\x86" + number(1) + number(2) + b"\x86"
    tensor = rebuild + b"(" + storage + window + b"\x89" + b"ccollections\nOrderedDict\n)R" + b"tR"
    pickles = [b"\x8a\x0a" + magic, number(1001), b"}", b"}" + text("w") + tensor + b"s", b"]" + text("7") + b"a"]
    raw = struct.pack("<q", length) + np.arange(length, dtype="<f4").tobytes()
    return b"".join(b"\x80\x02" + one + b"." for one in pickles) + raw


def test_a_torch_file_is_read_without_torch(rules, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(torch_file())
    tensors = rules("torch_file").read_tensors(tmp_path / "w.pth")
    assert {name: value.tolist() for name, value in tensors.items()} == {"w": [[0, 2, 4], [1, 3, 5]]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (torch_file(b"cos\nsystem\n"), "asks for os system, which is no tensor"),
        (torch_file(length=5, claimed=5), r"shape \[2, 3\] leaves its storage"),
        (torch_file(length=6, claimed=7), "storage 7 has 6 values, and 7 are announced"),
        (torch_file()[:40], "is not a dictionary of tensors"),
        (b"PK\x03\x04", "is not a dictionary of tensors"),
    ],
    ids=["a call", "a window too wide", "a wrong length", "cut off", "a zip"],
)
def test_what_a_torch_file_may_not_do_is_refused(rules, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(AxError, match=said):
        rules("torch_file").read_tensors(tmp_path / "w.pth")


def test_word_pieces_are_the_longest_ones(tools, tmp_path: Path) -> None:
    words = ["[CLS]", "[SEP]", "[UNK]", "un", "##aff", "##able", "##a", "it", "'", "s", "."]
    vocabulary = {word: index for index, word in enumerate(words)}
    (tmp_path / "t.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    pieces = tools("words").WordPiece(tmp_path / "t.json")
    assert pieces.ids("It's unaffable.") == [0, 7, 8, 9, 3, 4, 5, 10, 1]
    assert pieces.ids("it xyz") == [0, 7, 2, 1]


def test_magika_sees_both_ends_of_a_file_without_white_space(tools) -> None:
    found = tools("files").features(b"\n\n" + bytes(range(65, 75)) + b"x" * 5000 + b"Z \n")
    assert (found.shape, found.dtype) == ((1, 2048), np.int32)
    assert found[0, :11].tolist() == [*range(65, 75), ord("x")]
    assert found[0, -2:].tolist() == [ord("x"), ord("Z")]
    short = tools("files").features(b"abc")
    assert short[0, :4].tolist() == [97, 98, 99, 256]
    assert short[0, -4:].tolist() == [256, 97, 98, 99]


def test_drawn_pages_are_the_same_each_time_and_hold_their_boxes(tools) -> None:
    from random import Random

    drawing = tools("text")
    words = ["one", "two", "three"]
    pages = [drawing.draw_page(drawing.endless(words, Random(1)), Random(1)) for _ in range(2)]
    assert pages[0][0].tobytes() == pages[1][0].tobytes()
    assert pages[0][1] == pages[1][1]
    for left, top, right, bottom in pages[0][1]:
        assert 0 <= left < right <= 480
        assert 0 <= top < bottom <= 480


def answers(rules, *values: np.ndarray, inputs: dict[str, np.ndarray] | None = None):
    return [rules("figures").Answer(f"s{index}", inputs or {}, [value]) for index, value in enumerate(values)]


def test_figures_of_classes_and_of_speech(rules) -> None:
    figures = rules("figures")
    assert figures.accuracy(answers(rules, np.eye(3)[0], np.eye(3)[1]), {"s0": 0, "s1": 2}) == 0.5
    said = answers(rules, np.array([[0.7]]), np.array([[0.2]]))
    assert figures.speech(said, {"s0": True, "s1": True}) == 0.5


def test_characters_are_read_by_ctc(rules) -> None:
    """Repeats are one character, unless a blank stands between them."""
    figures = rules("figures")
    rows = np.eye(4)[[0, 1, 1, 0, 1, 3]]
    assert figures.ctc(rows) == [1, 1, 3]
    assert figures.characters(answers(rules, rows[None]), {"s0": [1, 1, 2, 3]}) == 0.75


def test_lines_count_as_found_along_the_middle_of_their_boxes(rules) -> None:
    figures = rules("figures")
    seen = np.zeros((1, 1, 20, 20))
    seen[0, 0, 4:6, 2:12] = 1.0
    assert figures.lines_found(answers(rules, seen), {"s0": [[2, 2, 12, 8]]}) == 1.0
    assert figures.lines_found(answers(rules, seen), {"s0": [[2, 2, 12, 8], [2, 12, 12, 18]]}) == pytest.approx(2 / 3)
    assert figures.lines_found(answers(rules, np.ones((1, 1, 20, 20))), {"s0": [[0, 0, 20, 10]]}) == pytest.approx(
        2 / 3
    )


def test_boxes_are_matched_one_to_one(rules) -> None:
    """A cell of stride 8 at (3, 2), of size 16 x 16 around (24, 16); its twin is the same thing seen twice."""
    figures = rules("figures")
    rows = np.full((3549, 6), -9.0)
    rows[:, 4:] = 0.0
    for cell in (2 * 52 + 3, 2 * 52 + 4):
        rows[cell] = [0.0, 0.0, np.log(2.0), np.log(2.0), 0.9, 0.9]
    rows[2 * 52 + 4, 0] = -1.0
    said = answers(rules, rows[None])
    assert figures.boxes_found(said, {"s0": [[16, 8, 32, 24]]}) == 1.0
    assert figures.boxes_found(said, {"s0": [[16, 8, 32, 24], [100, 100, 120, 120]]}) == pytest.approx(2 / 3)
    assert figures.boxes_found(said, {"s0": [[100, 100, 120, 120]]}) == 0.0


def test_regions_are_matched_class_by_class_over_all_scales(rules) -> None:
    """A cell of stride 16 at (2, 1): two strides to the left, one to the other sides, so (8, 8) to (56, 40)."""
    cells = (64, 16, 4, 1)
    scores, bins = ([np.zeros((1, count, size)) for count in cells] for size in (3, 32))
    scores[1][0, 1 * 4 + 2, 1] = 0.9
    bins[1][0, 1 * 4 + 2].reshape(4, 8)[range(4), [2, 1, 1, 1]] = 50.0
    figures = rules("figures")
    said = [figures.Answer("s0", {"image": np.zeros((1, 3, 64, 64))}, [*scores, *bins])]
    assert figures.picodet(said[0].values, (64, 64))[1] == [pytest.approx((8, 8, 56, 40))]
    assert figures.regions_found(said, {"s0": [[1, [8, 8, 56, 40]]]}) == 1.0
    assert figures.regions_found(said, {"s0": [[2, [8, 8, 56, 40]]]}) == 0.0


def test_drawn_sheets_label_every_region(tools) -> None:
    from random import Random

    from PIL import Image

    drawing = tools("text")
    words = drawing.endless(["one", "two", "three"], Random(1))
    _, regions = drawing.draw_sheet(words, Image.new("RGB", (10, 10)), Random(1))
    assert Counter(kind for kind, _ in regions) == {"text": 3, "title": 1, "figure": 1, "figure_caption": 1}
    assert all(0 < box[0] < box[2] < 608 and 0 < box[1] < box[3] < 800 for _, box in regions)


def test_notes_are_judged_frame_by_frame(rules) -> None:
    sounding = np.zeros((1, 10, 88))
    sounding[0, 2:6, 40] = 0.9
    assert rules("figures").notes(answers(rules, sounding), {"s0": [[40, 2, 6]]}) == 1.0
    assert rules("figures").notes(answers(rules, sounding), {"s0": [[40, 2, 10]]}) == pytest.approx(2 / 3)


def test_neighbours_ignore_what_is_masked(rules) -> None:
    mask = {"attention_mask": np.array([[1, 0]])}
    vectors = [np.array([[one, [0.0, 99.0]]]) for one in ([1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-0.1, 1.0])]
    labels = {"s0": "s1", "s1": "s0", "s2": "s3", "s3": "s2"}
    assert rules("figures").neighbours(answers(rules, *vectors, inputs=mask), labels) == 1.0


def scaled(file: Path, weights: list[float]) -> Path:
    """y = x * weights"""
    value = helper.make_tensor("w", TensorProto.FLOAT, [1, len(weights)], weights)
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, len(weights)])] for name in "xy"]
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "scaled", *ends, [value])
    file.parent.mkdir(exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), file)
    return file


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    (tmp_path / "samples").mkdir()
    for name, value in (("a", [3.0, 4.0]), ("b", [4.0, 3.0])):
        np.save(tmp_path / "samples" / f"{name}.npy", np.array([value], np.float32))
    return tmp_path / "samples"


def test_a_task_check_fails_where_quantisation_costs_too_much(rules, tmp_path: Path, samples: Path) -> None:
    task = rules("task")
    scaled(tmp_path / "model" / "optimized.onnx", [1.0, 1.0])
    scaled(tmp_path / "quant.onnx", [1.0, 0.5])
    (tmp_path / "labels.json").write_text('{"a": 1, "b": 0}')

    def judged(max_loss: float) -> dict:
        params = task.TaskParams((InputData("", "Numpy"),), "accuracy", "", max_loss)
        files = tmp_path / "model", tmp_path / "quant.onnx", tmp_path / "labels.json"
        task.measure(*files, [samples], tmp_path, params=params)
        return json.loads((tmp_path / "verdict.json").read_text())

    assert judged(0.5)["passed"] is True
    failed = judged(0.4)
    assert (failed["passed"], failed["float"], failed["quantised"]) == (False, 1.0, 0.5)
    assert failed["sentence"] == ("accuracy 1.0000 in float and 0.5000 quantised on 2 samples: the loss is above 0.4")
    (tmp_path / "labels.json").write_text('{"a": 1}')
    with pytest.raises(AxError, match="sample 'b' has no label"):
        judged(0.5)


def test_a_front_end_check_takes_differences_as_a_share_of_the_largest_value(
    rules, tmp_path: Path, samples: Path
) -> None:
    front_end = rules("front_end_check")
    scaled(tmp_path / "original.onnx", [1.0, 1.0])
    scaled(tmp_path / "model" / "optimized.onnx", [1.0, 1.25])
    for limit, passed in ((0.25, True), (0.2, False)):
        params = front_end.CompareParams((InputData("", "Numpy"),), {}, limit)
        front_end.compare(tmp_path / "original.onnx", tmp_path / "model", [samples], tmp_path, params=params)
        verdict = json.loads((tmp_path / "verdict.json").read_text())
        assert (verdict["passed"], verdict["difference"], verdict["share"]) == (passed, 1.0, 0.25)


def test_a_front_end_check_feeds_the_original_what_was_frozen(rules, tmp_path: Path, samples: Path) -> None:
    front_end = rules("front_end_check")
    original = onnx.load(scaled(tmp_path / "original.onnx", [1.0, 1.0]))
    original.graph.input.append(helper.make_tensor_value_info("rate", TensorProto.INT64, [None]))
    onnx.save(original, tmp_path / "original.onnx")
    scaled(tmp_path / "model" / "optimized.onnx", [1.0, 1.0])
    params = front_end.CompareParams((InputData("", "Numpy"),), {"rate": 16000}, 0.0)
    front_end.compare(tmp_path / "original.onnx", tmp_path / "model", [samples], tmp_path, params=params)
    assert json.loads((tmp_path / "verdict.json").read_text())["passed"] is True
