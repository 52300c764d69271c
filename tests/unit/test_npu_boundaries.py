"""Boundary tensors: how samples are joined and taken apart, which axis they lie along, what the NPU holds of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from npu_world import Chain
from onnx import TensorProto, helper, numpy_helper

from axbuild.toolchain.kinds.codes import FP32, U8, Grid
from axbuild.toolchain.kinds.mover import Reshape, Transpose
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.npu.net import net_of
from axbuild.toolchain.npu.plan.batches import cpu_axes, npu_axes, runs_together
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor, RangeError
from axbuild.toolchain.ops.host import batch_axis, numbers_samples


@pytest.mark.parametrize(("axis", "shape"), [(0, (1, 3)), (0, (2, 3)), (1, (4, 1, 2)), (2, (2, 2, 1))])
def test_samples_are_joined_and_taken_apart_along_their_axis(axis, shape):
    tensor = BoundaryTensor("t", "float32", shape, axis)
    samples = [np.random.default_rng(n).standard_normal(shape, dtype=np.float32) for n in range(3)]
    together = tensor.joined(samples)
    assert together.shape == tensor.at_batch(3)
    assert all(np.array_equal(tensor.sample(together, n), samples[n]) for n in range(3))


def test_rows_that_number_their_sample_count_on():
    tensor = BoundaryTensor("selected", "int64", (FROM_DATA, 3), 0, 2)
    samples = [np.array([[0, 1, 5], [1, 0, 2]]), np.zeros((0, 3), np.int64), np.array([[1, 7, 7]])]
    assert tensor.joined(samples).tolist() == [[0, 1, 5], [1, 0, 2], [5, 7, 7]]
    assert samples[2].tolist() == [[1, 7, 7]]
    assert tensor.at_batch(4) == (FROM_DATA, 3)
    assert tensor.fits(samples[1])
    assert not tensor.fits(samples[0].astype(np.int32))


@pytest.mark.parametrize(
    ("dtype", "values", "held"),
    [
        ("int64", [-(2**31), 2**31 - 1], np.int32),
        ("bool", [True, False], np.uint8),
        ("float32", [np.nan, 1.5], np.float32),
        ("uint8", [0, 255], np.uint8),
    ],
)
def test_what_the_npu_holds_comes_back_as_it_was(dtype, values, held):
    tensor = BoundaryTensor("t", dtype, (2,))
    array = np.array(values, dtype)
    there = tensor.to_npu(array)
    assert there.dtype == held
    back = tensor.from_npu(there)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1])
def test_an_index_beyond_32_bits_is_named(value):
    with pytest.raises(RangeError) as caught:
        BoundaryTensor("ids", "int64", (3,)).to_npu(np.array([0, value, 1]))
    assert caught.value.sentence == f"'ids' holds {value}, beyond what the NPU holds of int64 (int32)"


def kinds(*made, shape):
    chain = Chain()
    name = chain.input("x", shape, "float32" if made[0].reads == (FP32,) else "uint8")
    for kind in made:
        name = chain.add(kind, name)
    return chain.model(name), name


@pytest.mark.parametrize(
    ("made", "shape", "axis", "together"),
    [
        ([Transpose(FP32, (0, 2, 1))], (1, 3, 4), 0, True),
        ([Transpose(FP32, (1, 0, 2))], (1, 3, 4), 1, False),
        ([Reshape(FP32, (-1, 12))], (1, 3, 4), 0, True),
        ([Reshape(FP32, (1, 12))], (1, 3, 4), 0, False),
        ([Transpose(FP32, (1, 0, 2)), Reshape(FP32, (-1, 1, 4))], (1, 3, 4), 0, False),
        ([Reduce.of("max", Grid(1.0, 0, U8), Grid(1.0, 0, U8), (0,), 0, 255)], (1, 3, 4), 0, False),
    ],
)
def test_the_axis_of_samples_is_followed_through_an_npu_subgraph(made, shape, axis, together):
    model, name = kinds(*made, shape=shape)
    assert npu_axes(net_of(model), {"x": 0}) == {name: axis}
    assert runs_together(net_of(model), [0]) is together
    assert runs_together(net_of(model), [1]) is False


def float_net(node, shape, out, **weights):
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", out))]
    arrays = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


LSTM = {name: np.zeros(shape, np.float32) for name, shape in (("w", (1, 24, 8)), ("r", (1, 24, 6)))}


@pytest.mark.parametrize(
    ("model", "axis", "found"),
    [
        (float_net(helper.make_node("Softsign", ["x"], ["y"]), [1, 3], [1, 3]), 0, 0),
        (
            float_net(helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=6), [7, 1, 8], [7, 1, 1, 6], **LSTM),
            1,
            2,
        ),
        (float_net(helper.make_node("Reshape", ["x", "s"], ["y"]), [1, 4], [1, 2, 2], s=np.array([1, 2, 2])), 0, 0),
        (float_net(helper.make_node("Squeeze", ["x", "s"], ["y"]), [1, 4], [4], s=np.array([0])), 0, 0),
        (float_net(helper.make_node("ReduceMax", ["x"], ["y"], keepdims=0), [1, 4], []), 0, None),
        (
            float_net(helper.make_node("Compress", ["x", "k"], ["y"], axis=1), [1, 4], [1, None], k=np.ones(4, bool)),
            0,
            None,
        ),
    ],
)
def test_the_axis_of_samples_is_followed_through_a_cpu_subgraph(model, axis, found):
    assert cpu_axes(model, {"x": axis}) == {"y": found}


@pytest.mark.parametrize(
    ("layout", "place", "axis"), [(0, 0, 1), (0, 5, 1), (0, 6, 1), (0, 4, None), (1, 0, 0), (1, 5, 0)]
)
def test_recurrent_operators_ask_for_their_batch_axis(layout, place, axis):
    assert batch_axis(ir.node("LSTM", [], {"layout": layout}), place) == axis
    assert batch_axis(ir.node("Conv", []), place) is None


def test_only_suppression_numbers_its_samples():
    assert numbers_samples(ir.node("NonMaxSuppression", []))
    assert not numbers_samples(ir.node("NonZero", []))
