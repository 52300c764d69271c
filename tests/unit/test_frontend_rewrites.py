"""Each rewrite: what it makes, that it computes the same, and why it leaves other graphs alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from axbuild.codes import exit_code_of
from axbuild.toolchain.frontend import check
from axbuild.toolchain.frontend.check import NotFiniteError, TransformationError
from axbuild.toolchain.rewrites.affine_to_conv import AffineToConv
from axbuild.toolchain.rewrites.batch_norm_to_conv import BatchNormToConv
from axbuild.toolchain.rewrites.explicit_pads import ExplicitPads
from axbuild.toolchain.rewrites.fuse_affine import FuseAffine
from axbuild.toolchain.rewrites.fuse_batch_norm import FuseBatchNorm
from axbuild.toolchain.rewrites.fuse_pad import FusePad
from axbuild.toolchain.rewrites.fuse_pool_pad import FusePoolPad
from axbuild.toolchain.rewrites.fuse_scale import FuseScale
from axbuild.toolchain.rewrites.mean_to_pool import MeanToPool
from axbuild.toolchain.rewrites.normalize_gemm import NormalizeGemm
from axbuild.toolchain.rewrites.pair_operands import PairOperands
from axbuild.toolchain.rewrites.pool_before_clamp import PoolBeforeClamp
from axbuild.toolchain.rewrites.rewrite import Rounding
from axbuild.toolchain.rewrites.to_reshape import ToReshape
from frontend_world import DoubleRelu, assert_same_results, describe, model, node, normal, origins, rewritten


def attributes(item):
    return {attribute.name: onnx_value(attribute) for attribute in item.attribute}


def onnx_value(attribute):
    return list(attribute.ints) or attribute.i


def conv(**attributes):
    return node("Conv", ["x", "w"], ["c"], name="conv", **attributes)


def batch_norm(source="c", target="y", extra=(), **attributes):
    operands = [source, "gamma", "beta", "mean", "var"]
    return node("BatchNormalization", operands, [target, *extra], name="bn", **attributes)


W = {"w": normal(4, 3, 3, 3)}
BN = {"gamma": normal(4), "beta": normal(4) + 1, "mean": normal(4), "var": normal(4) ** 2 + np.float32(0.1)}


def test_batch_norm_goes_into_the_convolution():
    before = model([conv(), batch_norm(epsilon=1e-3)], W | BN)
    after, _ = rewritten(FuseBatchNorm(), before)
    assert describe(after) == [("Conv", "conv")]
    assert origins(after.graph.node[0]) == [["conv", "bn"]]
    assert_same_results(before, after)


def test_batch_norm_goes_into_a_convolution_with_bias_and_groups():
    weights = {"w": normal(6, 1, 3, 3), "b": normal(6)}
    bn = {name: np.concatenate([array, array[:2]]) for name, array in BN.items()}
    nodes = [node("Conv", ["x", "w", "b"], ["c"], name="conv", group=3, strides=[2, 2]), batch_norm()]
    before = model(nodes, weights | bn)
    after, _ = rewritten(FuseBatchNorm(), before)
    assert describe(after) == [("Conv", "conv")]
    assert attributes(after.graph.node[0]) == {"group": 3, "strides": [2, 2]}
    assert_same_results(before, after)


def test_batch_norm_goes_into_a_gemm():
    weights = {"w": normal(4, 8), "b": normal(4)} | BN
    nodes = [node("Gemm", ["x", "w", "b"], ["c"], name="fc", transB=1), batch_norm()]
    before = model(nodes, weights, inputs=(("x", [2, 8]),))
    after, _ = rewritten(FuseBatchNorm(), before)
    assert describe(after) == [("Gemm", "fc")]
    assert_same_results(before, after)


def test_a_shared_weight_is_folded_for_each_reader_alone():
    nodes = [
        conv(),
        batch_norm(target="a"),
        node("Conv", ["x", "w"], ["b"], name="other"),
        node("Add", ["a", "b"], ["y"], name="add"),
    ]
    before = model(nodes, W | BN)
    after, _ = rewritten(FuseBatchNorm(), before)
    assert describe(after) == [("Conv", "conv"), ("Conv", "other"), ("Add", "add")]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([node("Relu", ["x"], ["c"]), batch_norm()], "input of BatchNormalization is not a Conv or Gemm"),
        ([conv(), batch_norm(target="b"), node("Add", ["b", "c"], ["y"])], "Conv output has another reader"),
        ([conv(), batch_norm(extra=("m2", "v2"), training_mode=1)], "BatchNormalization is in training mode"),
        ([node("Conv", ["x", "v"], ["c"]), batch_norm()], "Conv weights are not constant"),
        (
            [conv(), node("BatchNormalization", ["c", "v1", "beta", "mean", "var"], ["y"], name="bn")],
            "BatchNormalization has coefficients that are not constant",
        ),
    ],
)
def test_batch_norm_stays_with_a_reason(nodes, reason):
    proto = model(nodes, W | BN, inputs=(("x", [1, 3, 8, 8]), ("v", [4, 3, 3, 3]), ("v1", [4])))
    if reason.startswith("input"):
        proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    after, reasons = rewritten(FuseBatchNorm(), proto)
    assert reasons["bn"] == reason
    assert describe(after) == [(item.op_type, item.name) for item in nodes]


def test_batch_norm_of_a_convolution_that_is_an_output_stays():
    proto = model([conv(), batch_norm()], W | BN, outputs=("y", "c"))
    _, reasons = rewritten(FuseBatchNorm(), proto)
    assert reasons == {"bn": "Conv output has another reader"}


def test_a_negative_variance_is_not_folded_into_nothing():
    _, reasons = rewritten(FuseBatchNorm(), model([conv(), batch_norm()], W | BN | {"var": -np.ones(4, np.float32)}))
    assert reasons == {"bn": "BatchNormalization has a negative variance"}


def test_a_lone_batch_norm_becomes_a_depthwise_convolution():
    before = model([batch_norm("x")], BN, inputs=(("x", [1, 4, 5, 5]),))
    after, _ = rewritten(BatchNormToConv(), before)
    assert describe(after) == [("Conv", "bn")]
    assert attributes(after.graph.node[0]) == {"group": 4, "kernel_shape": [1, 1]}
    assert_same_results(before, after)
    _, reasons = rewritten(BatchNormToConv(), model([batch_norm("x")], BN, inputs=(("x", [2, 4]),)))
    assert reasons == {"bn": "BatchNormalization is not over a tensor of rank 4"}


@pytest.mark.parametrize("op_type", ["Mul", "Add", "Sub", "Div"])
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 4, 1, 1), (), (1,)])
def test_a_constant_of_each_channel_goes_into_the_convolution(op_type, shape):
    before = model([conv(), node(op_type, ["c", "k"], ["y"], name="scale")], W | {"k": normal(*shape) + np.float32(3)})
    after, _ = rewritten(FuseAffine(), before)
    assert describe(after) == [("Conv", "conv")]
    assert_same_results(before, after)


def test_a_chain_of_constants_goes_in_whole():
    nodes = [conv(), node("Mul", ["k", "c"], ["m"], name="mul"), node("Add", ["m", "k"], ["y"], name="add")]
    before = model(nodes, W | {"k": normal(4, 1, 1)})
    after, _ = rewritten(FuseAffine(), before)
    assert describe(after) == [("Conv", "conv")]
    assert origins(after.graph.node[0]) == [["conv", "mul", "add"]]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("inputs", "constant", "reason"),
    [
        (["c", "k"], normal(6), "the constant of Sub is not one value a channel"),
        (["c", "k"], normal(1, 4, 6, 6), "the constant of Sub is not one value a channel"),
        (["c", "c"], normal(1), "Sub has no constant operand, or two"),
    ],
)
def test_other_constants_stay_with_a_reason(inputs, constant, reason):
    before = model([conv(), node("Sub", inputs, ["y"], name="sub")], W | {"k": constant})
    _, reasons = rewritten(FuseAffine(), before)
    assert reasons == {"sub": reason}


@pytest.mark.parametrize(
    ("inputs", "constant", "reason"),
    [(["k", "c"], normal(1), "Div divides a constant"), (["c", "k"], np.zeros((4, 1, 1)), "Div divides by zero")],
)
def test_divisions_that_are_no_map_of_channels_stay(inputs, constant, reason):
    before = model([conv(), node("Div", inputs, ["y"], name="div")], W | {"k": constant.astype(np.float32)})
    _, reasons = rewritten(FuseAffine(), before)
    assert reasons == {"div": reason}


def test_what_is_taken_from_a_constant_goes_into_the_convolution():
    before = model([conv(), node("Sub", ["k", "c"], ["y"], name="sub")], W | {"k": normal(4, 1, 1)})
    after, _ = rewritten(FuseAffine(), before)
    assert describe(after) == [("Conv", "conv")]
    assert_same_results(before, after)


@pytest.mark.parametrize("operands", ["Mul x k", "Mul k x", "Sub x k", "Sub k x", "Div x k"])
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1, 1), (), (1,)])
def test_a_lone_constant_becomes_a_depthwise_convolution(operands, shape):
    op_type, *inputs = operands.split()
    nodes = [node(op_type, inputs, ["s"], name="scale"), node("Conv", ["s", "w"], ["y"], name="conv")]
    before = model(nodes, {"k": normal(*shape) + np.float32(3), "w": normal(2, 3, 1, 1)})
    after, _ = rewritten(AffineToConv(), before)
    assert describe(after) == [("Conv", "scale"), ("Conv", "conv")]
    assert attributes(after.graph.node[0]) == {"group": 3, "kernel_shape": [1, 1]}
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("shape", "constant", "reason"),
    [
        ([2, 3], normal(3), "Mul is not over a float32 tensor of rank 4"),
        ([1, 3, 8, 8], normal(8), "the constant of Mul is not one value a channel"),
        ([1, 3, 8, 8], np.float32(2), "Mul is by one number for all channels, and no Conv reads it"),
        ([1, 1, 8, 8], normal(3, 1, 1), "the constant of Mul is not one value a channel"),
    ],
)
def test_a_lone_constant_of_another_form_stays(shape, constant, reason):
    before = model([node("Mul", ["x", "k"], ["y"], name="mul")], {"k": constant}, inputs=(("x", shape),))
    _, reasons = rewritten(AffineToConv(), before)
    assert reasons == {"mul": reason}


def scale_then(shift, source="s", **attributes):
    """A scale of each channel, and a Conv of two groups that reads it."""
    nodes = [
        node("Conv", ["x", "k", "shift"], ["s"], name="scale", group=4),
        node("Conv", [source, "w", "b"], ["y"], name="conv", group=2, **attributes),
    ]
    weights = {"k": normal(4, 1, 1, 1), "shift": shift, "w": normal(6, 2, 3, 3), "b": normal(6)}
    return model(nodes, weights, inputs=(("x", [1, 4, 8, 8]),))


@pytest.mark.parametrize(
    "before",
    [scale_then(normal(4)), scale_then(np.zeros(4, np.float32), pads=[1, 1, 1, 1])],
    ids=["shifted, not padded", "padded, not shifted"],
)
def test_a_scale_goes_into_the_convolution_that_reads_it(before):
    after, _ = rewritten(FuseScale(), before)
    assert describe(after) == [("Conv", "conv")]
    assert origins(after.graph.node[0]) == [["conv", "scale"]]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (scale_then(normal(4), pads=[0, 0, 0, 1]), "Conv pads with zeros what the channels were shifted to"),
        (scale_then(normal(4), source="x"), "input of Conv is not a Conv or Gemm"),
    ],
)
def test_other_convolutions_keep_the_scale_before_them(before, reason):
    _, reasons = rewritten(FuseScale(), before)
    assert reasons["conv"] == reason


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("op_type", ["Conv", "MaxPool", "AveragePool"])
def test_auto_pad_becomes_the_pads_it_means(mode, size, op_type):
    settled = {"auto_pad": mode, "strides": [2, 3]}
    if op_type == "Conv":
        nodes = [node("Conv", ["x", "w"], ["y"], name="n", **settled)]
    else:
        nodes = [node(op_type, ["x"], ["y"], name="n", kernel_shape=[3, 2], **settled)]
    before = model(nodes, W, inputs=(("x", [1, 3, size, size]),))
    after, _ = rewritten(ExplicitPads(), before)
    assert "auto_pad" not in attributes(after.graph.node[0])
    assert_same_results(before, after, tolerance=0.0)


def pad(amounts, fill=0.0, **attributes):
    weights = W | {"p": np.array(amounts), "f": np.float32(fill)}
    before = node("Pad", ["x", "p", "f"], ["z"], name="pad", **attributes)
    return model([before, node("Conv", ["z", "w"], ["y"], name="conv", pads=[1, 0, 0, 1])], weights)


def test_zero_padding_goes_into_the_convolution():
    before = pad([0, 0, 1, 2, 0, 0, 3, 4])
    after, _ = rewritten(FusePad(), before)
    assert describe(after) == [("Conv", "conv")]
    assert attributes(after.graph.node[0])["pads"] == [2, 2, 3, 5]
    assert_same_results(before, after, tolerance=1e-6)


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (pad([0, 0, 1, 1, 0, 0, 1, 1], 0.5), "Pad fills with another value than zero"),
        (pad([0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"), "Pad repeats pixels"),
        (pad([0, 0, -1, 0, 0, 0, 1, 1]), "Pad crops, or pads the batch or the channels"),
        (pad([1, 0, 0, 0, 0, 0, 1, 1]), "Pad crops, or pads the batch or the channels"),
    ],
)
def test_other_padding_stays_with_a_reason(proto, reason):
    _, reasons = rewritten(FusePad(), proto)
    assert reasons == {"conv": reason}


def pool_pad(amounts=(0, 0, 1, 1, 0, 0, 0, 1), fill=-3.4e38, outputs=("y",), **attributes):
    weights = {"p": np.array(amounts), "f": np.float32(fill)}
    settled = {"kernel_shape": [3, 3], "strides": [2, 2]} | attributes
    nodes = [node("Pad", ["x", "p", "f"], ["z"], name="pad"), node("MaxPool", ["z"], outputs, name="pool", **settled)]
    return model(nodes, weights)


@pytest.mark.parametrize("fill", [-3.4e38, -np.inf, -1e30, -65504])
def test_padding_that_no_maximum_picks_goes_into_the_pooling(fill):
    before = pool_pad(fill=fill, pads=[0, 0, 1, 0])
    after, _ = rewritten(FusePoolPad(), before)
    assert describe(after) == [("MaxPool", "pool")]
    assert attributes(after.graph.node[0])["pads"] == [1, 1, 1, 1]
    assert_same_results(before, after, tolerance=0.0)


def test_padding_goes_into_each_pooling_that_reads_it_whoever_else_does():
    before = pool_pad()
    other = node("MaxPool", ["z"], ["o"], name="other", kernel_shape=[2, 2], strides=[2, 2])
    before.graph.node.extend([other, node("Relu", ["z"], ["r"], name="relu")])
    before.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "or")
    after, _ = rewritten(FusePoolPad(), before)
    assert [attributes(item)["pads"] for item in after.graph.node if item.op_type == "MaxPool"] == [[1, 1, 0, 1]] * 2
    assert_same_results(before, after, tolerance=0.0)


@pytest.mark.parametrize(("clamp", "about"), [("Relu", {}), ("LeakyRelu", {"alpha": 0.1}), ("Clip", {})])
def test_a_clamp_between_padding_and_pooling_goes_behind_both(clamp, about):
    before = pool_pad()
    bounds = ["lo", "hi"] if clamp == "Clip" else []
    before.graph.node.insert(1, node(clamp, ["z", *bounds], ["a"], name="act", **about))
    before.graph.node[2].input[0] = "a"
    before.graph.initializer.extend(numpy_helper.from_array(np.float32(v), n) for n, v in (("lo", -1), ("hi", 1)))
    between, _ = rewritten(PoolBeforeClamp(), before)
    after, _ = rewritten(FusePoolPad(), between)
    assert describe(after) == [("MaxPool", "pool"), (clamp, "act")]
    assert attributes(after.graph.node[0])["pads"] == [1, 1, 0, 1]
    assert_same_results(before, after, tolerance=0.0)


def test_a_function_that_falls_stays_between_padding_and_pooling():
    before = pool_pad()
    before.graph.node.insert(1, node("LeakyRelu", ["z"], ["a"], name="act", alpha=-0.5))
    before.graph.node[2].input[0] = "a"
    _, reasons = rewritten(PoolBeforeClamp(), before)
    assert reasons == {"pool": "input of MaxPool is nothing that never falls"}


@pytest.mark.parametrize(
    ("proto", "reason"),
    [
        (pool_pad(fill=-60000), "Pad fills with a value that MaxPool can pick"),
        (pool_pad(ceil_mode=1), "MaxPool has auto_pad or ceil_mode"),
        (pool_pad(outputs=("y", "where")), "MaxPool says where its maxima are"),
        (pool_pad((0, 0, 3, 0, 0, 0, 0, 0)), "the padding holds a whole window of MaxPool"),
    ],
)
def test_other_padding_stays_before_the_pooling_with_a_reason(proto, reason):
    if len(proto.graph.node[1].output) > 1:
        proto.graph.output.append(onnx.helper.make_tensor_value_info("where", onnx.TensorProto.INT64, None))
    _, reasons = rewritten(FusePoolPad(), proto)
    assert reasons == {"pool": reason}


@pytest.mark.parametrize("bias", [None, (), (4,), (1, 4), (1,)])
@pytest.mark.parametrize("transposed", [0, 1])
def test_every_gemm_takes_one_form(bias, transposed):
    weights = {"w": normal(4, 8) if transposed else normal(8, 4)}
    names = ["x", "w"]
    if bias is not None:
        weights["b"] = normal(*bias)
        names.append("b")
    before = model(
        [node("Gemm", names, ["y"], name="fc", alpha=0.5, beta=2.0, transB=transposed)],
        weights,
        inputs=(("x", [3, 8]),),
    )
    after, _ = rewritten(NormalizeGemm(), before)
    (gemm,) = after.graph.node
    assert (gemm.name, attributes(gemm)) == ("fc", {"transB": 1})
    assert [list(tensor.dims) for tensor in after.graph.initializer if tensor.name in gemm.input] == [[4, 8], [4]]
    assert_same_results(before, after)


def test_a_gemm_that_transposes_its_first_operand_takes_the_form_behind_a_transpose():
    gemm = node("Gemm", ["x", "w", "b"], ["y"], name="fc", alpha=0.5, beta=2.0, transA=1)
    before = model([gemm], {"w": normal(8, 4), "b": normal(4)}, inputs=(("x", [8, 3]),))
    after, _ = rewritten(NormalizeGemm(), before)
    assert describe(after) == [("Transpose", "fc.swapped"), ("Gemm", "fc")]
    assert_same_results(before, after)


def test_a_matmul_of_a_matrix_and_a_constant_becomes_a_gemm():
    before = model([node("MatMul", ["x", "w"], ["y"], name="mm")], {"w": normal(8, 4)}, inputs=(("x", [3, 8]),))
    after, _ = rewritten(NormalizeGemm(), before)
    assert describe(after) == [("Gemm", "mm")]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (node("MatMul", ["x3", "w"], ["y"], name="n"), "the first operand of MatMul is not of rank 2"),
        (node("MatMul", ["w", "x"], ["y"], name="n"), "the second operand of MatMul is not a constant matrix"),
        (node("Gemm", ["x", "w", "rows"], ["y"], name="n"), "the third operand of Gemm differs from row to row"),
        (node("Gemm", ["x", "w", "v"], ["y"], name="n"), "the third operand of Gemm is not constant"),
    ],
)
def test_other_products_stay_with_a_reason(given, reason):
    weights = {"w": normal(8, 8), "rows": normal(8, 8)}
    proto = model([given], weights, inputs=(("x", [8, 8]), ("x3", [2, 8, 8]), ("v", [8])))
    _, reasons = rewritten(NormalizeGemm(), proto)
    assert reasons == {"n": reason}


def test_a_sum_of_three_is_two_additions():
    before = model([node("Sum", ["x", "k", "x"], ["y"], name="sum")], {"k": normal(3, 1, 1)})
    after, _ = rewritten(PairOperands(), before)
    assert describe(after) == [("Add", "sum.1"), ("Add", "sum")]
    assert_same_results(before, after, tolerance=1e-6)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2]])
def test_a_mean_over_height_and_width_is_global_pooling(keep, axes):
    before = model([node("ReduceMean", ["x", "a"], ["y"], name="mean", keepdims=keep)], {"a": np.array(axes)})
    after, _ = rewritten(MeanToPool(), before)
    assert describe(after)[0] == ("GlobalAveragePool", "mean")
    assert len(after.graph.node) == 2 - keep
    assert_same_results(before, after, tolerance=1e-5)


def test_other_means_stay_with_a_reason():
    before = model([node("ReduceMean", ["x", "a"], ["y"], name="mean")], {"a": np.array([1])})
    _, reasons = rewritten(MeanToPool(), before)
    assert reasons == {"mean": "ReduceMean is not over height and width"}


@pytest.mark.parametrize(
    ("op_type", "shape", "result"), [("Squeeze", [2, 3, 1], [-1, 3]), ("Unsqueeze", [2, 3], [-1, 3, 1])]
)
def test_squeeze_and_unsqueeze_are_reshapes(op_type, shape, result):
    before = model([node(op_type, ["x", "a"], ["y"], name="n")], {"a": np.array([2])}, inputs=(("x", shape),))
    after, _ = rewritten(ToReshape(), before)
    assert describe(after) == [("Reshape", "n")]
    assert [list(np.frombuffer(t.raw_data, np.int64)) for t in after.graph.initializer if t.name == "n.shape"] == [
        result
    ]
    assert_same_results(before, after, tolerance=0.0)


def test_a_rewrite_that_changes_the_result_is_caught_by_name_node_and_tensor():
    with pytest.raises(
        TransformationError, match=r"DoubleRelu of node 'act' changed tensor 'y' by .*, more than 0"
    ) as caught:
        rewritten(DoubleRelu(), model([node("Relu", ["x"], ["y"], name="act")]))
    assert exit_code_of(caught.value.code) == 3


def test_a_match_is_compared_on_what_it_reads_and_not_on_what_became_of_earlier_ones():
    nodes = [node("Relu", ["x"], ["a"], name="first"), node("Relu", ["a"], ["y"], name="second")]
    with pytest.raises(TransformationError, match="of node 'first' changed tensor 'a'"):
        rewritten(DoubleRelu(), model(nodes))


def test_rounding_is_allowed_in_the_measure_of_what_is_summed():
    before = np.full((1, 2, 1, 1), 100.0, np.float32)
    limit = check.limit(Rounding(4, ((None, np.array([3.0, 0.0])),), np.array([0.0, 1.0])), [50.0], 4)
    epsilon = np.finfo(np.float32).eps
    assert np.array_equal(limit, (8 * 2 * epsilon * np.array([150.0, 1.0])).reshape(2, 1, 1))
    within, beyond = before + np.float32(2e-4), before + np.float32(4e-4)
    assert check.differs("y", before[:, :1], within[:, :1], limit[:1]) == ""
    difference = check.differs("y", before[:, :1], beyond[:, :1], limit[:1])
    assert difference == "changed tensor 'y' by 0.000397, more than 0.000286"


def test_a_rewrite_that_makes_values_infinite_is_caught():
    one, infinite, nan = np.float32([1.0]), np.float32([np.inf]), np.float32([np.nan])
    assert check.differs("y", one, infinite, 1.0) == "made values of tensor 'y' that are not finite"
    with pytest.raises(NotFiniteError, match="tensor 'y' of the model has values that are not finite") as caught:
        check.differs("y", infinite, nan, 1.0)
    assert exit_code_of(caught.value.code) == 2
    assert check.differs("y", np.float32([np.nan, np.inf]), np.float32([np.nan, np.inf]), 0.0) == ""
