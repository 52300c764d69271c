"""Which nodes each transformer_opt_level has in 16 bits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from quantised import Net

from axbuild.toolchain.kinds.codes import U8, U16
from axbuild.toolchain.quant.precision import LayerConfig, precisions
from axbuild.toolchain.quant.transformer import is_transformer, of_level


def stream_net(*, normed: bool = True) -> ir.Graph:
    """A sum and what moves it before a norm, a softmax beside, a product and a sum behind, and a sum that is none."""
    net = Net(1, 4, 8)
    net.constant("gain", np.ones(8, np.float32))
    net.constant("w", net.rng.normal(size=(8, 8)).astype(np.float32))
    net.add("MatMul", ["x", "w"], "layer")
    net.add("Add", ["layer", "x"], "sum")
    net.constant("shape", np.array([1, 2, 2, 8], np.int64))
    net.add("Reshape", ["sum", "shape"], "moved")
    net.add("LayerNormalization" if normed else "Relu", ["moved", "gain"] if normed else ["moved"], "norm")
    net.add("MatMul", ["norm", "w"], "inner")
    net.add("Add", ["moved", "inner"], "again")
    net.add("Softmax", ["inner"], "shares")
    net.add("Add", ["shares", "inner"], "elsewhere")
    return ir.from_proto(net.model("again", "elsewhere")).graph


def wide(level: int, rules: tuple[LayerConfig, ...] = ()) -> list[str]:
    graph = stream_net()
    found = precisions(graph, rules, preset=of_level(graph, level))
    return [node.name or "" for node, asked in found.items() if asked.data is U16]


@pytest.mark.parametrize(("level", "expected"), [(0, []), (1, ["sum", "norm", "shares"]), (2, ["sum", "norm"])])
def test_a_level_widens_the_stream_and_level_1_what_goes_into_softmax(level: int, expected: list[str]) -> None:
    """`again` is read by nobody that normalises, `elsewhere` has nothing to do with the stream."""
    assert wide(level) == expected


def test_a_layer_rule_decides_over_the_level() -> None:
    assert wide(1, (LayerConfig(op_types=("Add",), data_type="U8"),)) == ["norm", "shares"]


def test_level_2_has_softmax_in_8_bits_where_auto_would_widen_it() -> None:
    graph = stream_net()
    softmax = next(node for node in graph if node.name == "shares")
    assert precisions(graph, (), wide_where_steep=True)[softmax].data is U16
    assert precisions(graph, (), wide_where_steep=True, preset=of_level(graph, 2))[softmax].data is U8


def test_a_net_without_norms_is_no_transformer() -> None:
    assert is_transformer(stream_net())
    assert not is_transformer(stream_net(normed=False))
