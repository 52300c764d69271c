"""onnxruntime, opened in one way: one thread, the CPU, quiet, and without its telemetry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Read when the library is loaded: otherwise it queues device id and paths below the user's home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # the variable above must be there first

LEVELS = {
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
"""`basic` is what float passes run at: the default one refuses some valid graphs by a fusion of its own"""


def open_session(model: bytes | Path, *, level: str = "basic") -> Any:
    """A session on one thread; level: "off", "basic" or "all". Raises one of `FAILURES`.

    A path is needed where a model has external data, which onnxruntime looks for beside it.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    content = str(model) if isinstance(model, Path) else model
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _failures() -> tuple[type[Exception], ...]:
    state = onnxruntime.capi.onnxruntime_pybind11_state
    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "NotImplemented",
        "RuntimeException",
        "EPFail",
        "InvalidProtobuf",
    )
    return tuple(getattr(state, name) for name in names)


FAILURES = _failures()
"""what onnxruntime raises where it cannot open or run a model"""


def failure_text(error: Exception) -> str:
    """onnxruntime's own words in one line of at most 400 characters."""
    return " ".join(str(error).split())[:400]
