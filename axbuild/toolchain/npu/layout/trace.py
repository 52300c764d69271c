"""Where each tensor of the net can be seen while the jobs run: the table that the simulator's `watch` reads."""

from __future__ import annotations

from axbuild.toolchain.npu.layout.places import TensorPlace
from axbuild.toolchain.npu.layout.state import LayoutState
from axbuild.toolchain.npu.lower.base import onnx_order
from axbuild.toolchain.npu.program.form import Activation


def activations_of(state: LayoutState) -> tuple[Activation, ...]:
    """Every tensor of the net under its own name, sorted; one that was made sample by sample as those parts."""
    net = state.net
    parts = {name: (name,) for name in net.tensors if name not in net.parts} | net.samples
    apart = {part for names in net.samples.values() for part in names}
    return tuple(_activation(state, name, names) for name, names in sorted(parts.items()) if name not in apart)


def _activation(state: LayoutState, name: str, parts: tuple[str, ...]) -> Activation:
    first = state.net.tensors[parts[0]]
    shape = (first.shape[0] * len(parts), *first.shape[1:])
    places = [state.places[part] for part in parts]
    _, _, strides = _seen(state, places[0])
    order = onnx_order(first.shape) or range(len(shape))
    return Activation(
        name, first.dtype, shape, tuple(strides[axis] for axis in order), tuple(_seen(state, p)[:2] for p in places)
    )


def _seen(state: LayoutState, place: TensorPlace) -> tuple[str, int, tuple[int, ...]]:
    """The dense copy or input that a tensor lies in, its first byte there, and its strides along its memory axes."""
    storage = place.far() if state.at_port(place) else place.dense()
    assert storage is not None, "what is at a port has a far copy"
    return storage.region, storage.begin, storage.strides
