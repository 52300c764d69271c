"""What operators that only the CPU runs say of the samples of a batch."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import integer

_TIME_FIRST = {"LSTM", "GRU", "RNN"}
_SAMPLES_SECOND = {0: 1, 5: 1, 6: 1}
"""X [time, batch, ...] and the initial states [directions, batch, ...] in the layout 0"""


def batch_axis(node: ir.Node, place: int) -> int | None:
    """The axis of input `place` along which the operator takes samples; None where it asks for none."""
    if node.op_type not in _TIME_FIRST:
        return None
    return 0 if integer(node, "layout", 0) else _SAMPLES_SECOND.get(place)


def numbers_samples(node: ir.Node) -> bool:
    """Whether the rows of the operator's output begin with the number of the sample they belong to."""
    return node.op_type == "NonMaxSuppression"
