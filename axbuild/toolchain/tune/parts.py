"""A block in files: its part of the float model, its part of the scheme, and the list of all blocks.

Beside `plan.json` for block i the folder `<i>`: `model.onnx`, `operators.json` as the front end writes it, and
`scheme.msgpack`, whose `owners` are those of the grids that the block may change.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx

from axbuild.toolchain.graph import OPERATORS_FILE, model_file
from axbuild.toolchain.part import part_of
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.blocks import TuningBlock
from axbuild.toolchain.tune.plan import MODEL, PLAN, SCHEME, PlannedBlock, write_plan

Owners = Callable[[Scheme, TuningBlock], dict[str, str]]
"""Of a block the tensors whose grids may change, each with the owner of its grid"""


def write_blocks(
    model: Path, scheme: Scheme, blocks: list[TuningBlock], out: Path, owners: Owners | None = None
) -> None:
    """model: the front end's folder, or the file. owners: `inner_owners` where nothing is given."""
    whole = onnx.load(model_file(model))
    plan = []
    for number, block in enumerate(blocks):
        folder = out / str(number)
        folder.mkdir(parents=True)
        part = cut_out(whole, block)
        (folder / MODEL).write_bytes(part.SerializeToString(deterministic=True))
        operators = Counter(node.op_type for node in part.graph.node)
        (folder / OPERATORS_FILE).write_text(json.dumps(operators, sort_keys=True) + "\n", encoding="utf-8")
        Scheme(tuple(site for _, site in block.sites), (owners or inner_owners)(scheme, block)).write(folder / SCHEME)
        first, last = block.sites[0][0].name, block.sites[-1][0].last.name or ""
        plan.append(PlannedBlock(first, last, block.tuned, block.goes_on))
    write_plan(plan, out / PLAN)


def inner_owners(scheme: Scheme, block: TuningBlock) -> dict[str, str]:
    """Tensor -> owner of its grid, where every tensor of that owner lives in this block only."""
    inside = {name for _, site in block.sites for name in (*site.reads, *site.writes)}
    inside -= {*block.reads, *block.writes}
    shared = {owner for name, owner in scheme.owners.items() if name not in inside}
    return {name: owner for name, owner in scheme.owners.items() if name in inside and owner not in shared}


def cut_out(whole: onnx.ModelProto, block: TuningBlock) -> onnx.ModelProto:
    """The block's operators alone, with their constants."""
    own = {node.name for fused, _ in block.sites for node in fused.nodes}
    nodes = [node for node in whole.graph.node if node.name in own]
    return part_of(whole, nodes, block.reads, block.writes)
