"""Whole tensors on and off the chip: what an operator needs near, and room for what it makes."""

from __future__ import annotations

from axbuild.toolchain.npu.layout.draft import Storage
from axbuild.toolchain.npu.layout.places import Home, TensorPlace
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.layout.task import Task
from axbuild.toolchain.npu.program.form import SWAP


def load_name(far: Storage) -> str:
    """The cname of a load from there."""
    return "ld:ddr_swap" if far.region == SWAP else "ld:input"


def store_output(state: LayoutState, place: TensorPlace, name: str, position: int, op: str) -> None:
    """The whole tensor to an output's region."""
    source = place.near() or place.far()
    assert source is not None, "a settled tensor lies somewhere"
    state.writer.copy(source, state.outputs[name], place.box(), "st:output", position, op)


def bring_near(state: LayoutState, task: Task) -> bool:
    """Loads the far inputs for which there is a gap; whether all inputs are on chip then."""
    all_near = True
    for name in dict.fromkeys(task.op.inputs):
        place = state.places[name]
        if place.home.near is not None:
            continue
        if not place.home.unwritten and place.home.bytes == place.bytes and state.memory.take_near(place.home):
            _load(state, place, task)
        else:
            all_near = False
    return all_near


def make_room(state: LayoutState, task: Task, home: Home, spill: int) -> bool:
    """Room on chip for a home, if that spills at most `spill` bytes of others; whether it got it."""
    keep = {id(state.places[name].home) for name in task.op.inputs}
    while not state.memory.take_near(home):
        victim = state.memory.victim(keep)
        if victim is None or (victim.far is None and victim.bytes > spill):
            return False
        spill -= 0 if victim.far else victim.bytes
        evict(state, victim, task)
    return True


def evict(state: LayoutState, home: Home, task: Task) -> None:
    """Off the chip, to ddr_swap unless it has a far copy already."""
    if home.far is None:
        state.memory.take_far(home)
        place = next(place for place in state.places.values() if place.home is home)
        near, far = place.near(), place.far()
        assert near is not None, "a home to evict is on chip"
        assert far is not None, "it was given a far copy"
        state.writer.copy(near, far, place.box(), "st:ddr_swap", task.position, task.op.name)
    state.memory.drop_near(home)


def _load(state: LayoutState, place: TensorPlace, task: Task) -> None:
    """A whole far tensor to the room it was given on chip."""
    near, far = place.near(), place.far()
    assert near is not None, "the tensor was given room"
    assert far is not None, "a tensor off chip has a far copy"
    state.writer.copy(far, near, place.box(), load_name(far), task.position, task.op.name)
