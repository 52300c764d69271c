"""What operators that only the CPU runs say of the samples of a batch."""

from __future__ import annotations

import onnx

_TIME_FIRST = {"LSTM", "GRU", "RNN"}
_SAMPLES_SECOND = {0: 1, 5: 1, 6: 1}
"""X [time, batch, ...] and the initial states [directions, batch, ...] in the layout 0"""


def batch_axis(node: onnx.NodeProto, place: int) -> int | None:
    """The axis of input `place` along which the operator takes samples; None where it asks for none."""
    if node.op_type not in _TIME_FIRST:
        return None
    layout = next((attribute.i for attribute in node.attribute if attribute.name == "layout"), 0)
    return 0 if layout else _SAMPLES_SECOND.get(place)


def numbers_samples(node: onnx.NodeProto) -> bool:
    """Whether the rows of the operator's first output begin with the number of the sample they belong to."""
    return node.op_type == "NonMaxSuppression"
