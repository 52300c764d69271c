"""What nodes and tensors of `quant_axmodel.onnx` say of themselves beside ONNX's own fields."""

from __future__ import annotations

import onnx

from axbuild.toolchain.graph import Shape

SITE, NODES, REASON = "axbuild.site", "axbuild.nodes", "axbuild.reason"
"""metadata of a node: the fused node it belongs to, by the name of its head in the optimised model, "" at borders; the
names of that fused node's nodes there, as a JSON list; of a float operator why it has no integer form"""
TENSOR = "axbuild.tensor"
"""metadata of a tensor: its name in the optimised model"""


def shape_in(info: onnx.ValueInfoProto) -> Shape:
    """Static shape of a tensor; a dimension that depends on data is -1."""
    return tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in info.type.tensor_type.shape.dim)
