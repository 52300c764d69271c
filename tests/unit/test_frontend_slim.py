"""onnxslim in front of the front end: `enable_onnxsim`."""

from __future__ import annotations

import sys

import numpy as np
import onnx
import pytest

from axbuild.codes import exit_code_of
from axbuild.toolchain.frontend import slim as slimming
from axbuild.toolchain.frontend.ends import Ends
from axbuild.toolchain.frontend.slim import SlimError, slim
from frontend_world import assert_same_results, describe, model, node, normal, place


def slimmed(proto, folder, **ends):
    out = folder / "out"
    out.mkdir()
    slim(place(proto, folder / "in"), out, params=Ends(**ends))
    return onnx.load(out / "slimmed/model.onnx")


def twice():
    """The same convolution twice, BatchNormalization behind one, and an Identity."""
    conv = {"w": normal(4, 3, 3, 3), **{name: np.abs(normal(4)) + 0.5 for name in ("s", "b", "m", "v")}}
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="conv"),
        node("BatchNormalization", ["a", "s", "b", "m", "v"], ["n"], name="norm"),
        node("Conv", ["x", "w"], ["c"], name="again"),
        node("Identity", ["c"], ["d"], name="same"),
        node("Add", ["n", "d"], ["y"], name="sum"),
    ]
    return model(nodes, conv, inputs=(("x", ["batch", 3, 8, 8]),))


def test_what_is_computed_twice_or_does_nothing_goes_and_every_other_node_keeps_its_name(tmp_path):
    after = slimmed(twice(), tmp_path, input_shapes={"x": (1, 3, 8, 8)})
    assert describe(after) == [("Conv", "conv"), ("BatchNormalization", "norm"), ("Add", "sum")]


def test_the_slimmed_model_has_its_ends(tmp_path):
    ends = {"input_shapes": {"x": (1, 3, 8, 8)}, "outputs": ("n",), "rename": {"x": "image", "n": "normal"}}
    after = slimmed(twice(), tmp_path, **ends)
    assert [value.name for value in after.graph.input] == ["image"]
    assert [value.name for value in after.graph.output] == ["normal"]
    assert describe(after) == [("Conv", "conv"), ("BatchNormalization", "norm")]


def test_weights_outside_the_message_come_along(tmp_path):
    before = model([node("Conv", ["x", "w"], ["y"], name="conv")], {"w": normal(64, 3, 3, 3)})
    assert_same_results(before, slimmed(before, tmp_path), 0.0)


def test_without_the_library_the_error_says_what_adds_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxslim", None)
    with pytest.raises(SlimError) as error:
        slimmed(twice(), tmp_path, input_shapes={"x": (1, 3, 8, 8)})
    assert error.value.sentence == "enable_onnxsim needs onnxslim, which is not installed"
    assert "pip install onnxslim" in error.value.hint
    assert exit_code_of(error.value.code) == 2


def test_a_model_that_it_changes_is_refused(tmp_path, monkeypatch):
    def wrong(proto, **_):
        proto.graph.node[-1].op_type = "Sub"
        return proto

    monkeypatch.setattr(slimming, "_onnxslim", lambda: wrong)
    with pytest.raises(SlimError, match="onnxslim changed tensor 'y' by"):
        slimmed(twice(), tmp_path, input_shapes={"x": (1, 3, 8, 8)})


def test_what_it_raises_is_told_with_the_way_out(tmp_path, monkeypatch):
    def raises(proto, **_):
        raise KeyError("opset")

    monkeypatch.setattr(slimming, "_onnxslim", lambda: raises)
    with pytest.raises(SlimError, match="onnxslim does not take the model: 'opset'") as error:
        slimmed(twice(), tmp_path, input_shapes={"x": (1, 3, 8, 8)})
    assert error.value.hint == "leave out enable_onnxsim"
