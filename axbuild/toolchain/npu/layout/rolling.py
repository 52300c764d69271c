"""A window of a tensor on chip that moves along one axis: what passes through a chain band by band."""

from __future__ import annotations

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.npu.layout.draft import Storage, packed_strides
from axbuild.toolchain.npu.layout.places import TensorPlace
from axbuild.toolchain.npu.program.form import OCM


def window_bytes(place: TensorPlace, axis: int, extent: int) -> int:
    """Bytes of a window of that extent."""
    return place.bytes // place.shape[axis] * extent


class Rolling:
    """Positions first.. of a tensor along `axis`, as many as `extent`, from byte `begin` on.

    What is written lies behind what is there; where the room ends, what is still needed moves to its beginning.
    """

    def __init__(self, place: TensorPlace, axis: int, extent: int, begin: int) -> None:
        self.place = place
        self.axis = axis
        self.extent = extent
        self.begin = begin
        self.filled = 0
        self.storage = self._at(0)

    def reach(self, low: int, upto: int) -> tuple[Storage, Box] | None:
        """Room for the positions up to `upto`, of which those from `low` on are still needed. Where the window has to
        move for it: where it was, and what of it must be copied to `storage` (perhaps nothing)."""
        first, filled, self.filled = self.first, self.filled, upto
        if upto - first <= self.extent:
            return None
        before, self.storage = self.storage, self._at(low)
        return before, self.box(low, filled)

    @property
    def first(self) -> int:
        return self.storage.origin[self.axis]

    def box(self, start: int, stop: int) -> Box:
        """Those positions, whole along the other axes."""
        return self.place.box().along(self.axis, start, stop)

    def _at(self, first: int) -> Storage:
        shape = self.place.shape
        window = (*shape[: self.axis], min(self.extent, shape[self.axis]), *shape[self.axis + 1 :])
        origin = tuple(first if axis == self.axis else 0 for axis in range(len(shape)))
        return Storage(
            self.place.home.name, OCM, self.begin, packed_strides(window, self.place.dtype), self.place.dtype, origin
        )
