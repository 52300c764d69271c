"""Random nets under random layer rules: sound, close to float, exact in integers."""

import numpy as np
import onnx
import pytest
from bodies import EVERY_LEVEL
from quantised import float_run, quantised, sqnr
from random_net import RandomNet, random_rules

from axbuild.toolchain.quant.verify import verify


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("mixed", [False, True], ids=["all U8", "mixed"])
def test_random_nets_are_close_to_float_and_exact_in_integers(seed, mixed):
    net = RandomNet(seed)
    model = net.model(*net.ends())
    samples = net.samples(6)
    result = quantised(model, samples, rules=random_rules(model, seed) if mixed else ())
    onnx.checker.check_model(result.model)
    verify(result.model)
    assert result.float_ops() == []
    feeds = samples[0]
    reference, found = float_run(model, feeds), result.run(feeds)
    for value, expected, output in zip(found, reference, model.graph.output, strict=True):
        assert value.shape == expected.shape, output.name
        if np.abs(expected).max() > 0:
            assert sqnr(expected, value) > 18, output.name
    exact = [y.tobytes() for y in result.run_oracle(feeds)]
    for level in EVERY_LEVEL:
        assert [y.tobytes() for y in result.run(feeds, level=level)] == exact
