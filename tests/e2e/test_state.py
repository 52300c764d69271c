"""A model that hands a state on: calibrated as a sequence, and measured as one."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from quantised import Net, write_samples

from axbuild.errors import AxNote
from axbuild.toolchain.data.inputs import InputData, SampleMismatchError
from axbuild.toolchain.precision.drift import DriftParams, drift, told
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.unroll import StatePairError, UnrollParams, unroll
from zoo_workspace import Outcome, Zoo

BUILD = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "samples/*.npy"
format = "Numpy"
size = -1

[[calibration_set]]
name = "others"
src = "others/*.npy"
format = "Numpy"
size = -1

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"
state = { next = "state" }

[[axmodel]]
name = "axmodel"
quant = ":quant"

[[check]]
name = "equal"
axmodel = ":axmodel"
level = "equal"
samples = ":others"

[[precision_check]]
name = "precision"
quant = ":quant"
samples = ":others"
min_cosine = 0.9
"""
PAIR = {"next": "state"}
STEPS = 70


def cell() -> onnx.ModelProto:
    """next = tanh(x A + state B), y = next C; `other` is of another shape than the state."""
    n = Net(1, 4)
    n.input("state", 1, 6)
    n.add("Gemm", ["x", n.weight("a", 4, 6), n.weight("bias", 6)], "left")
    n.add("MatMul", ["state", n.weight("b", 6, 6)], "right")
    n.add("Add", ["left", "right"], "sum")
    n.add("Tanh", ["sum"], "next")
    n.add("MatMul", ["next", n.weight("c", 6, 5)], "y")
    return n.model("y", "next")


def steps(count: int = STEPS, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(1, 4)).astype(np.float32) for _ in range(count)]


def workspace(root: Path, build: str = BUILD) -> Zoo:
    (root / "m").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "m/BUILD.toml").write_text(build)
    onnx.save(cell(), root / "m/net.onnx")
    write_samples(root / "m/samples", steps())
    write_samples(root / "m/others", steps(40, 1))
    return Zoo(root, root.parent / "cache")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    zoo = workspace(tmp_path_factory.mktemp("state") / "workspace")
    return zoo, zoo.build("//m:quant", "//m:equal", "//m:precision")


def test_a_model_is_calibrated_as_a_sequence_and_judged_as_one(built: tuple[Zoo, Outcome]) -> None:
    zoo, done = built
    judged = {event["label"]: event["passed"] for event in done.events if event["event"] == "test_result"}
    assert judged == {"//m:equal": True, "//m:precision": True}
    found = json.loads((zoo.root / "axbuild-out/m/precision/drift.json").read_text())
    assert found["steps"] == 40
    assert all(len(found["outputs"][name]) == 40 for name in ("y", "next"))
    assert "after 40 steps, each model on its own states, the last 10 steps have: output 'y' " in done.out


def test_the_state_and_what_becomes_it_have_one_grid(built: tuple[Zoo, Outcome]) -> None:
    zoo, done = built
    (made,) = (e["outputs"]["scheme.msgpack"] for e in done.finished("executed") if e["stage"] == "calibrate")
    scheme = Scheme.read(zoo.root.parent / "cache/cas" / made[:2] / made)
    (read,) = {site.reads["state"] for site in scheme.sites if "state" in site.reads}
    (written,) = {site.writes["next"] for site in scheme.sites if "next" in site.writes}
    assert read == written
    assert scheme.owners["state"] == scheme.owners["next"]


def test_a_step_more_runs_the_steps_behind_it_and_another_method_none(built: tuple[Zoo, Outcome]) -> None:
    zoo = built[0]
    with zoo.edited("m/BUILD.toml", 'state = { next = "state" }\n', 'state = { next = "state" }\nmethod = "MSE"\n'):
        assert set(zoo.build("//m:quant").executed) <= {"calibrate", "quantize"}


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ('{ nxt = "state" }', "state names the output 'nxt'; the model's outputs are y, next"),
        ('{ next = "stat" }', "state names the input 'stat'; the model's inputs are x, state"),
        ('{ y = "state" }', "output 'y' is float [1, 5], and the input 'state' that it is next time is float [1, 6]"),
        ('{ next = "state", y = "state" }', "state has two outputs for the input 'state': 'next' and 'y'"),
        ("{ next = 3 }", "state takes a table of name = another name"),
    ],
)
def test_what_is_no_pair_is_refused_before_anything_is_observed(tmp_path: Path, state: str, said: str) -> None:
    done = workspace(tmp_path / "w", BUILD.replace('{ next = "state" }', state)).run("build", "//m:quant")
    assert done.code == 2
    assert said in done.err
    assert "observe" not in done.executed


def test_a_state_takes_no_samples(tmp_path: Path) -> None:
    zoo = workspace(tmp_path / "w", BUILD.replace('":calib"\nstate', '{ x = ":calib", state = ":calib" }\nstate'))
    done = zoo.run("build", "//m:quant")
    assert done.code == 2
    assert "the input 'state' is a state, which begins as zeros, and calibration has a set for it" in done.err


def test_no_more_does_it_where_a_model_is_judged(tmp_path: Path) -> None:
    zoo = workspace(tmp_path / "w", BUILD.replace('samples = ":others"', 'samples = { state = ":others" }'))
    done = zoo.run("build", "//m:precision")
    assert done.code == 2
    assert "the input 'state' is a state and takes no samples" in done.err


def test_states_stand_in_the_folders_of_their_samples_and_are_those_of_a_loop(tmp_path: Path) -> None:
    onnx.save(cell(), tmp_path / "m.onnx")
    arrays = steps(6)
    folder = write_samples(tmp_path / "samples/0", arrays[:3])
    write_samples(tmp_path / "more", arrays[3:])
    (tmp_path / "samples/1").mkdir()
    for number in range(3):
        (tmp_path / f"more/s00{number}.npy").rename(tmp_path / f"samples/1/s00{number + 3}.npy")
    unroll(tmp_path / "m.onnx", [folder.parent], tmp_path, params=UnrollParams((InputData("", "Numpy"),), PAIR))
    session = ReferenceEvaluator(cell())
    state = np.zeros((1, 6), np.float32)
    for number, x in enumerate(arrays):
        held = np.load(tmp_path / f"states/0/{number // 3}/s00{number}.npy")
        np.testing.assert_allclose(held, state, atol=1e-6)
        (state,) = session.run(["next"], {"x": x, "state": state})


def test_an_input_that_is_neither_a_state_nor_has_samples_is_named(tmp_path: Path) -> None:
    onnx.save(cell(), tmp_path / "m.onnx")
    folder = write_samples(tmp_path / "samples", steps(2))
    with pytest.raises(SampleMismatchError, match="there are no samples for the model's input 'state'"):
        unroll(tmp_path / "m.onnx", [folder], tmp_path, params=UnrollParams((InputData("x", "Numpy"),), {}))
    with pytest.raises(StatePairError):
        unroll(tmp_path / "m.onnx", [folder], tmp_path, params=UnrollParams((InputData("x", "Numpy"),), {"x": "y"}))


def test_two_models_that_are_the_same_do_not_drift_and_others_do_more_with_every_step(tmp_path: Path) -> None:
    onnx.save(cell(), tmp_path / "m.onnx")
    other = cell()
    for tensor in other.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor) * np.float32(1.001 if tensor.name == "b" else 1.0)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    onnx.save(other, tmp_path / "other.onnx")
    folder = write_samples(tmp_path / "samples", steps(5))
    params = DriftParams((InputData("x", "Numpy"),), PAIR)

    def noise(model: str) -> list[float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AxNote)
            drift(tmp_path / "m.onnx", tmp_path / model, [folder], tmp_path, params=params)
        rows = json.loads((tmp_path / "drift.json").read_text())["outputs"]["next"]
        return [noise for _, noise in rows]

    assert noise("m.onnx") == [0.0] * 5
    apart = noise("other.onnx")
    assert apart[0] == 0.0  # the state is still zeros
    assert all(value > 0.0 for value in apart[1:])


def test_values_that_are_not_finite_are_told() -> None:
    found = {"y": [[1.0, 0.01]] * 12, "s": [[1.0, 0.01]] * 11 + [None]}
    assert told(found, 12) == (
        "after 12 steps, each model on its own states, the last 10 steps have: "
        "output 'y' 20.0 dB, output 's' values that are not finite"
    )
