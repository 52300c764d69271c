"""An operator that costs nothing: its output is another view of bytes that are there."""

from __future__ import annotations

from axbuild.toolchain.npu.layout.moves import store_output
from axbuild.toolchain.npu.layout.places import TensorPlace
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.net import Operator


def settle_view(state: LayoutState, position: int, op: Operator) -> bool:
    """Whether the output is such a view, and now settled."""
    place = None if op.output in state.net.parts else _view_of(state, op)
    if place is None:
        return False
    state.settle(op.output, place)
    if op.output in state.outputs:
        store_output(state, place, op.output, position, op.name)
    state.release_unread(place.home)
    return True


def _view_of(state: LayoutState, op: Operator) -> TensorPlace | None:
    if not op.inputs:
        return None
    source, shapes = state.places[op.inputs[0]], state.net.shapes(op.inputs)
    at_port = state.at_port(source)
    if (axes := op.kind.permutes(*shapes)) and at_port and source.home.near is None:
        # The loading copy transposes; the view gets a home of its own because it lies otherwise on chip.
        place = state.new_place(op.output)
        place.home.far = source.home.far
        place.far_strides = tuple(source.far_strides[axis] for axis in axes)
        return place
    if not at_port and op.kind.view(*shapes):
        place = state.new_place(op.output)
        place.home, place.offset = source.home, source.offset
        return place
    return None
