"""Operators -> drafted jobs on addresses: what stays on chip, what is swapped, what is loaded when.

Operators run one after another in issue order, each by one strategy: `view`, `on_chip`, `stream`. A map stays on chip
where it fits; else the map whose next reader is farthest away goes to ddr_swap, or the operator streams: its far
inputs and its output pass through a few slots, a tile at a time. The schedule overlaps whatever the dependencies
leave free.
"""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.progress import tell
from axbuild.toolchain.npu.layout.bands import run_chain
from axbuild.toolchain.npu.layout.choices import Choices, OpChain
from axbuild.toolchain.npu.layout.draft import Draft
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.moves import bring_near, make_room
from axbuild.toolchain.npu.layout.on_chip import run_on_chip
from axbuild.toolchain.npu.layout.places import TensorPlace
from axbuild.toolchain.npu.layout.ports import settle_input, settle_wholes
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.layout.stream import stream
from axbuild.toolchain.npu.layout.task import Task, task_of
from axbuild.toolchain.npu.layout.trace import activations_of
from axbuild.toolchain.npu.layout.view import settle_view
from axbuild.toolchain.npu.net import Net, Operator
from axbuild.toolchain.npu.program.form import Activation


@dataclass(frozen=True)
class Emission:
    """drafts in issue order; blobs: packed constants, each once; swap_bytes: what ddr_swap must hold.

    activations: where the net's tensors can be seen; banded: the chains of which every operator runs in several bands.
    """

    drafts: list[Draft]
    blobs: list[bytes]
    swap_bytes: int
    activations: tuple[Activation, ...]
    banded: tuple[OpChain, ...] = ()


def emit(net: Net, material: Material, choices: Choices) -> Emission:
    """The jobs of a net on the material's chip. OcmError where an operator cannot fit."""
    state = LayoutState(net, material, choices)
    for name in net.inputs:
        settle_input(state, name)
    settle_wholes(state)
    chains = {chain.start: chain for chain in choices.chains}
    banded: list[OpChain] = []
    position = 0
    while position < len(net.ops):
        tell("tiling op", position + 1, len(net.ops))
        state.prefetcher.ahead()
        chain = chains.get(position)
        if chain and (run := run_chain(state, chain)):
            banded += [chain] if run.is_banded else []
            position = chain.stop
        else:
            _single(state, position, net.ops[position])
            position += 1
    blobs = list(state.constants.blobs)
    return Emission(state.writer.drafts, blobs, state.memory.swap.peak, activations_of(state), tuple(banded))


def _single(state: LayoutState, position: int, op: Operator) -> None:
    if not settle_view(state, position, op):
        _run(state, task_of(state, position, op))
    for name in op.inputs:
        state.read_once(name)


def _run(state: LayoutState, task: Task) -> None:
    """The operator on chip where everything it touches has room there, else streamed."""
    name = task.op.output
    inputs_near = bring_near(state, task)
    out = _output(state, name)
    output_near = out.home.near is not None
    if not output_near and out.home.far is None:
        output_near = make_room(state, task, out.home, spill=out.home.bytes)
    strategy = run_on_chip if inputs_near and output_near else stream
    strategy(state, task, out)
    out.home.unwritten -= name in state.net.parts
    state.release_unread(out.home)


def _output(state: LayoutState, name: str) -> TensorPlace:
    """Where the output goes: its part of a home that is there already, or a home of its own."""
    if name not in state.net.parts:
        state.settle(name, state.new_place(name))
    return state.places[name]
