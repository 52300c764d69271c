"""Which tensors share a grid, which clamp into their producer, and what stays by itself."""

import math

import pytest
from onnx import numpy_helper
from quantised import Net, loaded, quantised

from axbuild.errors import AxError
from axbuild.toolchain.ops.base import Bounds, Grid
from axbuild.toolchain.ops.sites import sites, unsupported
from axbuild.toolchain.quant.scales import Range, min_max
from axbuild.toolchain.quant.scheme import choose


def shape_of_sites(model) -> list[list[str]]:
    return [[node.name for node in site.nodes] for site in sites(loaded(model).graph)]


def scheme_of(model, **ranges):
    graph = loaded(model).graph
    return choose(graph, {name: Range(*ends) for name, ends in ranges.items()}, min_max)


@pytest.mark.parametrize(
    ("lo", "hi", "scale", "zero"),
    [
        (0.0, 255.0, 1.0, 0),
        (-255.0, 0.0, 1.0, 255),
        (-128.0, 127.0, 1.0, 128),
        (2.0, 510.0, 2.0, 0),
        (-51.0, -1.0, 0.2, 255),
        (0.0, 0.0, 1.0, 0),
    ],
)
def test_min_max_keeps_zero_on_the_grid_and_the_ends_in_reach(lo, hi, scale, zero):
    grid = min_max(Range(lo, hi))
    assert grid.scale == pytest.approx(scale, rel=1e-7)
    assert grid.zero == zero


def test_min_max_of_the_smallest_range_is_a_normal_scale():
    assert min_max(Range(0.0, 1e-44)).scale == 2.0**-126


def test_a_grid_saturates_and_rounds_half_up():
    grid = Grid(0.5, 10)
    assert [grid.code(x) for x in (0.25, -0.25, 0.2499, 1e9, -1e9, math.inf, -math.inf)] == [11, 10, 10, 255, 0, 255, 0]


def test_relu_and_clip_go_into_the_clamp_of_their_producer():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("Relu", ["c"], "r")
    n.add("Clip", ["r", n.constant("lo", -1.0), n.constant("hi", 6.0)], "k")
    model = n.model("k")
    (site,) = sites(loaded(model).graph)
    assert [node.name for node in site.nodes] == ["c", "r", "k"]
    assert site.bounds == Bounds(0.0, 6.0)


def test_bounds_that_cross_take_the_upper_one_as_onnx_does():
    assert Bounds(0.0, math.inf).then(Bounds(-3.0, -1.0)) == Bounds(-1.0, -1.0)


def test_a_relu_stays_by_itself_where_somebody_else_reads_its_input():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 3, 3)
    n.add("Relu", ["c"], "r")
    n.add("Add", ["c", "r"], "y")
    assert shape_of_sites(n.model("y")) == [["c"], ["r"], ["y"]]
    result = quantised(n.model("y"), n.samples())
    assert result.kinds() == ["AxQuantizedConv", "AxRequantizeLinear", "AxQuantizedAdd"]


def test_a_relu_stays_by_itself_where_its_input_is_an_output_of_the_model():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 3, 3)
    n.add("Relu", ["c"], "r")
    assert shape_of_sites(n.model("c", "r")) == [["c"], ["r"]]


def test_a_relu_behind_an_op_that_cannot_clamp_is_a_requantise():
    n = Net(1, 4)
    n.add("Transpose", ["x"], "t", perm=[1, 0])
    n.add("Relu", ["t"], "y")
    result = quantised(n.model("y"), n.samples())
    assert result.kinds() == ["AxTranspose", "AxRequantizeLinear"]
    kind = result.kind("y")
    assert kind.lo == kind.y_zero == 0


def test_constant_adds_become_bias_until_something_clamps():
    n = Net(1, 6)
    n.add("MatMul", ["x", n.weight("w", 6, 4)], "m")
    n.add("Add", ["m", n.weight("b1", 4)], "a1")
    n.add("Add", [n.constant("b2", [[0.5]]), "a1"], "a2")
    n.add("Relu", ["a2"], "r")
    model = n.model("r")
    (site,) = sites(loaded(model).graph)
    assert [node.name for node in site.nodes] == ["m", "a1", "a2", "r"]
    b1 = next(numpy_helper.to_array(i) for i in model.graph.initializer if i.name == "b1")
    assert site.addend.tolist() == [float(b) + 0.5 for b in b1]


def test_an_add_behind_a_relu_is_not_its_bias():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("Relu", ["c"], "r")
    n.add("Add", ["r", n.weight("b", 1, 4, 1, 1)], "y")
    assert shape_of_sites(n.model("y")) == [["c", "r"], ["y"]]
    assert quantised(n.model("y"), n.samples()).kinds() == ["AxQuantizedConv", "AxQuantizedConv"]


def test_an_add_that_makes_the_tensor_larger_is_not_bias():
    n = Net(1, 6)
    n.add("MatMul", ["x", n.weight("w", 6, 1)], "m")
    n.add("Add", ["m", n.weight("b", 4)], "y")
    (finding,) = unsupported(loaded(n.model("y")))
    assert finding.node == "y"
    assert "constant operand" in finding.sentence


def test_movers_and_pools_share_one_grid():
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("MaxPool", ["c"], "p", kernel_shape=[2, 2], strides=[2, 2])
    n.add("Transpose", ["p"], "t", perm=[0, 2, 3, 1])
    n.add("Reshape", ["t", n.constant("s", [1, 64])], "y")
    scheme = scheme_of(n.model("y"), x=(-1.0, 1.0), c=(-3.0, 5.0))
    assert {scheme.owners[name] for name in ("c", "p", "t", "y")} == {"c"}
    assert scheme.grids["y"] == min_max(Range(-3.0, 5.0))


def test_a_padding_value_widens_the_grid():
    n = Net(1, 3, 8, 8)
    n.add("Pad", ["x", n.constant("p", [0, 0, 1, 1, 0, 0, 1, 1]), n.constant("v", -9.0)], "y")
    scheme = scheme_of(n.model("y"), x=(-1.0, 1.0))
    assert scheme.grids["x"] == scheme.grids["y"] == min_max(Range(-9.0, 1.0))


def concat(extra_reader: bool):
    """Two convolutions side by side; the first is read elsewhere too where asked."""
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3)
    n.conv("x", "b", 4, 3)
    n.add("Concat", ["a", "b"], "y", axis=1)
    if extra_reader:
        n.add("GlobalAveragePool", ["a"], "g")
        return n.model("y", "g")
    return n.model("y")


def test_inputs_of_a_concat_share_its_grid_where_nobody_else_reads_them():
    scheme = scheme_of(concat(False), x=(-1.0, 1.0), a=(-0.1, 0.1), b=(-9.0, 9.0))
    assert {scheme.grids[name] for name in ("a", "b", "y")} == {min_max(Range(-9.0, 9.0))}


def test_an_input_of_a_concat_that_would_lose_more_than_a_bit_elsewhere_is_requantised():
    model = concat(True)
    scheme = scheme_of(model, x=(-1.0, 1.0), a=(-0.1, 0.1), b=(-9.0, 9.0), g=(0.0, 1.0))
    assert scheme.grids["a"] == min_max(Range(-0.1, 0.1))
    assert scheme.grids["b"] == scheme.grids["y"]
    near = scheme_of(model, x=(-1.0, 1.0), a=(-5.0, 5.0), b=(-9.0, 9.0), g=(0.0, 1.0))
    assert near.grids["a"] == near.grids["y"] == min_max(Range(-9.0, 9.0))


def test_a_requantised_input_of_a_concat_keeps_its_values():
    n = Net(1, 2, 4, 4)
    n.add("Softmax", ["x"], "s", axis=1)
    n.add("Concat", ["x", "s"], "y", axis=1)
    result = quantised(n.model("y"), n.samples())
    assert result.kinds() == ["AxQuantizedSoftmax", "AxRequantizeLinear", "AxConcat"]
    assert {node.name for node in result.model.graph.node} >= {"y/requantize_1", "y"}


def test_padding_a_softmax_with_what_it_cannot_express_is_refused():
    n = Net(1, 4)
    n.add("Softmax", ["x"], "s")
    n.add("Pad", ["s", n.constant("p", [0, 1, 0, 1]), n.constant("v", -2.0)], "y")
    with pytest.raises(AxError, match=r"node 'y' .* value -2.0 lies outside"):
        quantised(n.model("y"), n.samples())
