"""QDQ models that contradict themselves, or that no chip computes with: one sentence each, before the front end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from qdq_world import QdqNet, placed

from axbuild.toolchain.qdq.linear import QdqError
from axbuild.toolchain.qdq.separate import SeparateParams, separate


def around(quantise: Callable[[QdqNet], str], weight: Callable[[QdqNet], str] | None = None) -> onnx.ModelProto:
    """A Conv behind what `quantise` makes of x, with what `weight` makes."""
    net = QdqNet(1, 4, 6, 6)
    make = weight or (lambda n: n.coded("w", n.codes(4, 4, 1, 1), 0.01, np.int8(0)))
    net.add("Conv", [quantise(net), make(net)], "c")
    net.add("Identity", [net.pair("c")], "y")
    graph = helper.make_graph(
        net.nodes, "g", net.inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], net.initialisers
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def pair(**more: object) -> Callable[[QdqNet], str]:
    return lambda net: net.pair("x", **more)


def computed_scale(net: QdqNet) -> str:
    net.add("ReduceMax", ["x"], "found", keepdims=0)
    net.add("QuantizeLinear", ["x", "found", net.constant("z", np.uint8(3))], "q")
    return net.add("DequantizeLinear", ["q", "found", "z"], "d")


def no_scale(net: QdqNet) -> str:
    net.add("QuantizeLinear", ["x"], "q")
    return net.add("DequantizeLinear", ["q", net.constant("s", np.float32(1))], "d")


def moved_codes(net: QdqNet) -> str:
    net.linear("QuantizeLinear", "x", "q", 0.1, np.uint8(3))
    net.add("Transpose", ["q"], "t", perm=[0, 1, 3, 2])
    return net.linear("DequantizeLinear", "t", "d", 0.1, np.uint8(3))


def two_scales(net: QdqNet) -> str:
    net.linear("QuantizeLinear", "x", "q", 0.1, np.uint8(3))
    return net.linear("DequantizeLinear", "q", "d", 0.2, np.uint8(3))


def two_types(net: QdqNet) -> str:
    net.linear("QuantizeLinear", "x", "q", 0.1, np.uint8(3))
    return net.linear("DequantizeLinear", "q", "d", 0.1, np.int8(3))


def per_channel(net: QdqNet) -> str:
    scale, zero = np.full(4, 0.1), np.full(4, 3, np.uint8)
    net.linear("QuantizeLinear", "x", "q", scale, zero, axis=1)
    return net.linear("DequantizeLinear", "q", "d", scale, zero, axis=1)


def weight(scale: object, zero: object = np.int8(0), **attributes: int) -> Callable[[QdqNet], str]:
    return lambda net: net.coded("w", net.codes(4, 4, 1, 1), scale, zero, **attributes)


BROKEN = {
    "no scale": (around(no_scale), "node 'q' (QuantizeLinear) has no scale"),
    "a scale of 0": (around(pair(scale=0.0)), "node 'x_dq_q' (QuantizeLinear) has the scale 0.0"),
    "a negative scale": (around(pair(scale=-1.0)), "has the scale -1.0"),
    "a scale that is no number": (around(pair(scale=float("nan"))), "has the scale nan"),
    "an infinite scale": (around(pair(), weight(float("inf"))), "node 'w' (DequantizeLinear) has the scale inf"),
    "a computed scale": (around(computed_scale), "has the scale 'found', which is computed"),
    "another zero point": (around(pair(), weight(0.1, np.uint8(0))), "reads int8 with a zero point of uint8"),
    "fewer zero points": (around(pair(), weight(np.ones(4), np.zeros(3, np.int8))), "has 4 scales and 3 zero points"),
    "an axis beyond": (
        around(pair(), weight(np.ones(4), np.zeros(4, np.int8), axis=7)), "has scales along axis 7 of a tensor",
    ),
    "blocks": (
        around(pair(), weight(np.ones((4, 2, 1, 1)), np.zeros((4, 2, 1, 1), np.int8), axis=1, block_size=2)),
        "has a scale for each 2 elements",
    ),
    "scales a channel of x": (around(per_channel), "has 4 scales for a tensor that is no constant"),
    "codes that are moved": (around(moved_codes), "reads the codes 't' of 't' (Transpose)"),
    "two scales": (around(two_scales), "have different scales or zero points"),
    "two types": (around(two_types), "reads uint8 with a zero point of int8"),
}  # fmt: skip


@pytest.mark.parametrize(("model", "sentence"), BROKEN.values(), ids=BROKEN)
def test_a_broken_quantisation_is_refused(model, sentence, tmp_path: Path):
    with pytest.raises(QdqError) as refused:
        separate(placed(model, tmp_path / "model"), tmp_path, params=SeparateParams())
    assert sentence in refused.value.sentence
    assert refused.value.hint


@pytest.mark.parametrize(
    ("op_type", "sentence", "hint"),
    [
        ("QLinearConv", "the model computes on codes itself: QLinearConv x1 ('n')", "quant_format=QuantFormat.QDQ"),
        ("DynamicQuantizeLinear", "the model finds scales while it runs", "calibration data"),
        ("Relu", "the model has no QuantizeLinear and no DequantizeLinear", 'model_type = "ONNX"'),
    ],
)
def test_other_forms_are_told_how_to_become_qdq_models(op_type, sentence, hint, tmp_path: Path):
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])] for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op_type, ["x"], ["y"], name="n")], "g", *ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    with pytest.raises(QdqError) as refused:
        separate(placed(model, tmp_path / "model"), tmp_path, params=SeparateParams())
    assert sentence in refused.value.sentence
    assert hint in refused.value.hint
