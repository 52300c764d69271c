"""From float op to simulated NPU: quantised, partitioned, compiled, fused and run, bit for bit."""

import pytest
from compiled import compiled
from node_cases import OWN, settled
from quantised import Net, quantised

from axbuild.toolchain.data.processors import InputProcessor


def same_bits(found, expected):
    assert [y.dtype for y in found] == [y.dtype for y in expected]
    assert [y.shape for y in found] == [y.shape for y in expected]
    assert [y.tobytes() for y in found] == [y.tobytes() for y in expected]


@pytest.mark.parametrize("name", OWN)
def test_simulated_npu_equals_the_quantised_model_bit_for_bit(name):
    model, feeds, _ = settled(name)
    result = quantised(model, [feeds])
    same_bits(compiled(model, result).run(None, feeds), result.run(feeds))


@pytest.mark.parametrize(("given", "recorded"), [("BGR", "BGR"), ("GRAY", "GRAY"), ("AutoColorSpace", "")])
def test_only_a_pictures_colour_order_is_recorded(given, recorded):
    net = Net(1, 3, 4, 4)
    net.add("LeakyRelu", ["x"], "y")
    model = net.model("y")
    processor = InputProcessor("x", given, given, "FP32", "NCHW", (), ())
    session = compiled(model, quantised(model, net.samples(1)), processors=[processor])
    assert session.source.inputs[0].color == recorded
