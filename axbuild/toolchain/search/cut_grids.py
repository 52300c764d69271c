"""Stage: the float model and its scheme -> a block for each grid that EasyQuant searches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.search.grids import grid_blocks, searched_owners
from axbuild.toolchain.tune.parts import write_blocks


@dataclass(frozen=True)
class CutGridsParams:
    """Nothing to choose."""


def cut_grids(model: Path, scheme: Path, out: Path, *, params: CutGridsParams) -> None:
    """model: the front end's folder. Writes `blocks/`, as `parts` says."""
    graph, chosen = ir.load(model_file(model)).graph, Scheme.read(scheme)
    blocks = grid_blocks(chosen, placed(graph, chosen), [value.name or "" for value in graph.outputs])
    write_blocks(model, chosen, blocks, out / "blocks", searched_owners)
