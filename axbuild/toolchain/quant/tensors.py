"""What nodes and tensors of `quant_axmodel.onnx` say of themselves beside ONNX's own fields."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.codes import ElementType, type_numbered

SITE, NODES, REASON = "axbuild.site", "axbuild.nodes", "axbuild.reason"
"""metadata of a node: the fused node it belongs to, by the name of its head in the optimised model, "" at borders; the
names of that fused node's nodes there, as a JSON list; of a float operator why it has no integer form"""
TENSOR = "axbuild.tensor"
"""metadata of a tensor: its name in the optimised model"""

LEFT_OUT = "axbuild.left-out"
"""where a weight of an outline says that its data is; no file is called so"""


class PlainTypeError(AxError):
    """A tensor of the float model has an element type that no quantised model holds."""

    code = "AX358"


def shape_in(info: onnx.ValueInfoProto) -> Shape:
    """Static shape of a tensor; a dimension that depends on data is -1."""
    return tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in info.type.tensor_type.shape.dim)


def is_left_out(value: ir.Value) -> bool:
    """Whether a constant of a float graph is a weight that its outline does not hold."""
    return isinstance(value.const_value, ir.ExternalTensor) and str(value.const_value.location) == LEFT_OUT


def plain_type(value: ir.Value) -> ElementType:
    """The element type of a tensor that stays as it is in the float model; raises PlainTypeError."""
    kind = type_numbered(int(value.dtype)) if value.dtype is not None else None
    if kind is None or kind.coded:
        raise PlainTypeError(
            f"tensor '{value.name}' of the model is {value.dtype}, which a quantised model does not hold",
            hint="cast it to float32, int32, int64 or bool",
        )
    return kind
