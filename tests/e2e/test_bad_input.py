"""What users get wrong: each mistake ends with exit code 2 and a sentence that names it, before anything slow ran, and
with everything that had been built still there."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

from zoo_workspace import ZOO, Zoo, copy_package

BUILD = """
[[float_model]]
name = "float"
src = "digits.onnx"

[[calibration_set]]
name = "calib"
src = "pictures/*.png"
format = "Image"
tensor_format = "GRAY"
mean = [127.5]
std = [127.5]

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"

[[axmodel]]
name = "axmodel"
quant = ":quant"

[[check]]
name = "check"
axmodel = ":axmodel"
level = "close"
rtol = 1e-5
"""
SLOW = {"observe", "quantize", "partition", "compile_subgraph", "simulate"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("bad")
    root = room / "workspace"
    (root / "digits").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "digits" / "BUILD.toml").write_text(BUILD)
    shutil.copy(ZOO / "digits" / "digits.onnx", root / "digits")
    pictures = sorted((ZOO / "fetched" / "digits" / "calibration").iterdir())[:4]
    (root / "digits" / "pictures").mkdir()
    for picture in pictures:
        shutil.copy(picture, root / "digits" / "pictures")
    zoo = Zoo(root, room / "cache", copy_package(room / "package"))
    zoo.build("//digits:check")
    return zoo


Spoil = Callable[[Path], None]


def text(old: str, new: str) -> Spoil:
    """An edit of the BUILD file."""

    def spoil(package: Path) -> None:
        before = (package / "BUILD.toml").read_text()
        assert old in before
        (package / "BUILD.toml").write_text(before.replace(old, new))

    return spoil


def archive(members: dict[str, bytes]) -> Spoil:
    """The calibration set is a tar file of these members."""

    def spoil(package: Path) -> None:
        with tarfile.open(package / "set.tar", "w") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        text("pictures/*.png", "set.tar")(package)

    return spoil


def arrays(*shapes: tuple[int, ...]) -> Spoil:
    def spoil(package: Path) -> None:
        members = {}
        for number, shape in enumerate(shapes):
            content = io.BytesIO()
            np.save(content, np.zeros(shape, np.float32))
            members[f"{number}.npy"] = content.getvalue()
        archive(members)(package)
        text('format = "Image"\ntensor_format = "GRAY"\nmean = [127.5]\nstd = [127.5]', 'format = "Numpy"')(package)

    return spoil


def picture() -> bytes:
    content = io.BytesIO()
    Image.new("L", (28, 28)).save(content, "PNG")
    return content.getvalue()


def torn_model(package: Path) -> None:
    file = package / "digits.onnx"
    file.write_bytes(file.read_bytes()[:1000])


def not_a_model(package: Path) -> None:
    (package / "digits.onnx").write_bytes(b"\x89PNG\r\n" + bytes(100))


def unsupported_operator(package: Path) -> None:
    value = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 1, 28, 28]) for name in ("image", "logits")
    ]
    nodes = [
        helper.make_node("Relu", ["image"], ["a"], name="clamp"),
        helper.make_node("Strange", ["a"], ["logits"], name="strange", domain="com.example"),
    ]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:])
    onnx.save(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.example", 1)], ir_version=10
        ),
        package / "digits.onnx",
    )


CASES: dict[str, tuple[Spoil, str]] = {
    "unknown rule": (text("[[quant_model]]", "[[quant_modle]]"), r"quant_modle.*\n(.*\n)?.*did you mean 'quant_model'"),
    "unknown attribute": (text("rtol =", "rtoll ="), r"BUILD.toml:\d+: .*'rtoll'(.*\n)*.*did you mean 'rtol'"),
    "wrong type": (text("rtol = 1e-5", 'rtol = "small"'), r"BUILD.toml:\d+: .*rtol takes a number"),
    "missing attribute": (text('axmodel = ":axmodel"', ""), r"'?axmodel'?"),
    "not TOML": (text("[[check]]", "[[check]"), r"BUILD.toml:\d+: .*not valid TOML"),
    "missing file": (text("digits.onnx", "digit.onnx"), r"no 'digit.onnx'.*\n(.*\n)*.*did you mean 'digits.onnx'"),
    "missing label": (text('model = ":float"', 'model = ":flaot"'), r"//digits:flaot(.*\n)*.*did you mean"),
    "bad label": (text('model = ":float"', 'model = "float"'), r"'float' is not a label"),
    "label of the wrong kind": (text('model = ":float"', 'model = ":calib"'), r"//digits:calib \(calibration_set\)"),
    "cycle": (text('calibration = ":calib"', 'calibration = ":quant"'), r"//digits:quant.*//digits:quant"),
    "file outside the package": (text("digits.onnx", "../axbuild.toml"), r"leaves the package //digits"),
    "setting without effect": (text('level = "close"', 'level = "equal"'), r"rtol has no effect with level \"equal\""),
    "cut model": (torn_model, r"BUILD.toml:4: .*digits.onnx is not a readable ONNX model"),
    "not a model": (not_a_model, r"BUILD.toml:4: .*digits.onnx is not a readable ONNX model"),
    "unsupported operator": (unsupported_operator, r"com\.example.*'strange'"),
    "wrong shapes": (arrays((1, 1, 28, 28), (1, 1, 28, 27)), r"1\.npy.*\[1, 1, 28, 27\].*\[1, 1, 28, 28\]"),
    "path traversal": (archive({"../../escape.png": picture()}), r"\.\./\.\./escape\.png"),
    "absolute path": (archive({"/tmp/escape.png": picture()}), r"/tmp/escape\.png"),
    "empty archive": (archive({}), r"has no sample"),
    "not a picture": (archive({"a.png": b"hello"}), r"a\.png"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_exits_2_names_itself_and_loses_nothing(built: Zoo, tmp_path: Path, case: str) -> None:
    spoil, expected = CASES[case]
    root = shutil.copytree(built.root, tmp_path / "workspace")
    spoil(root / "digits")
    zoo = Zoo(root, Path(built.environment["AXBUILD_CACHE_DIR"]), built.package)
    outcome = zoo.run("build", "//digits:check")
    assert outcome.code == 2, outcome.out + outcome.err
    assert re.search(expected, outcome.err), outcome.err
    assert "Traceback" not in outcome.err
    assert re.search(r"error AX[1-4]\d\d: ", outcome.err), outcome.err
    assert not SLOW & set(outcome.executed)
    assert built.build("//digits:check").executed == []


def test_nothing_of_a_hostile_archive_lands_outside(built: Zoo, tmp_path: Path) -> None:
    root = shutil.copytree(built.root, tmp_path / "a" / "b" / "workspace")
    archive({"../../escape.png": picture()})(root / "digits")
    Zoo(root, tmp_path / "cache").run("build", "//digits:check")
    assert not list(tmp_path.rglob("escape.png"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "//nowhere:x"], r"there is no package //nowhere"),
        (["build", "//digits:chek"], r"did you mean '//digits:check'"),
        (["build", "//digits:"], r"not a label"),
        (["build", "--jobs", "many", "//digits:check"], r"jobs"),
        (["bild", "//digits:check"], r"build"),
        (["build"], r"TARGETS"),
    ],
)
def test_a_mistake_on_the_command_line_exits_2(built: Zoo, arguments: list[str], expected: str) -> None:
    outcome = built.run(*arguments)
    assert outcome.code == 2
    assert re.search(expected, outcome.err), outcome.err
    assert "Traceback" not in outcome.err
