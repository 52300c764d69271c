"""An operator whose inputs and output are on chip: spread evenly over the engines."""

from __future__ import annotations

from axbuild.toolchain.npu.layout.constants import served
from axbuild.toolchain.npu.layout.moves import store_output
from axbuild.toolchain.npu.layout.places import TensorPlace
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.layout.task import Task, parts_of, write_part


def run_on_chip(state: LayoutState, task: Task, out: TensorPlace) -> None:
    target = out.near()
    assert target is not None, "the output was given room"
    sources = [state.places[name].near() for name in task.op.inputs]
    for piece in task.pieces:
        for part in parts_of(state, task, served(piece, task.whole)):
            write_part(state, task, part, sources, target, out, piece)
        if piece is not None:
            state.prefetcher.done(piece)
    if task.op.output in state.outputs:
        store_output(state, out, task.op.output, task.position, task.op.name)
