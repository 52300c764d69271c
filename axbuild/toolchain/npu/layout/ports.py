"""Where tensors lie before the first operator: inputs at their ports, and homes for what is made part by part."""

from __future__ import annotations

from axbuild.toolchain.npu.layout.moves import store_output
from axbuild.toolchain.npu.layout.places import Far, port_strides
from axbuild.toolchain.npu.layout.state import LayoutState


def settle_input(state: LayoutState, name: str) -> None:
    """An input of the net, and the parts of it that single samples read."""
    place = state.new_place(name)
    place.home.far = Far(name, 0, name)
    place.far_strides = port_strides(state.port(name))
    state.settle(name, place)
    if name in state.outputs:
        store_output(state, place, name, 0, name)
    state.release_unread(place.home)
    for part, (whole, number) in state.net.parts.items():
        if whole == name:
            own = state.new_place(part)
            own.home.far = Far(name, number * own.home.bytes, name)
            own.far_strides = place.far_strides
            state.settle(part, own)


def settle_wholes(state: LayoutState) -> None:
    """A home for each tensor that is made part by part, and a place in it for each part."""
    for part, (whole, number) in state.net.parts.items():
        if whole in state.net.inputs:
            continue
        if whole not in state.places:
            state.settle(whole, state.new_place(whole))
        own = state.new_place(part)
        own.offset, own.home = number * own.home.bytes, state.places[whole].home
        own.home.unwritten += 1
        state.settle(part, own)
