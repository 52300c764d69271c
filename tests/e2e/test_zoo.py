"""The promises about rebuilding, asserted on the event stream of the example zoo: MobileNetV2 from Keras to axmodel.

One copy of the zoo is built once, by a copy of axbuild, which nobody edits meanwhile; each test makes an edit of its
own, builds, and takes the edit back. The edits differ from one another, so the tests may run in any order.
"""

from __future__ import annotations

import io
import json
import os
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from npu_world import CHIPS
from PIL import Image

import axbuild
from axbuild.toolchain.pulsar2.run import run as run_on_files
from zoo_workspace import REPOSITORY, Zoo, copy_package, copy_zoo

MOBILENET = ("//mobilenet:check", "//mobilenet:equal")
BUILD_FILE = "mobilenet/BUILD.toml"
COMPILATION = ["preflight", "partition", "split", "compile_subgraph", "fuse", "answers", "simulate"]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("zoo")
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache", copy_package(room / "package"))
    zoo.build(*MOBILENET)
    return zoo


def test_a_second_build_executes_nothing(zoo: Zoo) -> None:
    outcome = zoo.build(*MOBILENET)
    assert outcome.executed == []
    assert set(outcome.counts) == {"up_to_date"}


def test_healthy_models_are_said_to_lose_no_channel(zoo: Zoo) -> None:
    assert "AX361" not in zoo.build("//mobilenet:quant", "//digits:quant").err


def lowest_cosine(zoo: Zoo, target: str) -> float:
    """Of the logits over all samples and of each class by itself, from the sums that a precision check leaves."""
    found = json.loads((zoo.root / f"axbuild-out/mobilenet/{target}/precision.json").read_text())
    sums = [row["sums"] for row in found["rows"]]
    ab, aa, bb = (sum(one[name] for one in sums) for name in ("ab", "aa", "bb"))
    return min(ab / (aa * bb) ** 0.5, *found["channels"]["logits"])


def test_the_mixed_precision_that_the_tool_proposed_keeps_three_nines_of_the_logits(zoo: Zoo) -> None:
    """On pictures that neither calibrated nor chose; 8 bits alone do not."""
    zoo.build("//mobilenet:mixed_precision", "//mobilenet:precision")
    assert lowest_cosine(zoo, "mixed_precision") >= 0.999 > lowest_cosine(zoo, "precision")


ANALYSIS = """
[[precision_analysis]]
name = "rows"
quant = ":quant"
method = "PerLayer"
size = 4
"""


def test_operators_of_the_whole_net_are_as_near_as_in_the_vendors_table(zoo: Zoo) -> None:
    """Of its 65 rows 17 are below 0.999 and 4 below 0.99, and the logits at 0.99990."""
    with zoo.edited(BUILD_FILE, "[[keras_model]]", f"{ANALYSIS}\n[[keras_model]]"):
        zoo.build("//mobilenet:rows")
    rows = json.loads((zoo.root / "axbuild-out/mobilenet/rows/precision_analysis.json").read_text())["rows"]
    cosines = [row["cosine"] for row in rows]
    below_three_nines, below_two = (sum(cosine < limit for cosine in cosines) for limit in (0.999, 0.99))
    assert len(cosines) == 65
    assert below_three_nines <= 17
    assert below_two <= 4
    assert [row["cosine"] > 0.9999 for row in rows if row["output"]] == [True]


def test_a_changed_tolerance_executes_only_the_comparison(zoo: Zoo) -> None:
    with zoo.edited(BUILD_FILE, "rtol = 1e-5", "rtol = 1e-4"):
        assert zoo.build(*MOBILENET).executed == ["compare"]


def test_a_changed_level_executes_only_the_comparison(zoo: Zoo) -> None:
    with zoo.edited(BUILD_FILE, 'level = "close"\nrtol = 1e-5', 'level = "cosine"\ncosine = 0.99'):
        assert zoo.build(*MOBILENET).executed == ["compare"]


def test_a_comment_or_another_layout_of_a_build_file_executes_nothing(zoo: Zoo) -> None:
    with zoo.edited(BUILD_FILE, 'level = "equal"', '# bit for bit\nlevel   =   "equal"'):
        assert zoo.build(*MOBILENET).executed == []


def test_touching_a_file_executes_nothing(zoo: Zoo) -> None:
    os.utime(zoo.root / "fetched" / "photographs" / "calibration" / "chelsea_0.png")
    os.utime(zoo.root / BUILD_FILE)
    os.utime(zoo.root / "rules" / "keras_stages.py")
    assert zoo.build(*MOBILENET).executed == []


def test_another_npu_mode_reruns_no_quantisation(zoo: Zoo) -> None:
    with zoo.edited("axbuild.toml", 'npu_mode = "NPU1"', 'npu_mode = "NPU2"'):
        executed = zoo.build(*MOBILENET).executed
    assert set(executed) - set(COMPILATION) == set()
    assert "compile_subgraph" in executed


def test_a_replaced_calibration_picture_reruns_observation_and_what_follows(zoo: Zoo) -> None:
    file = "fetched/photographs/calibration/chelsea_0.png"
    picture = Image.open(zoo.root / file).transpose(Image.Transpose.ROTATE_180)
    content = io.BytesIO()
    # A brighter picture than any there was, so that ranges move.
    picture.point(lambda value: 255 if value > 100 else 0).save(content, "PNG")
    with zoo.replaced(file, content.getvalue()):
        executed = zoo.build(*MOBILENET).executed
    assert executed[:2] == ["decode", "observe"]
    assert "convert" not in executed
    assert "optimize" not in executed
    assert "quantize" in executed


def test_a_renamed_folder_of_pictures_executes_nothing(zoo: Zoo) -> None:
    old = zoo.root / "fetched" / "photographs"
    old.rename(zoo.root / "fetched" / "pictures")
    try:
        with zoo.edited("BUILD.toml", "fetched/photographs/", "fetched/pictures/"):
            assert zoo.build(*MOBILENET).executed == []
    finally:
        (zoo.root / "fetched" / "pictures").rename(old)


def test_a_moved_package_executes_nothing(zoo: Zoo) -> None:
    (zoo.root / "mobilenet").rename(zoo.root / "dogs")
    try:
        outcome = zoo.build("//dogs:check", "//dogs:equal")
    finally:
        (zoo.root / "dogs").rename(zoo.root / "mobilenet")
    assert outcome.executed == []


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("toolchain/axmodel/compare.py", {"compare"}),
        ("toolchain/quant/quantize.py", {"quantize"}),
        ("toolchain/quant/observe.py", {"observe"}),
        ("toolchain/npu/compile.py", {"compile_subgraph"}),
        ("toolchain/axmodel/fuse.py", {"fuse"}),
        ("toolchain/data/decode.py", {"decode"}),
    ],
)
def test_a_comment_in_a_stage_reruns_that_stage_and_stops_there(
    zoo: Zoo, tmp_path: Path, module: str, stages: set[str]
) -> None:
    package = shutil.copytree(zoo.package, tmp_path / "package")
    edited = Zoo(zoo.root, Path(zoo.environment["AXBUILD_CACHE_DIR"]), package)
    with (package / "axbuild" / module).open("a") as file:
        file.write("# an edit that changes no result\n")
    assert set(edited.build(*MOBILENET).executed) == stages


def test_an_edited_rule_of_the_workspace_reruns_its_own_stage_only(zoo: Zoo) -> None:
    with zoo.edited("rules/keras_stages.py", "OPSET = 18", "OPSET = 18  # as it was"):
        assert zoo.build(*MOBILENET).executed == ["convert"]


PICTURES = {"mobilenet": ("photographs/evaluation", 160), "digits": ("digits/calibration", 28)}


@pytest.mark.parametrize("model", PICTURES)
@pytest.mark.parametrize("optimised", [False, True], ids=["as it stands", "optimised"])
def test_simulator_and_quantised_model_differ_in_no_element(zoo: Zoo, model: str, optimised: bool) -> None:
    """Behind the stated pre-processing: NHWC codes to (x - 127.5) / 127.5 in NCHW, in float32."""
    zoo.build(f"//{model}:axmodel")
    folder = zoo.root / "axbuild-out" / model / "axmodel"
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    options.log_severity_level = 3
    body = onnxruntime.InferenceSession(
        str(folder / "quant" / "quant_axmodel.onnx"), options, providers=["CPUExecutionProvider"]
    )
    simulator = axbuild.InferenceSession(folder / "compiled.axmodel")
    place, side = PICTURES[model]
    files = sorted((zoo.root / "fetched" / place).iterdir())
    assert len(files) >= 20
    for file in files:
        picture = np.asarray(Image.open(file).resize((side, side))).reshape(1, side, side, -1)
        codes = (picture.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)
        (simulated,) = simulator.run(None, {simulator.get_inputs()[0].name: picture})
        (expected,) = body.run(None, {body.get_inputs()[0].name: codes.transpose(0, 3, 1, 2)})
        np.testing.assert_array_equal(simulated, expected)


PROCESSORS = """[
    { tensor_name = "DEFAULT", tensor_format = "%s", src_format = "%s", src_dtype = "U8", src_layout = "NHWC"%s },
]"""
COMPILED = """
[[axmodel]]
name = "small"
quant = ":quant"
target_hardware = "AX620E"
npu_mode = "NPU2"
static_batch_sizes = [1, 2]
input_processors = """
FROM_FILE = """
[[quant_axmodel]]
name = "quant"
src = "quant_axmodel.onnx"
{compiled}
[[check]]
name = "equal"
axmodel = ":small"
level = "equal"
"""


@pytest.mark.parametrize(("model", "colours", "values"), [("mobilenet", "RGB", 3), ("digits", "GRAY", 1)])
def test_a_quantised_model_is_compiled_from_its_file_to_the_same_bytes(
    zoo: Zoo, model: str, colours: str, values: int
) -> None:
    """For a chip, a mode and batches that the file was not written for; what calibration said is said again."""
    own, file = COMPILED + PROCESSORS % (colours, colours, ""), zoo.root / model / "BUILD.toml"
    with zoo.edited(f"{model}/BUILD.toml", file.read_text(), file.read_text() + own):
        zoo.build(f"//{model}:small")
    folder, given = zoo.root / f"again_{model}", zoo.root / "axbuild-out" / model / "small"
    folder.mkdir()
    for name in ("quant_axmodel.onnx", "quant_axmodel.json"):
        shutil.copyfile(given / "quant" / name, folder / name)
    said = "".join(f", {name} = {[127.5] * values}" for name in ("mean", "std"))
    compiled = COMPILED + PROCESSORS % (colours, colours, said)
    (folder / "BUILD.toml").write_text(FROM_FILE.format(compiled=compiled))
    outcome = zoo.build(f"//{folder.name}:small", f"//{folder.name}:equal")
    assert {"optimize", "convert", "decode", "observe", "calibrate", "quantize"}.isdisjoint(outcome.executed)
    again = zoo.root / "axbuild-out" / folder.name / "small"
    assert (again / "compiled.axmodel").read_bytes() == (given / "compiled.axmodel").read_bytes()
    verdict = json.loads((again.parent / "equal/verdict.json").read_text())
    assert (verdict["passed"], "on 8 samples: equal bit for bit" in verdict["sentence"]) == (True, True)


def test_the_guides_script_around_pulsar2_run_names_the_largest_scores_of_photographs(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As written on the page: a picture becomes sim_inputs/0/input.bin, five lines of score and index come back."""
    (script,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/guide/pulsar2-run.md").read_text(), re.DOTALL)
    (tmp_path / "classify.py").write_text(script)
    monkeypatch.chdir(tmp_path)
    zoo.build("//mobilenet:axmodel")
    built = zoo.root / "axbuild-out/mobilenet/axmodel"
    folders = ["--input_dir", "sim_inputs", "--output_dir", "sim_outputs", "--list", "list.txt"]
    session = axbuild.InferenceSession(built / "compiled.axmodel")
    for file in sorted((zoo.root / "fetched/photographs/evaluation").iterdir())[:6]:
        picture = np.asarray(Image.open(file).resize((160, 160))).reshape(1, 160, 160, 3)
        _script("--pre_processing", file)
        assert run_on_files(["--model", str(built / "compiled.axmodel"), *folders], CHIPS) == 0
        capsys.readouterr()
        _script("--post_processing", file)
        (scores,) = session.run(None, {"input": picture})[0]
        largest = np.argsort(-scores)[:5]
        assert capsys.readouterr().out.splitlines() == [f"{scores[index]:.4f}, {index}" for index in largest]
        reals = (picture.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)
        reals.transpose(0, 3, 1, 2).tofile("sim_inputs/0/input.bin")
        assert run_on_files(["--model", str(built / "frontend/optimized.onnx"), *folders], CHIPS) == 0
        assert np.fromfile("sim_outputs/0/logits.bin", np.float32).argmax() in largest


def _script(step: str, picture: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["classify.py", step, str(picture)])
        runpy.run_path("classify.py")
