"""What torch computes for an operator of the float graph: one function each, differentiable, on any device.

A function takes the node and a tensor for each of its inputs (None for one that is left out); constants are tensors
too. Samples of a batch stand along axis 0, where the node itself has one sample. What has no function ends a block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir
import torch
from torch import Tensor
from torch.nn import functional

from axbuild.toolchain.graph import constant_input, integer, integers, real, shape_of, text
from axbuild.toolchain.ops.base import FusedNode
from axbuild.toolchain.ops.conv import pair, window_pads
from axbuild.toolchain.ops.pool import resolved_pads
from axbuild.toolchain.quant.scheme import SiteScheme

Given = Sequence[Tensor | None]
Evaluation = Callable[[ir.Node, Given], Tensor]


def _there(x: Given, index: int = 0) -> Tensor:
    found = x[index]
    if found is None:
        raise ValueError(f"input {index} is left out")
    return found


# Sums of products with constant weights ---------------------------------------------------------------------


def _conv(node: ir.Node, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    top, left, bottom, right = window_pads(node)
    padding = (top, left)
    if (top, left) != (bottom, right):
        x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
    strides, dilations, group = pair(node, "strides"), pair(node, "dilations"), integer(node, "group", 1)
    return functional.conv2d(x, weight, bias, strides, padding, dilations, group)


def _layer(node: ir.Node, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.linear(x.mT if integer(node, "transA", 0) else x, weight, bias)


WEIGHTED: dict[str, Callable[[ir.Node, Tensor, Tensor, Tensor], Tensor]] = {
    "Conv": _conv,
    "Gemm": _layer,
    "MatMul": _layer,
}
"""op_type -> what torch computes of an input, a weight as the kind lays it out ([co, ...]) and a bias [co]"""


# Element by element ------------------------------------------------------------------------------------------


def _one(function: Callable[[Tensor], Tensor]) -> Evaluation:
    return lambda node, x: function(_there(x))


def _two(function: Callable[[Tensor, Tensor], Tensor]) -> Evaluation:
    return lambda node, x: function(_there(x), _there(x, 1))


def _clip(node: ir.Node, x: Given) -> Tensor:
    lo, hi = (constant_input(node, index) for index in (1, 2))
    if lo is None and hi is None:
        return _there(x)
    return torch.clamp(_there(x), None if lo is None else lo.item(), None if hi is None else hi.item())


def _hard_sigmoid(node: ir.Node, x: Given) -> Tensor:
    return torch.clamp(_there(x) * real(node, "alpha", 0.2) + real(node, "beta", 0.5), 0.0, 1.0)


def _prelu(node: ir.Node, x: Given) -> Tensor:
    data, slope = _there(x), _there(x, 1)
    return torch.where(data < 0, data * slope, data)


# Over windows and axes ---------------------------------------------------------------------------------------


def _max_pool(node: ir.Node, x: Given) -> Tensor:
    top, left, bottom, right = resolved_pads(node)
    data = functional.pad(_there(x), (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(data, pair(node, "kernel_shape"), pair(node, "strides"), 0, pair(node, "dilations"))


def _average_pool(node: ir.Node, x: Given) -> Tensor:
    data, kernel, strides = _there(x), pair(node, "kernel_shape"), pair(node, "strides")
    top, left, bottom, right = resolved_pads(node)
    padded = functional.pad(data, (left, right, top, bottom))
    if integer(node, "count_include_pad", 0) and resolved_pads(node) == window_pads(node):
        return functional.avg_pool2d(padded, kernel, strides)
    ends = window_pads(node) if integer(node, "count_include_pad", 0) else (0, 0, 0, 0)
    counted = functional.pad(torch.ones_like(data[:1, :1]), (ends[1], ends[3], ends[0], ends[2]), value=1.0)
    rest = [whole - part for whole, part in zip((top, left, bottom, right), ends, strict=True)]
    counted = functional.pad(counted, (rest[1], rest[3], rest[0], rest[2]))
    return functional.avg_pool2d(padded, kernel, strides) / functional.avg_pool2d(counted, kernel, strides)


def _global_average(node: ir.Node, x: Given) -> Tensor:
    data = _there(x)
    return data.mean(dim=tuple(range(2, data.ndim)), keepdim=True)


def _axes(node: ir.Node, rank: int) -> tuple[int, ...]:
    given = constant_input(node, 1)
    found = integers(node, "axes", ()) if given is None else tuple(int(axis) for axis in given.reshape(-1))
    return found or (() if integer(node, "noop_with_empty_axes", 0) else tuple(range(rank)))


def _reduced(function: Callable[..., Tensor]) -> Evaluation:
    def reduce(node: ir.Node, x: Given) -> Tensor:
        data = _there(x)
        axes = _axes(node, data.ndim)
        return function(data, dim=axes, keepdim=bool(integer(node, "keepdims", 1))) if axes else data

    return reduce


def _softmax(node: ir.Node, x: Given) -> Tensor:
    return functional.softmax(_there(x), integer(node, "axis", -1))


def _layer_norm(node: ir.Node, x: Given) -> Tensor:
    data, axis = _there(x), integer(node, "axis", -1)
    shape = data.shape[axis % data.ndim :]
    gain, bias = _there(x, 1).expand(shape), x[2] if len(x) > 2 else None
    return functional.layer_norm(
        data, shape, gain, None if bias is None else bias.expand(shape), real(node, "epsilon", 1e-5)
    )


# Moving ------------------------------------------------------------------------------------------------------


def _concat(node: ir.Node, x: Given) -> Tensor:
    return torch.cat([part for part in x if part is not None], integer(node, "axis", 0))


def _reshape(node: ir.Node, x: Given) -> Tensor:
    """To the node's own shape for one sample; where that keeps the first axis, a batch's stays as it is."""
    data, target = _there(x), shape_of(node.outputs[0])
    first = node.inputs[0]
    keeps = first is not None and bool(target) and shape_of(first)[:1] == target[:1]
    return data.reshape(data.shape[0], *target[1:]) if keeps else data.reshape(target)


def _transpose(node: ir.Node, x: Given) -> Tensor:
    data = _there(x)
    return data.permute(integers(node, "perm", tuple(reversed(range(data.ndim)))))


EVALUATIONS: dict[str, Evaluation] = {
    "Add": _two(torch.add),
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Div": _two(torch.div),
    "Dropout": _one(lambda x: x),
    "Elu": lambda node, x: functional.elu(_there(x), real(node, "alpha", 1.0)),
    "Erf": _one(torch.erf),
    "Exp": _one(torch.exp),
    "Flatten": _reshape,
    "Gelu": lambda node, x: functional.gelu(_there(x), approximate=text(node, "approximate", "none")),
    "GlobalAveragePool": _global_average,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _one(functional.hardswish),
    "Identity": _one(lambda x: x),
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda node, x: functional.leaky_relu(_there(x), real(node, "alpha", 0.01)),
    "MatMul": _two(torch.matmul),
    "MaxPool": _max_pool,
    "Mish": _one(functional.mish),
    "Mul": _two(torch.mul),
    "Neg": _one(torch.neg),
    "PRelu": _prelu,
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "Relu": _one(torch.relu),
    "Reshape": _reshape,
    "Sigmoid": _one(torch.sigmoid),
    "Softmax": _softmax,
    "Softplus": _one(functional.softplus),
    "Sqrt": _one(torch.sqrt),
    "Squeeze": _reshape,
    "Sub": _two(torch.sub),
    "Swish": lambda node, x: _there(x) * torch.sigmoid(_there(x) * real(node, "alpha", 1.0)),
    "Tanh": _one(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
}
"""op_type -> what torch computes of all its inputs"""


def not_evaluated(fused: FusedNode, site: SiteScheme) -> list[str]:
    """Operators of a fused node that torch does not compute here; those with weights it does where these are codes."""
    head = WEIGHTED if site.weight is not None else EVALUATIONS
    tables = [(fused.node, head), *((node, EVALUATIONS) for node in fused.nodes[1:])]
    return [node.op_type for node, table in tables if node.op_type not in table]


def can_evaluate(fused: FusedNode, site: SiteScheme) -> bool:
    return not not_evaluated(fused, site)
