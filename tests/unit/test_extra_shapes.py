"""Further input shapes: what is refused of them, and what quantisation made of a model at its own is carried over."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError, AxWarning
from axbuild.toolchain.data.fit import FitParams, fit, fitted
from axbuild.toolchain.frontend.optimize import OptimizeParams
from axbuild.toolchain.graph import constant_input, model_file, shape_of
from axbuild.toolchain.quant.scheme import Form, Scheme, SiteScheme
from axbuild.toolchain.shapes.alike import require_alike
from axbuild.toolchain.shapes.carry import require_same_weights, reshape
from axbuild.toolchain.shapes.optimize_at import OptimizeAtParams, optimize_at
from axbuild.toolchain.shapes.place import ExtraShapeError
from axbuild.toolchain.smooth.scale import SMOOTHED
from frontend_world import model, node, normal, optimized, place, with_shapes


def headed(last):
    """A convolution, and nodes behind it that lead to y."""
    weights = {"w": normal(4, 3, 3, 3), "flat": np.array([1, 256]), "fc": normal(256, 10)}
    conv = node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1])
    return model([conv, *last], weights, inputs=(("x", [1, 3, 8, 8]),))


POOLED = headed([node("GlobalAveragePool", ["c"], ["y"], name="pool")])
FLAT = headed([node("Reshape", ["c", "flat"], ["y"], name="reshape")])
FULLY = headed(
    [node("Flatten", ["c"], ["f"], name="flatten"), node("MatMul", ["f", "fc"], ["y"], name="fully")],
)


def at(folder, proto, shapes, front=OptimizeParams()):  # noqa: B008  frozen
    """The optimised graphs at the model's own shape and at another."""
    optimized(proto, folder, params=front)
    out = folder / "other"
    out.mkdir()
    optimize_at(folder / "in", folder / "out/optimized", out, params=OptimizeAtParams(shapes, front))
    return tuple(ir.load(model_file(one / "optimized")).graph for one in (folder / "out", out))


@pytest.mark.parametrize(
    ("proto", "shapes", "sentence"),
    [
        (POOLED, {"xx": (1, 3, 9, 9)}, "an extra shape is for 'xx', and the model's inputs are x"),
        (POOLED, {"x": (3, 9, 9)}, "gives 'x' 3 dimensions [3, 9, 9], and the model has 4: [1, 3, 8, 8]"),
        (POOLED, {"x": (1, 3, 8, 8)}, "the extra shape is the model's own: 'x' [1, 3, 8, 8]"),
    ],
)  # fmt: skip
def test_a_shape_that_the_model_cannot_have_is_refused_with_the_node(tmp_path, proto, shapes, sentence):
    with pytest.raises(AxError) as caught:
        at(tmp_path, proto, shapes)
    assert sentence in caught.value.sentence
    assert exit_code_of(caught.value.code) == 2


@pytest.mark.parametrize(
    ("proto", "shape", "node_said"),
    [
        (POOLED, (1, 4, 9, 9), "node 'conv' (Conv)"),
        (FLAT, (1, 3, 9, 9), "node 'reshape' (Reshape)"),
        (FULLY, (1, 3, 9, 9), "node 'fully' (MatMul)"),
    ],
)
def test_a_shape_that_does_not_go_through_is_refused_with_the_node_for_a_group_and_for_input_shapes(
    tmp_path, proto, shape, node_said
):
    with pytest.raises(AxError) as caught:
        at(place(proto, tmp_path / "group"), proto, {"x": shape})
    assert caught.value.sentence.startswith(f"with the extra shape 'x' {list(shape)}: ")
    assert node_said in caught.value.sentence
    with pytest.raises(AxError) as caught, pytest.warns(AxWarning, match=r"input 'x' is \["):
        optimized(proto, tmp_path / "own", x=shape)
    assert node_said in caught.value.sentence
    assert exit_code_of(caught.value.code) == 2


def test_another_size_than_the_models_is_warned_of_and_one_that_fills_in_is_not(tmp_path):
    with pytest.warns(AxWarning) as told:
        optimized(POOLED, tmp_path / "other", x=(1, 3, 10, 12))
    said = [(one.message.code, one.message.sentence) for one in told]
    assert said == [("AX316", "input 'x' is [1, 3, 10, 12] by input_shapes, and [1, 3, 8, 8] in the model")]
    open_ = onnx.ModelProto()
    open_.CopyFrom(POOLED)
    open_.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimized(open_, tmp_path / "open", x=(1, 3, 10, 8))


def test_a_near_name_is_suggested(tmp_path):
    with pytest.raises(ExtraShapeError) as caught:
        at(tmp_path, POOLED, {"xx": (1, 3, 9, 9)})
    assert caught.value.hint == "did you mean 'x'?"


def test_shapes_go_by_the_name_behind_rename(tmp_path):
    front = OptimizeParams(rename={"x": "image"}, input_shapes={"x": (1, 3, 6, 6)})
    own, other = at(tmp_path, POOLED, {"image": (1, 3, 10, 12)}, front)
    assert [shape_of(graph.inputs[0]) for graph in (own, other)] == [(1, 3, 6, 6), (1, 3, 10, 12)]
    assert [value.name for value in other.inputs] == ["image"]


def test_default_is_the_only_input(tmp_path):
    other = at(tmp_path, POOLED, {"DEFAULT": (1, 3, 10, 12)})[1]
    assert [(value.name, shape_of(value)) for value in other.inputs] == [("x", (1, 3, 10, 12))]


def test_default_is_no_one_of_several_inputs(tmp_path):
    net = model([node("Add", ["a", "b"], ["y"], name="add")], inputs=(("a", [1, 4]), ("b", [1, 4])))
    with pytest.raises(ExtraShapeError, match="is for DEFAULT, and the model has 2 inputs: a, b") as caught:
        at(tmp_path, net, {"DEFAULT": (1, 6)})
    assert caught.value.hint == "give each input its own"


def test_several_inputs_change_their_shapes_together(tmp_path):
    net = model([node("Add", ["a", "b"], ["y"], name="add")], inputs=(("a", [1, 4]), ("b", [1, 4])))
    front = OptimizeParams(input_shapes={"a": (1, 6), "b": (1, 6)})
    with pytest.warns(AxWarning) as told:
        own, other = at(tmp_path, net, {"a": (1, 9), "b": (1, 9)}, front)
    assert [one.message.sentence for one in told] == [
        f"input '{name}' is [1, 6] by input_shapes, and [1, 4] in the model" for name in "ab"
    ]
    assert [[shape_of(value) for value in graph.inputs] for graph in (own, other)] == [[(1, 6)] * 2, [(1, 9)] * 2]


def graph(nodes, shape=(1, 4), **weights):
    return with_shapes(model(nodes, weights, inputs=(("x", list(shape)),))).graph


RELU = [node("Relu", ["x"], ["m"], name="first"), node("Sigmoid", ["m"], ["y"], name="last")]


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (graph([node("Sigmoid", ["x"], ["y"], name="last")]), "tensor 'm', which 'first' (Relu) makes, is not there"),
        (graph([*RELU[:1], node("Tanh", ["m"], ["y"], name="last")]),
         "'last' (Tanh) makes tensor 'y' of other tensors than 'last' (Sigmoid) at the model's own"),
        (graph([*RELU, node("Tanh", ["m"], ["more"], name="more")]),
         "tensor 'more', which 'more' (Tanh) makes, is there only"),
        (graph(RELU, (1, 2, 2)), "tensor 'x' has the rank 3, and at the model's own 2"),
    ],
)  # fmt: skip
def test_a_graph_that_another_shape_makes_another_is_refused_with_the_tensor(other, sentence):
    with pytest.raises(ExtraShapeError) as caught:
        require_alike(graph(RELU), other)
    assert caught.value.sentence == sentence
    assert caught.value.hint == "declare a float_model of that shape, and quantise it"


def fully(offset, weight, width=4):
    """y = (x + offset) weight, whose offset may depend on the shape of x."""
    nodes = [node("Add", ["x", "offset"], ["s"], name="add"), node("MatMul", ["s", "weight"], ["y"], name="mul")]
    return with_shapes(model(nodes, {"offset": offset, "weight": weight}, inputs=(("x", [1, width, 4]),)))


OWN = Scheme((SiteScheme(("mul",), Form.FLOAT, {}, {}, weight=object()), SiteScheme(("add",), Form.FLOAT, {}, {})), {})


def test_a_weight_that_the_shape_changes_is_refused():
    own, other = (fully(np.ones(4, np.float32), weight).graph for weight in (normal(4, 4), normal(4, 4) + 1))
    with pytest.raises(ExtraShapeError) as caught:
        require_same_weights(own, own, other, OWN)
    assert caught.value.sentence.startswith("constant 1 of 'mul' (MatMul) is another one there")


def test_other_constants_are_those_of_the_shape_and_what_was_scaled_stays():
    positions = [np.arange(size * 4, dtype=np.float32).reshape(size, 4) for size in (4, 6)]
    own, other = (fully(one, normal(4, 4), len(one)).graph for one in positions)
    scaled = fully(positions[0], normal(4, 4))
    mul = next(item for item in scaled.graph if item.name == "mul")
    twice = ir.tensor(2 * normal(4, 4), name=f"weight{SMOOTHED}")
    mul.inputs[1].const_value = twice
    require_same_weights(own, scaled.graph, other, OWN)
    reshape(scaled.graph, own, other)
    found = {item.name: constant_input(item, 1) for item in scaled.graph}
    assert np.array_equal(found["add"], positions[1])
    assert np.array_equal(found["mul"], 2 * normal(4, 4))
    assert [shape_of(value) for item in scaled.graph for value in item.outputs] == [(1, 6, 4), (1, 6, 4)]


def test_what_was_scaled_and_changes_with_the_shape_is_refused():
    own, other = (fully(np.full(4, value, np.float32), normal(4, 4)).graph for value in (1, 2))
    scaled = fully(np.full(4, 3, np.float32), normal(4, 4)).graph
    with pytest.raises(ExtraShapeError, match=r"constant 1 of 'add' \(Add\) is another one there"):
        require_same_weights(own, scaled, other, OWN)


def test_arrays_are_cut_off_or_repeated_and_keep_their_values():
    array = np.arange(6, dtype=np.int64).reshape(1, 2, 3)
    assert fitted(array, (1, 3, 2)).tolist() == [[[0, 1], [3, 4], [0, 1]]]
    assert fitted(array, (1, 1, 7)).tolist() == [[[0, 1, 2, 0, 1, 2, 0]]]


def test_a_set_of_arrays_is_fitted_to_the_input_it_is_for(tmp_path):
    optimized(POOLED, tmp_path)
    (tmp_path / "samples/shard").mkdir(parents=True)
    np.save(tmp_path / "samples/shard/a.npy", normal(1, 3, 4, 4))
    place(POOLED, tmp_path / "fit")
    fit(tmp_path / "samples", tmp_path / "out/interface.json", tmp_path / "fit", params=FitParams("x"))
    found = np.load(tmp_path / "fit/samples/a.npy")
    assert found.shape == (1, 3, 8, 8)
    assert np.array_equal(found[:, :, 4:, 4:], normal(1, 3, 4, 4))
