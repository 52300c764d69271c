"""Stage: the float model behind a QDQ model, and the grids that this one gave -> the scheme of its quantisation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.graph import model_file
from axbuild.toolchain.qdq.given import GivenGrids
from axbuild.toolchain.qdq.settle import settled
from axbuild.toolchain.qdq.sites import scheme_of


@dataclass(frozen=True)
class AdoptParams:
    """Nothing to choose: the model said everything."""


def adopt(model: Path, given: Path, out: Path, *, params: AdoptParams) -> None:
    """Write `scheme.msgpack` from `optimized.onnx` and `given.msgpack`; what has no grids is computed in float32."""
    graph, known = ir.load(model_file(model)).graph, GivenGrids.read(given)
    scheme_of(settled(graph, known), known.weights).write(out / "scheme.msgpack")
