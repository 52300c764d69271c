"""Which outputs a quantised model is judged by."""

from __future__ import annotations

import onnx


def judged(graph: onnx.GraphProto) -> list[str]:
    """The real ones; where there is none, all."""
    real = [info.name for info in graph.output if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    return real or [info.name for info in graph.output]
