"""Numbers multiplied and added behind an activation go into its table."""

import numpy as np
import pytest
from quantised import Net, float_run, loaded, quantised, sqnr

from axbuild.toolchain.kinds.codes import U8, U16, type_of
from axbuild.toolchain.ops.fused import fused_nodes


def scaled(shape: tuple[int, ...] = (1,)) -> Net:
    net = Net(1, 6, 8, 8)
    net.conv("x", "sum", 8, 6)
    net.add("HardSwish", ["sum"], "active")
    net.add("Mul", [net.constant("factor", np.full(shape, 0.3)), "active"], "product")
    net.add("Add", ["product", net.constant("addend", np.full((1,), -0.2))], "y")
    return net


def test_one_number_is_part_of_the_table_and_not_rounded_in_between():
    net = scaled()
    model, samples = net.model("y"), net.samples()
    result = quantised(model, samples)
    assert [len(fused.nodes) for fused in fused_nodes(loaded(model).graph)] == [4]
    assert result.kinds() == ["AxQuantizedConv", "AxTable"]
    (y,), (wanted,) = result.run(samples[0]), float_run(model, samples[0])
    assert sqnr(wanted, y) > 40
    assert np.abs(y - wanted).max() < 2 * result.scale("y")


def test_a_number_a_channel_stays_an_operator():
    fused = fused_nodes(loaded(scaled((8, 1, 1)).model("y")).graph)
    assert [len(item.nodes) for item in fused] == [2, 1, 1]


@pytest.mark.parametrize("method", ["MinMax", "Auto"])
def test_auto_gives_softmax_sixteen_bits_to_read_and_writes_eight(method):
    net = Net(1, 16)
    net.add("MatMul", ["x", net.weight("w", 16, 10)], "logits")
    net.add("Softmax", ["logits"], "odds", axis=-1)
    result = quantised(net.model("odds"), net.samples(), method)
    (first, last) = result.scheme.sites
    assert type_of(first.writes["logits"]) is (U16 if method == "Auto" else U8)
    assert type_of(last.reads["logits"]) is (U16 if method == "Auto" else U8)
    assert type_of(last.writes["odds"]) is U8
