"""Float models behind the front end: one static graph, as the quantiser takes it."""

from __future__ import annotations

import onnx

from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify


def simplified(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model as the front end leaves it, every match and the whole compared in a run."""
    return simplify(LightModel(model), OptimizeParams()).proto
