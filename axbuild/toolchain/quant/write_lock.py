"""Stage: an optimised model and its scheme -> the lock that keeps the scheme."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.lock import FILE, QuantLock
from axbuild.toolchain.quant.scheme import Scheme


@dataclass(frozen=True)
class WriteLockParams:
    """release: of the axbuild that writes it."""

    release: str


def write_lock(model: Path, scheme: Path, out: Path, *, params: WriteLockParams) -> None:
    """Write `quant.lock`; raises SchemeError where the scheme is damaged or of another model."""
    graph = ir.load(model_file(model)).graph
    lock = QuantLock.of(graph, scheme.read_bytes(), Scheme.read(scheme), params.release)
    (out / FILE).write_text(lock.text(), encoding="utf-8")
