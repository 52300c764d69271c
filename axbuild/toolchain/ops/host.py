"""Operators that only the CPU runs: why, and what they say of the samples of a batch."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import ORIGINS, constant_integers, integer

_STATE = "its state goes from step to step, where roundings to codes would add up: it stays in float32"
REASONS = {
    "ConstantOfShape": "how much it makes depends on data, unless it is folded to a constant",
    "GRU": _STATE,
    "LSTM": _STATE,
    "NonMaxSuppression": "how much it keeps depends on data",
    "NonZero": "how much it finds depends on data",
    "RNN": _STATE,
    "Unique": "how much it finds depends on data",
}
"""op_type -> why it has no integer form and will have none"""

_CHANNELS = "LayerNormalization of each group, with Mul and Add behind it"
REWRITTEN = {
    "BatchNormalization": "weights of a Conv, or Mul and Add",
    "Constant": "a constant",
    "GroupNormalization": _CHANNELS,
    "InstanceNormalization": _CHANNELS,
}
"""op_type -> what the front end makes of every one, so that it needs no integer form"""

_TIME_FIRST = {"LSTM", "GRU", "RNN"}
_SAMPLES_SECOND = {0: 1, 5: 1, 6: 1}
"""X [time, batch, ...] and the initial states [directions, batch, ...] in the layout 0"""


def batch_axis(node: ir.Node, place: int) -> int | None:
    """The axis of input `place` along which the operator takes samples; None where it asks for none."""
    if node.op_type not in _TIME_FIRST:
        return None
    return 0 if integer(node, "layout", 0) else _SAMPLES_SECOND.get(place)


def counts_samples(node: ir.Node) -> bool:
    """Whether it says how many samples there are: a Reshape of the user's own whose shape begins with a number.

    One that the front end made is right at every batch.
    """
    shape = constant_integers(node, 1, "shape") or () if node.op_type == "Reshape" else ()
    return ORIGINS not in node.metadata_props and any(size > 0 for size in shape[:1])


def numbers_samples(node: ir.Node) -> bool:
    """Whether the rows of the operator's output begin with the number of the sample they belong to."""
    return node.op_type == "NonMaxSuppression"
