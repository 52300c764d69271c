"""Stage: the float model and its scheme -> blocks that are tuned one after the other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError, AxWarning, counted
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.blocks import TuningBlock, blocks_of
from axbuild.toolchain.tune.evaluations import can_evaluate, not_evaluated
from axbuild.toolchain.tune.parts import write_blocks


class NothingToTuneError(AxError):
    """AX373: fine-tuning is asked for, and there is nothing to tune."""

    code = "AX373"


@dataclass(frozen=True)
class CutParams:
    """size: weighted nodes in a block."""

    size: int


def cut(model: Path, scheme: Path, out: Path, *, params: CutParams) -> None:
    """model: the front end's folder. Writes `blocks/`, as `parts` says."""
    graph, chosen = ir.load(model_file(model)).graph, Scheme.read(scheme)
    blocks = blocks_of(placed(graph, chosen), can_evaluate, params.size)
    _tell(blocks)
    write_blocks(model, chosen, blocks, out / "blocks")


def _tell(blocks: list[TuningBlock]) -> None:
    """Of weights that are not tuned, and why; raises NothingToTuneError where there are no others."""
    left = [block for block in blocks if not block.tuned]
    weighted = [fused.name for block in left for fused, site in block.sites if site.weight is not None]
    unknown = sorted({name for block in left for place in block.sites for name in not_evaluated(*place)})
    why = f"fine-tuning cannot follow {', '.join(unknown)}" if unknown else "it has no weights in codes"
    if all(not block.tuned for block in blocks):
        raise NothingToTuneError(f"there is nothing in the model to fine-tune: {why}")
    if weighted:
        named = ", ".join(f"'{name}'" for name in weighted[:3]) + (" ..." if len(weighted) > 3 else "")
        sentence = f"{counted(len(weighted), 'operator')} with weights keep them as they are ({named}): {why}"
        warnings.warn(AxWarning("AX374", sentence), stacklevel=1)
