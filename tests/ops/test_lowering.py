"""Every op of the registry against ONNX's own node cases: close in float, equal to the oracle in integers."""

import numpy as np
import pytest
from bodies import LEVELS
from node_cases import OTHERS, OWN, settled
from quantised import float_run, loaded, quantised, snapped

from axbuild.toolchain.kinds.codes import TYPES
from axbuild.toolchain.ops.fused import without_integer_form
from axbuild.toolchain.ops.registry import all_ops

HELD = {kind.dtype for kind in TYPES if not kind.coded}
"""dtypes of tensors that a quantised model holds as they are"""
TINY = 3000
"""elements that the oracle gets through in a moment"""


@pytest.mark.parametrize("name", OWN)
def test_quantised_result_is_within_the_stated_steps_of_float(name):
    model, feeds, expected = settled(name)
    steps = all_ops()[model.graph.node[0].op_type].steps
    assert without_integer_form(loaded(model).graph[0]) == ""
    for found, wanted in zip(float_run(model, feeds), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    result = quantised(model, [feeds])
    on_grid = snapped(result, feeds)
    grids = {node.output[0]: result.kind(node.name).x for node in result.nodes("AxDequantizeLinear")}
    for output, y, reference in zip(model.graph.output, result.run(on_grid), float_run(model, on_grid), strict=True):
        assert y.shape == reference.shape
        if output.name in grids:
            grid = grids[output.name]
            lowest, highest = (grid.scale * (code - grid.zero) for code in (grid.type.lo, grid.type.hi))
            assert np.abs(y - np.clip(reference, lowest, highest)).max() <= (steps + 1e-3) * grid.scale
        else:
            assert y.tobytes() == reference.tobytes()


@pytest.mark.parametrize("name", OWN)
def test_quantised_graph_is_the_oracle_to_the_last_bit(name):
    model, feeds, _ = settled(name)
    result = quantised(model, [feeds])
    first, *others = [[y.tobytes() for y in result.run(feeds, level=level)] for level in LEVELS]
    assert all(other == first for other in others)
    if sum(array.size for array in feeds.values()) <= TINY:
        assert [y.tobytes() for y in result.run_oracle(feeds)] == first


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_case_of_onnx_stays_the_float_operator_and_says_why(name):
    model, feeds, expected = settled(name)
    assert without_integer_form(loaded(model).graph[0]) != ""
    if HELD.issuperset(array.dtype.name for array in (*feeds.values(), *expected)):
        result = quantised(model, [feeds])
        assert result.float_ops() == [model.graph.node[0].op_type]
        assert [y.tobytes() for y in result.run(feeds)] == [y.tobytes() for y in float_run(model, feeds)]
