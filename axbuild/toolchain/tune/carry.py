"""Stage: a block is run, and what goes on to the next one is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.boundary import Boundary
from axbuild.toolchain.tune.passes import coded_outputs, float_outputs
from axbuild.toolchain.tune.plan import MODEL


@dataclass(frozen=True)
class CarryParams:
    """goes_on: the tensors that blocks behind this one read."""

    goes_on: tuple[str, ...]


def carry(block: Path, scheme: Path, boundary: Path, out: Path, *, params: CarryParams) -> None:
    """scheme: the block's, tuned or as it was. Writes the next `boundary/`: by the float operators, and by the exact
    integers."""
    model, before = block / MODEL, Boundary.read(boundary)
    made = Boundary(
        before.float | float_outputs(model, before.float),
        before.coded | coded_outputs(ir.load(model).graph, Scheme.read(scheme), before.coded),
    )
    made.only(params.goes_on).write(out / "boundary")
