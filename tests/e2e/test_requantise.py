"""Quantising again after an edit: which of the parts of an observation run, by the event stream.

The code is a copy in which a sample more makes a shard and a layer a segment, so that a small net has many of both.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from quantised import Net

from zoo_workspace import Outcome, Zoo, copy_package

BUILD = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "samples/*.npy"
format = "Numpy"
size = -1

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
level = "equal"

[[precision_check]]
name = "precision"
quant = ":quant"
min_cosine = 0.5
"""
QUANT = 'calibration = ":calib"\n'
RESULT = "axbuild-out/m/quant/quant/quant_axmodel.onnx"
SMALLER = {
    "rules/samples.py": ("SHARD = 64", "SHARD = 4"),
    "axbuild/toolchain/quant/spread.py": ("_SECONDS = ", "_SECONDS = 1e-9 * "),
    "axbuild/toolchain/quant/cuts.py": ("LONG_SECONDS = 0.01", "LONG_SECONDS = 1.5 * NODE_SECONDS"),
}
SAMPLES = 20


def net(head: float = 1.0) -> onnx.ModelProto:
    n = Net(1, 3, 12, 12)
    n.conv("x", "a", 8, 3, 3, pads=[1] * 4)
    n.add("Relu", ["a"], "b")
    n.conv("b", "c", 8, 8, 3, strides=[2, 2])
    n.add("Relu", ["c"], "d")
    n.conv("d", "e", 8, 8, 1)
    n.add("Add", ["d", "e"], "f")
    n.add("GlobalAveragePool", ["f"], "g")
    n.add("Flatten", ["g"], "h")
    n.add("Gemm", ["h", n.weight("head", 5, 8), n.weight("bias", 5)], "y", transB=1)
    model = n.model("y")
    for tensor in model.graph.initializer:
        if tensor.name == "head":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(head), "head"))
    return model


def save_sample(root: Path, name: str, scale: float = 1.0) -> None:
    seed = sum(name.encode())
    sample = np.random.default_rng(seed).normal(size=(1, 3, 12, 12)) * scale
    np.save(root / f"m/samples/{name}.npy", sample.astype(np.float32))


def workspace(root: Path) -> Path:
    (root / "m/samples").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "m/BUILD.toml").write_text(BUILD)
    onnx.save(net(), root / "m/net.onnx")
    for number in range(SAMPLES):
        save_sample(root, f"s{number:02}")
    return root


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_package(tmp_path_factory.mktemp("package"))
    for file, (old, new) in SMALLER.items():
        text = (copy / file).read_text()
        assert old in text
        (copy / file).write_text(text.replace(old, new))
    return copy


@pytest.fixture(scope="module")
def parted(package: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    room = tmp_path_factory.mktemp("parted")
    zoo = Zoo(workspace(room / "workspace"), room / "cache", package)
    return zoo, zoo.build("//m:quant")


@pytest.fixture(autouse=True)
def as_it_was(parted: tuple[Zoo, Outcome]) -> None:
    """What the test before this one took back is built."""
    parted[0].build("//m:quant")


def observed(outcome: Outcome) -> set[tuple[str, str]]:
    """(segment, shard) of all that was observed."""
    names = [e["action"] for e in outcome.finished("executed") if e["stage"] in ("observe", "observe_on")]
    return {(name.split("_")[1], name.split("_")[4]) for name in names}


def decoded(outcome: Outcome) -> list[str]:
    return [e["action"].rpartition("_")[2] for e in outcome.finished("executed") if e["stage"] == "decode"]


def segments_of(outcome: Outcome) -> list[str]:
    return sorted({segment for segment, _ in observed(outcome)})


def test_an_observation_is_an_action_for_each_segment_and_shard(parted: tuple[Zoo, Outcome]) -> None:
    first = parted[1]
    shards = decoded(first)
    assert len(shards) >= 5
    assert len(segments_of(first)) >= 3
    assert observed(first) == {(segment, shard) for segment in segments_of(first) for shard in shards}
    assert {stage: count for stage, count in Counter(first.executed).items() if count > 1}.keys() == {
        "decode",
        "observe",
        "observe_on",
    }


def test_what_is_quantised_from_parts_is_what_is_quantised_from_the_whole(
    parted: tuple[Zoo, Outcome], tmp_path: Path
) -> None:
    whole = Zoo(workspace(tmp_path / "workspace"), tmp_path / "cache")
    executed = whole.build("//m:quant").executed
    assert executed.count("observe") == executed.count("decode") == 1
    assert not {"deal", "segment", "merge"} & set(executed)
    assert (whole.root / RESULT).read_bytes() == (parted[0].root / RESULT).read_bytes()


def test_what_is_compiled_from_parts_is_the_quantised_model_to_the_last_bit(parted: tuple[Zoo, Outcome]) -> None:
    events = parted[0].build("//m:check", "//m:precision").events
    judged = {e["label"]: e["passed"] for e in events if e["event"] == "test_result"}
    assert judged == {"//m:check": True, "//m:precision": True}


@pytest.mark.parametrize(
    ("line", "scales"),
    [
        ('method = "MSE"\nbias_correction = "on"', ["calibrate"]),
        ('method = "Auto"', ["equalize", "choose_ranges", "round_weights"]),
        ('layer_configs = [{ op_type = "Add", data_type = "U16" }]', ["select", "calibrate"]),
    ],
)
def test_another_method_or_layer_rule_runs_from_the_scales_on(
    parted: tuple[Zoo, Outcome], line: str, scales: list[str]
) -> None:
    with parted[0].edited("m/BUILD.toml", QUANT, f"{QUANT}{line}\n"):
        executed = parted[0].build("//m:quant").executed
    assert executed[: len(scales)] == scales
    assert set(executed[len(scales) :]) <= {"quantize"}  # not even that where the scheme is one from before


def test_a_sample_that_is_added_is_decoded_and_observed_with_its_own_shard(parted: tuple[Zoo, Outcome]) -> None:
    zoo, first = parted
    save_sample(zoo.root, "another", 9.0)
    try:
        done = zoo.build("//m:quant")
    finally:
        (zoo.root / "m/samples/another.npy").unlink()
    shards = decoded(done)
    assert len(shards) in (1, 2)  # it may have grown too large and be parted
    assert observed(done) == {(segment, shard) for segment in segments_of(first) for shard in shards}
    assert {"deal", "survey", "spread", "merge", "calibrate", "quantize"} < set(done.executed)
    assert not {"optimize", "watch", "segment"} & set(done.executed)


def test_a_sample_that_is_replaced_is_observed_with_its_own_shard(parted: tuple[Zoo, Outcome]) -> None:
    zoo, first = parted
    file = "m/samples/s03.npy"
    held = (zoo.root / file).read_bytes()
    save_sample(zoo.root, "s03", 9.0)
    content = (zoo.root / file).read_bytes()
    (zoo.root / file).write_bytes(held)
    with zoo.replaced(file, content):
        done = zoo.build("//m:quant")
    (shard,) = decoded(done)
    assert observed(done) == {(segment, shard) for segment in segments_of(first)}
    assert "spread" not in done.executed


def test_other_weights_of_the_head_observe_the_last_segment(parted: tuple[Zoo, Outcome]) -> None:
    zoo, first = parted
    with zoo.replaced("m/net.onnx", net(head=1.5).SerializeToString()):
        done = zoo.build("//m:quant")
    assert observed(done) == {(segments_of(first)[-1], shard) for shard in decoded(first)}
    assert "spread" not in done.executed
    assert not decoded(done)


def test_samples_and_boundaries_that_a_full_cache_let_go_are_made_again_for_whom_they_serve(
    parted: tuple[Zoo, Outcome], package: Path, tmp_path: Path
) -> None:
    zoo = Zoo(workspace(tmp_path / "workspace"), tmp_path / "cache", package)
    first = zoo.build("//m:quant")
    for event in first.finished("executed"):
        for name in {"samples/", "boundary/", "dealt/"} & event["outputs"].keys():
            for digest in set(event["outputs"][name].values()):
                (tmp_path / "cache/cas" / digest[:2] / digest).unlink(missing_ok=True)
    with zoo.edited("m/BUILD.toml", QUANT, f'{QUANT}bias_correction = "on"\n'):
        assert zoo.build("//m:quant").executed == ["calibrate", "quantize"]
    save_sample(zoo.root, "another", 9.0)
    done = zoo.build("//m:quant")
    shards = set(decoded(done))
    assert len(shards) < len(decoded(first))
    assert observed(done) == {(segment, shard) for segment in segments_of(first) for shard in shards}
