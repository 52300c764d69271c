"""Rooms on chip through which the tiles of a tensor pass that lies off chip."""

from __future__ import annotations

from dataclasses import dataclass, field

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.npu.layout.draft import Storage, packed_strides
from axbuild.toolchain.npu.program.form import OCM


@dataclass(eq=False)
class Slots:
    """A ring of equal rooms on chip for the tiles of one tensor; held: the boxes that lie in them now."""

    tensor: str
    dtype: str
    addresses: list[int]
    turn: int = 0
    held: dict[Box, Storage] = field(default_factory=dict)

    def find(self, box: Box) -> Storage | None:
        return self.held.get(box)

    def next(self, box: Box) -> Storage:
        """The oldest slot, now for `box`."""
        begin = self.addresses[self.turn]
        self.turn = (self.turn + 1) % len(self.addresses)
        self.held = {b: storage for b, storage in self.held.items() if storage.begin != begin}
        origin = tuple(start for start, _ in box.ranges)
        storage = Storage(self.tensor, OCM, begin, packed_strides(box.shape, self.dtype), self.dtype, origin)
        self.held[box] = storage
        return storage
