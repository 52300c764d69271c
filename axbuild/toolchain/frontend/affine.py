"""A map of each channel, y -> factor y + shift, taken into the constant weights of the node before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.frontend.rewrite import (
    NoMatch,
    attributes,
    constant,
    graph_of,
    initializer,
    insert,
    only_reader,
    static_shape,
)
from axbuild.toolchain.graph import Array


@dataclass(frozen=True)
class Affine:
    """`producer`: a Conv, or a Gemm in canonical form; factor, shift: float64 [channels of its output]."""

    producer: ir.Node
    factor: Array
    shift: Array


def weighted_producer(value: ir.Value | None, reader: str) -> ir.Node | NoMatch:
    """The Conv or canonical Gemm that computes `value` for `reader` alone, from constant weights."""
    producer = value.producer() if value is not None else None
    if value is None or producer is None or producer.op_type not in ("Conv", "Gemm"):
        return NoMatch(f"input of {reader} is not a Conv or Gemm")
    if not only_reader(value):
        return NoMatch(f"{producer.op_type} output has another reader")
    if constant(producer.inputs[1]) is None:
        return NoMatch(f"{producer.op_type} weights are not constant")
    has_bias = len(producer.inputs) > 2 and producer.inputs[2] is not None
    if has_bias and constant(producer.inputs[2]) is None:
        return NoMatch(f"{producer.op_type} bias is not constant")
    if producer.op_type == "Gemm" and not is_canonical(producer):
        return NoMatch("Gemm has alpha, beta or a transposition of its own")
    return producer


def is_canonical(gemm: ir.Node) -> bool:
    """x @ w^T + b: the form NormalizeGemm leaves, weights [n, k] and bias [n]."""
    at = gemm.attributes
    return (
        at.get_int("transB", 0) == 1
        and at.get_int("transA", 0) == 0
        and at.get_float("alpha", 1.0) == 1.0
        and at.get_float("beta", 1.0) == 1.0
        and len(gemm.inputs) == 3
    )


def per_channel(array: Array, value: ir.Value | None) -> Array | None:
    """float64 [channels] of a constant that meets `value` (channels on axis 1) elementwise; None if it is not a map
    of each channel."""
    shape = static_shape(value)
    if len(shape) < 2 or array.ndim > len(shape):
        return None
    aligned = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    if any(size != 1 for axis, size in enumerate(aligned.shape) if axis != 1) or aligned.shape[1] not in (1, shape[1]):
        return None
    return np.broadcast_to(aligned.reshape(-1).astype(np.float64), (shape[1],))


def take_in(node: ir.Node, found: Affine) -> ir.Value:
    """A copy of the producer with weights w * factor and bias b * factor + shift, computed in float64."""
    producer = found.producer
    weight = constant(producer.inputs[1])
    bias = constant(producer.inputs[2]) if len(producer.inputs) > 2 else None
    graph = graph_of(node)
    if weight is None:
        raise ValueError("a match without constant weights")
    factor = found.factor.reshape(-1, *(1,) * (weight.ndim - 1))
    old_bias = np.zeros(weight.shape[0]) if bias is None else bias.astype(np.float64)
    inputs = [
        producer.inputs[0],
        initializer(graph, (weight.astype(np.float64) * factor).astype(np.float32), f"{producer.name}.weight"),
        initializer(graph, (old_bias * found.factor + found.shift).astype(np.float32), f"{producer.name}.bias"),
    ]
    return insert(
        node,
        producer.op_type,
        inputs,
        attributes(producer),
        name=producer.name or "",
        origins=(producer, node),
    )
