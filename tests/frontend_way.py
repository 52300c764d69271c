"""Float models behind the front end: one static graph, as the quantiser takes it."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from axbuild.toolchain.frontend.light import LightModel, to_graph
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as the front end leaves it, every match and the whole compared in a run."""
    given = onnx.ModelProto()
    given.CopyFrom(model)
    return ir.serde.serialize_model(to_graph(simplify(LightModel(given), OptimizeParams())))
