"""A QuantizeLinear or DequantizeLinear node as numbers, or the sentence that says why it is not taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import NodeProto, TensorProto

from axbuild.errors import AxError
from axbuild.toolchain.frontend.support import REAL_TYPES
from axbuild.toolchain.frontend.wiring import shown
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import S4, S8, S16, U8, U16, ElementType, Grid

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
DOMAINS = ("", "ai.onnx", "com.microsoft")
"""where these operators stand; onnxruntime's own are for types that ONNX's did not have before opset 21"""

ACTIVATIONS: dict[int, ElementType] = {
    TensorProto.UINT8: U8,
    TensorProto.INT8: S8,
    TensorProto.UINT16: U16,
    TensorProto.INT16: S16,
}
WEIGHTS: dict[int, tuple[ElementType, int]] = {
    TensorProto.INT4: (S4, 0),
    TensorProto.UINT4: (S4, 8),
    TensorProto.INT8: (S8, 0),
    TensorProto.UINT8: (S8, 128),
    TensorProto.INT16: (S16, 0),
}
"""type in the file -> the signed type of our codes, and what is taken from codes and zero point to become these"""
BIAS = TensorProto.INT32

Constants = Callable[[str], Array | None]
"""the array of a constant by its name; None where there is no such constant"""


class QdqError(AxError):
    """A QDQ model with a quantisation that contradicts itself, or that no chip computes with."""

    code = "AX313"


@dataclass(frozen=True)
class Linear:
    """real = scale (code - zero). kind: of the codes, a TensorProto.DataType; scale float32, zero int64: of one value
    or one a channel along `axis`."""

    node: NodeProto
    kind: int
    scale: Array
    zero: Array
    axis: int

    @property
    def per_tensor(self) -> bool:
        return self.scale.size == 1

    def grid(self) -> Grid:
        """Of an activation; raises QdqError where no grid of ours is that."""
        if not self.per_tensor:
            raise _error(self.node, f"has {self.scale.size} scales for a tensor that is no constant", _PER_TENSOR)
        if self.kind not in ACTIVATIONS:
            raise _error(self.node, f"makes codes of the type {type_name(self.kind)}", "use uint8, int8 or 16 bits")
        return Grid(float(self.scale.reshape(-1)[0]), int(self.zero.reshape(-1)[0]), ACTIVATIONS[self.kind])

    def weight_type(self) -> tuple[ElementType, int]:
        """Of a constant's codes: our type, and what is taken from codes and zero points."""
        if self.kind not in WEIGHTS:
            raise _error(self.node, f"reads a constant of the type {type_name(self.kind)}", _WEIGHT_TYPES)
        return WEIGHTS[self.kind]

    def along(self, array: Array, rank: int) -> Array:
        """scale or zero, so that it broadcasts with a tensor of that rank."""
        if self.per_tensor:
            return array.reshape(())
        return array.reshape([-1 if axis == self.axis else 1 for axis in range(rank)])

    def reals(self, codes: Array) -> Array:
        """float32: what ONNX says the codes stand for."""
        centred = codes.astype(np.int64) - self.along(self.zero, codes.ndim)
        found: Array = centred.astype(np.float32) * self.along(self.scale, codes.ndim)
        return found

    def codes(self, reals: Array) -> Array:
        """int64: the codes that ONNX says the reals become, half to even, saturating."""
        kind, shift = self.weight_type()
        steps = np.rint(reals.astype(np.float32) / self.along(self.scale, reals.ndim))
        shifted = steps + self.along(self.zero, reals.ndim)
        codes: Array = np.clip(shifted, kind.lo + shift, kind.hi + shift).astype(np.int64)
        return codes


_PER_TENSOR = (
    "on activations scales a channel are taken in front of depthwise convolutions, with one zero point for all; NNCF "
    "keeps activations per tensor with "
    "activations_quantization_params=QuantizationParameters(per_channel=False)"
)
_WEIGHT_TYPES = "use int4, int8 or int16, or uint4 or uint8 with a zero point"


def is_linear(node: NodeProto, op_type: str = "") -> bool:
    """Whether this is one of the two, or that one."""
    return node.domain in DOMAINS and node.op_type in ((op_type,) if op_type else (QUANTISE, DEQUANTISE))


def linear(node: NodeProto, constants: Constants, rank: int | None, kind: int | None) -> Linear:
    """rank: of its input, None where it is not known; kind: of the codes that a DequantizeLinear reads.

    Raises QdqError where scale or zero point are not what ONNX asks for, or scale blocks of a tensor.
    """
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    if attributes.get("block_size"):
        raise _error(node, f"has a scale for each {attributes['block_size']} elements", "use one scale a channel")
    scale = _constant(node, 1, "scale", constants)
    if onnx.helper.np_dtype_to_tensor_dtype(scale.dtype) not in REAL_TYPES:
        raise _error(node, f"has a scale of the type {scale.dtype}", "store scales in float32")
    scale = scale.astype(np.float32)
    if scale.size > 1 and scale.ndim > 1:
        raise _error(node, f"has scales of the shape {list(scale.shape)}", "use one scale a channel")
    zero, own = np.zeros(scale.shape, np.int64), kind
    if len(node.input) > 2 and node.input[2]:
        given = _constant(node, 2, "zero point", constants)
        own = onnx.helper.np_dtype_to_tensor_dtype(given.dtype)
        if given.size != scale.size:
            raise _error(node, f"has {scale.size} scales and {given.size} zero points", "give as many of either")
        zero = given.astype(np.int64).reshape(scale.shape)
    elif own is None:
        own = int(attributes.get("output_dtype", 0)) or TensorProto.UINT8
    if kind is not None and own != kind:
        raise _error(node, f"reads {type_name(kind)} with a zero point of {type_name(own or 0)}", "let them agree")
    return _checked(Linear(node, int(own or 0), scale, zero, _axis(node, attributes, scale, rank)))


def _axis(node: NodeProto, attributes: dict[str, int], scale: Array, rank: int | None) -> int:
    axis = int(attributes.get("axis", 1))
    if scale.size == 1 or rank is None:
        return axis
    if not -rank <= axis < rank:
        raise _error(node, f"has scales along axis {axis} of a tensor of rank {rank}", "mend its attribute axis")
    return axis % rank


def _constant(node: NodeProto, index: int, what: str, constants: Constants) -> Array:
    name = node.input[index] if len(node.input) > index else ""
    if not name:
        raise _error(node, f"has no {what}", "export the model again")
    array = constants(name)
    if array is None:
        raise _error(node, f"has the {what} '{name}', which is computed", "quantise statically, from calibration data")
    return array


def _checked(found: Linear) -> Linear:
    # A bias becomes reals again, and its scale, a product of two, may be below float32's normal numbers.
    limits = np.finfo(np.float32)
    smallest = limits.smallest_subnormal if found.kind == BIAS else limits.tiny
    odd = found.scale[~(np.isfinite(found.scale) & (found.scale >= smallest))]
    if odd.size:
        raise _error(found.node, f"has the scale {odd.reshape(-1)[0]}", "a scale is a positive number")
    return found


def type_name(kind: int) -> str:
    return str(TensorProto.DataType.Name(kind)).lower() if kind in TensorProto.DataType.values() else str(kind)


def _error(node: NodeProto, sentence: str, hint: str) -> QdqError:
    return QdqError(f"node {shown(node)} {sentence}", hint=hint)
