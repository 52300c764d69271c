"""Codes that were shipped stay what they were: freeze, a new release, and what a stale or damaged lock says."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tune_net import residual_net, samples_with_an_outlier

from net_workspace import QUANT, net_workspace
from zoo_workspace import Outcome, Zoo, copy_package

BUILD = QUANT
NAMED = 'calibration = ":calib"\n'
FROZEN = f'{NAMED}frozen = "quant.lock"\n'
RESULT = "axbuild-out/m/quant/quant/quant_axmodel.onnx"


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    """A workspace whose model was built and frozen, and what `freeze` said."""
    folder = tmp_path_factory.mktemp("frozen")
    package, net = copy_package(folder / "package"), residual_net()
    zoo = net_workspace(folder / "workspace", BUILD, net.model("y"), samples_with_an_outlier(net), package)
    zoo.build("//m:quant")
    said = zoo.run("freeze", "//m:quant")
    (zoo.root / "m/BUILD.toml").write_text(BUILD.replace(NAMED, FROZEN))
    return zoo, said


def result(zoo: Zoo) -> bytes:
    return (zoo.root / RESULT).read_bytes()


def warnings(outcome: Outcome) -> list[str]:
    return [event["sentence"] for event in outcome.events if event["event"] == "diagnostic"]


def test_freeze_writes_the_lock_beside_the_build_file_and_says_the_line_to_add(shipped: tuple[Zoo, Outcome]) -> None:
    zoo, said = shipped
    assert said.code == 0
    assert said.out.splitlines() == [
        "m/quant.lock and m/quant.lock.scheme: the codes of //m:quant as it was last built.",
        'Commit both, and say frozen = "quant.lock" in the quant_model.',
    ]
    lock = json.loads((zoo.root / "m/quant.lock").read_text())
    assert (lock["format"], lock["release"], len(lock["nodes"])) == ("axbuild-lock/1", "0.1.0", 5)


def test_a_frozen_model_is_the_one_that_was_built_and_nothing_is_said(shipped: tuple[Zoo, Outcome]) -> None:
    zoo, _ = shipped
    with zoo.edited("m/BUILD.toml", FROZEN, NAMED):
        zoo.build("//m:quant")
        free = result(zoo)
    outcome = zoo.build("//m:quant")
    assert result(zoo) == free
    assert warnings(outcome) == []


def test_another_method_leaves_frozen_codes_and_is_told(shipped: tuple[Zoo, Outcome]) -> None:
    zoo, _ = shipped
    zoo.build("//m:quant")
    frozen = result(zoo)
    with zoo.edited("m/BUILD.toml", FROZEN, f'{FROZEN}method = "MSE"\n'):
        outcome = zoo.build("//m:quant")
        assert "quantize" not in outcome.executed
        assert result(zoo) == frozen
        (told,) = warnings(outcome)
    assert told.startswith(
        "the codes of quant.lock, written by axbuild 0.1.0, are kept; this axbuild, with the settings and samples as "
        "they are now, chooses others for 1 of 6 tensors ('sum': U8 in steps of 0.1584, now U8 in steps of 0.15"
    )


def test_a_release_that_chooses_otherwise_keeps_frozen_codes_and_diff_names_both(shipped: tuple[Zoo, Outcome]) -> None:
    zoo, _ = shipped
    zoo.build("//m:quant")
    frozen = result(zoo)
    assert zoo.package is not None
    chooser, number = zoo.package / "axbuild/toolchain/quant/ranges.py", zoo.package / "axbuild/version.py"
    before = chooser.read_text(), number.read_text()
    chooser.write_text(before[0].replace("(hi - lo) / kind.span", "1.25 * (hi - lo) / kind.span"))
    number.write_text('__version__ = "99.0.0"\n')
    assert chooser.read_text() != before[0]
    try:
        outcome = zoo.build("//m:quant")
        assert result(zoo) == frozen
        assert "chooses others for 6 of 6 tensors" in warnings(outcome)[0]
        heads = zoo.run("diff").out.splitlines()[:2]
    finally:
        chooser.write_text(before[0])
        number.write_text(before[1])
    assert [", axbuild 0.1.0: " in heads[0], ", axbuild 99.0.0: " in heads[1]] == [True, True]


def test_frozen_codes_are_not_put_into_another_model(shipped: tuple[Zoo, Outcome]) -> None:
    zoo, _ = shipped
    model = onnx.load(zoo.root / "m/net.onnx")
    weight = model.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.01), weight.name))
    with zoo.replaced("m/net.onnx", model.SerializeToString()):
        outcome = zoo.run("build", "//m:quant")
    assert outcome.code == 2
    assert "is for another model: the weights or settings of node" in outcome.err
    assert "run `axbuild freeze` again" in outcome.err


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("quant.lock", b"\xff", "quant.lock is damaged"),
        ("quant.lock", b"[1]", "quant.lock is damaged"),
        ("quant.lock", b'{"format": "axbuild-lock/9"}', "quant.lock is not of the format axbuild-lock/1"),
        (
            "quant.lock",
            b'{"format": "axbuild-lock/1", "release": "1", "scheme": 3, "nodes": {}}',
            "quant.lock is damaged: it holds something else than names and digests",
        ),
        ("quant.lock.scheme", b"", "quant.lock.scheme is not the file that quant.lock was written with"),
    ],
)
def test_a_damaged_lock_is_told_and_builds_nothing(
    shipped: tuple[Zoo, Outcome], file: str, content: bytes, sentence: str
) -> None:
    zoo, _ = shipped
    with zoo.replaced(f"m/{file}", content):
        outcome = zoo.run("build", "//m:quant")
    assert (outcome.code, sentence in outcome.err) == (2, True), outcome.err
    assert "calibrate" not in outcome.executed


def test_what_cannot_be_frozen_is_told(shipped: tuple[Zoo, Outcome]) -> None:
    zoo, _ = shipped
    for target, sentence in {
        "//m:quant": "//m:quant is frozen already",
        "//m:float": "//m:float is of the rule float_model, and what is frozen is a quant_model",
        "//...": "'//...' names 3 targets, and one is frozen at a time",
    }.items():
        outcome = zoo.run("freeze", target)
        assert (outcome.code, sentence in outcome.err) == (2, True), outcome.err
    with zoo.edited("m/BUILD.toml", FROZEN, NAMED), zoo.edited("m/BUILD.toml", 'name = "quant"', 'name = "new"'):
        outcome = zoo.run("freeze", "//m:new")
    assert "//m:new has no result here" in outcome.err
    assert "axbuild build //m:new" in outcome.err


def test_a_lock_that_is_not_there_is_told(shipped: tuple[Zoo, Outcome]) -> None:
    zoo, _ = shipped
    (zoo.root / "m/quant.lock").rename(zoo.root / "m/lost")
    try:
        outcome = zoo.run("build", "//m:quant")
    finally:
        (zoo.root / "m/lost").rename(zoo.root / "m/quant.lock")
    assert outcome.code == 2
    assert "quant.lock" in outcome.err
