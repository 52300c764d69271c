"""Every op of the registry against ONNX's own node cases: close in float, equal to the oracle in integers."""

import numpy as np
import pytest
from bodies import LEVELS
from node_cases import OTHERS, OWN, settled
from quantised import float_run, loaded, quantised

from axbuild.toolchain.kinds.arithmetic import dequantise, quantise
from axbuild.toolchain.ops.sites import unsupported

TINY = 3000
"""elements and products that the oracle gets through in a moment"""


def snapped(result, feeds):
    """The feeds rounded to the grids of the quantised model's inputs."""
    return {
        name: dequantise(quantise(array, kind.scale, kind.zero), kind.scale, kind.zero)
        for name, array in feeds.items()
        for kind in [result.kind(f"{name}/quantize")]
    }


@pytest.mark.parametrize(("op", "name"), OWN, ids=[name for _, name in OWN])
def test_quantised_result_is_within_the_stated_steps_of_float(op, name):
    model, feeds, expected = settled(name)
    assert unsupported(loaded(model)) == []
    np.testing.assert_allclose(float_run(model, feeds)[0], expected[0], rtol=1e-4, atol=1e-4)
    result = quantised(model, [feeds])
    on_grid = snapped(result, feeds)
    (reference,), (y,) = float_run(model, on_grid), result.run(on_grid)
    ends = result.kind(f"{model.graph.output[0].name}/dequantize")
    lowest, highest = (ends.scale * (code - ends.zero) for code in (0, 255))
    assert y.shape == expected[0].shape
    assert np.abs(y - np.clip(reference, lowest, highest)).max() <= (op.steps + 1e-3) * ends.scale


@pytest.mark.parametrize(("op", "name"), OWN, ids=[name for _, name in OWN])
def test_quantised_graph_is_the_oracle_to_the_last_bit(op, name):
    model, feeds, _ = settled(name)
    if sum(array.size for array in feeds.values()) > TINY:
        feeds = {}
    result = quantised(model, [feeds or settled(name)[1]])
    levels = [result.run(feeds or settled(name)[1], level=level)[0] for level in LEVELS]
    assert levels[0].tobytes() == levels[1].tobytes()
    if feeds:
        assert result.run_oracle(feeds)[0].tobytes() == levels[0].tobytes()


@pytest.mark.parametrize(("op", "name"), OTHERS, ids=[name for _, name in OTHERS])
def test_every_other_case_of_onnx_is_refused_with_the_node_named(op, name):
    model, _, _ = settled(name)
    findings = unsupported(loaded(model))
    assert findings
    assert findings[0].sentence
