"""A map of each channel, y -> factor y + shift, taken into the constant weights of the node before it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import (
    Array,
    constant_input,
    has_one_reader,
    input_of,
    integer,
    is_constant,
    real,
    shape_of,
    turned,
)
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rounding, Steps, attributes


@dataclass(frozen=True)
class ChannelMap:
    """factor, shift: float64 [channels]; added: the magnitudes that shift is the sum of."""

    factor: Array
    shift: Array
    added: Array


@dataclass(frozen=True)
class Affine:
    """`producer`: a Conv, a ConvTranspose, or a Gemm in canonical form; channels: the map of its output."""

    producer: ir.Node
    channels: ChannelMap


def weighted_producer(value: ir.Value | None, reader: str) -> ir.Node | NoMatch:
    """The Conv, ConvTranspose or canonical Gemm that computes `value` for `reader` alone, from constant weights."""
    producer = value.producer() if value is not None else None
    if value is None or producer is None or producer.op_type not in ("Conv", "ConvTranspose", "Gemm"):
        return NoMatch(f"input of {reader} is not a Conv or Gemm")
    if not has_one_reader(value):
        return NoMatch(f"{producer.op_type} output has another reader")
    if not is_constant(producer.inputs[1]):
        return NoMatch(f"{producer.op_type} weights are not constant")
    bias = input_of(producer, 2)
    if bias is not None and not is_constant(bias):
        return NoMatch(f"{producer.op_type} bias is not constant")
    if producer.op_type == "Gemm" and not is_canonical(producer):
        return NoMatch("Gemm has alpha, beta or a transposition of its own")
    return producer


def is_canonical(gemm: ir.Node) -> bool:
    """x @ w^T + b: the form NormalizeGemm leaves, weights [n, k] and bias [n]."""
    return (
        integer(gemm, "transB", 0) == 1
        and integer(gemm, "transA", 0) == 0
        and real(gemm, "alpha", 1.0) == 1.0
        and real(gemm, "beta", 1.0) == 1.0
        and len(gemm.inputs) == 3
    )


def per_channel(array: Array, value: ir.Value) -> Array | None:
    """float64 [channels] of a constant that meets `value` (channels on axis 1) elementwise; None if it is not a map
    of each channel."""
    shape = shape_of(value)
    if len(shape) < 2 or array.ndim > len(shape):
        return None
    aligned = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    if any(size != 1 for axis, size in enumerate(aligned.shape) if axis != 1) or aligned.shape[1] not in (1, shape[1]):
        return None
    return np.broadcast_to(aligned.reshape(-1).astype(np.float64), (shape[1],))


def depthwise(value: ir.Value, channels: ChannelMap, steps: Steps) -> ir.Value:
    """The map of `value`, of rank 4, as a depthwise 1x1 Conv that stands for `node`."""
    weight = steps.constant(channels.factor.astype(np.float32).reshape(-1, 1, 1, 1), "weight")
    bias = steps.constant(channels.shift.astype(np.float32), "bias")
    attributes = {"group": len(channels.factor), "kernel_shape": [1, 1]}
    return steps.insert("Conv", [value, weight, bias], attributes)


def depthwise_rounding(value: ir.Value, channels: ChannelMap) -> Rounding:
    return Rounding(2, ((value, np.abs(channels.factor)),), channels.added)


def take_in(node: ir.Node, found: Affine, steps: Steps) -> ir.Value:
    """A copy of the producer with weights w * factor and bias b * factor + shift, computed in float64."""
    producer, channels = found.producer, found.channels
    weight, bias = weights_of(producer)
    factor = channels.factor.reshape(-1, *(1,) * (weight.ndim - 1))
    inputs = [
        producer.inputs[0],
        steps.constant(stored(producer, (weight * factor).astype(np.float32)), "weight", of=producer),
        steps.constant((bias * channels.factor + channels.shift).astype(np.float32), "bias", of=producer),
    ]
    return steps.insert(producer.op_type, inputs, attributes(producer), origins=(producer, node))


def weights_of(producer: ir.Node) -> tuple[Array, Array]:
    """Constant weights, float32 [channels, ...], and bias, float64 [channels]."""
    weight, bias = constant_input(producer, 1), constant_input(producer, 2)
    if weight is None:
        raise ValueError("a match without constant weights")
    weight = stored(producer, weight)
    return weight, np.zeros(weight.shape[0]) if bias is None else bias.astype(np.float64)


def stored(producer: ir.Node, weight: Array) -> Array:
    """A weight with output channels first as the node stores it, and the way back."""
    return turned(weight, integer(producer, "group", 1)) if producer.op_type == "ConvTranspose" else weight


def order_of_sums(node: ir.Node, source: ir.Value) -> Rounding:
    """How far two orders of a weighted node's own sums over `source` may differ."""
    weight, bias = weights_of(node)
    gain = np.abs(weight).sum(axis=tuple(range(1, weight.ndim)), dtype=np.float64)
    return Rounding(math.prod(weight.shape[1:]), ((source, gain),), np.abs(bias))


def rounding(found: Affine) -> Rounding:
    """Both sides sum the products of one window; the map multiplies them and adds."""
    weight, bias = weights_of(found.producer)
    factor = np.abs(found.channels.factor)
    window = tuple(range(1, weight.ndim))
    gain = np.abs(weight).sum(axis=window, dtype=np.float64) * factor
    (source, *_) = found.producer.inputs
    assert source is not None
    return Rounding(math.prod(weight.shape[1:]), ((source, gain),), np.abs(bias) * factor + found.channels.added)
