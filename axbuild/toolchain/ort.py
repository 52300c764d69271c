"""onnxruntime, opened in one way: one thread, the CPU, quiet, and without its telemetry."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axbuild.toolchain.door import door
from axbuild.toolchain.refused import SampleRefusedError

# Read when the library is loaded: otherwise it queues device id and paths below the user's home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime  # the variable above must be there first

LEVELS = {
    "off": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
"""`basic` is what float passes run at: the default one refuses some valid graphs by a fusion of its own"""


Value = onnxruntime.OrtValue
"""a tensor of onnxruntime; made from an array, it shares the array's memory"""


class Session:
    """A session of onnxruntime of which runs raise SampleRefusedError: it took the model, so what it does not compute
    is what it was given."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        with door(SampleRefusedError):
            found: list[Any] = self._inner.run(names, dict(feeds))
            return found

    def run_with_iobinding(self, binding: Any) -> None:
        with door(SampleRefusedError):
            self._inner.run_with_iobinding(binding)


def open_session(model: bytes | Path, *, level: str = "basic", arena: bool = True, data: Path | None = None) -> Session:
    """To run on samples; as `bare_session` has it."""
    return Session(bare_session(model, level=level, arena=arena, data=data))


def bare_session(model: bytes | Path, *, level: str = "basic", arena: bool = True, data: Path | None = None) -> Any:
    """A session on one thread, of which runs raise what onnxruntime raises; level: "off", "basic" or "all". Raises one
    of `FAILURES`.

    arena: keep the memory of tensors for the next run; without it a single run takes less.

    data: the folder of the external data of a model given as bytes; one given as a path has it beside itself.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = arena
    if data is not None:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(data))
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
