"""One opset for everything after the front end, so that an operator has one meaning."""

from __future__ import annotations

import onnx
from onnx import ModelProto, inliner, version_converter

from axbuild.toolchain.frontend.load import UnsupportedModelError

OPSET = 18
"""Models below are converted up to it; later opsets change nothing in the operators that have a kind."""

IR_VERSION = 10


def to_opset(model: ModelProto) -> ModelProto:
    """The model at opset 18 or the later one it has, its functions inlined, without other opset imports."""
    if model.functions:
        model = inliner.inline_local_functions(model, convert_version=True)
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version < OPSET:
        try:
            model = version_converter.convert_version(model, OPSET)
        except RuntimeError as error:
            raise UnsupportedModelError(
                f"the model cannot be converted from opset {version} to {OPSET}: {str(error).splitlines()[0]}",
                hint=f"export it with opset {OPSET}",
            ) from None
        version = OPSET
    del model.opset_import[:]
    model.opset_import.append(onnx.helper.make_opsetid("", version))
    model.ir_version = IR_VERSION
    return model
