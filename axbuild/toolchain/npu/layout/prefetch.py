"""Packed constants on their way into the parameter part of the on-chip memory, as far ahead as it has room.

Pieces are loaded strictly in the order in which the operators need them, so the piece that is needed next is never
kept out by one that is needed later.
"""

from __future__ import annotations

from collections import deque

from axbuild.toolchain.npu.layout.allocate import Arena, OcmError
from axbuild.toolchain.npu.layout.constants import Piece
from axbuild.toolchain.npu.layout.draft import Storage, packed_strides
from axbuild.toolchain.npu.layout.writer import Writer
from axbuild.toolchain.npu.program.form import OCM


class Prefetcher:
    """Writes down the copies that bring pieces on chip, and knows where they lie."""

    def __init__(self, arena: Arena, pieces: list[Piece], writer: Writer) -> None:
        self.arena = arena
        self.queue = deque(pieces)
        self.writer = writer

    def ahead(self) -> None:
        """Loads what fits now."""
        while self.queue and self._place(self.queue[0]):
            self.queue.popleft()

    def need(self, piece: Piece) -> Storage:
        """Where the piece lies; everything before it in the queue must have been needed already."""
        if piece.storage is None:
            self.ahead()
        if piece.storage is None:
            raise OcmError(f"There is no room on chip for {piece.bytes} bytes of constants of '{piece.op}'.")
        return piece.storage

    def done(self, piece: Piece) -> None:
        """Frees a piece whose last reader has been written down, and loads what fits in its place."""
        if piece.storage is not None and not piece.far:
            self.arena.give_back(piece.storage.begin)
        self.ahead()

    def _place(self, piece: Piece) -> bool:
        address = self.arena.take(piece.bytes)
        if address is None:
            return False
        data = piece.pack.data
        strides = packed_strides(data.shape, data.dtype.name)
        name = f"{piece.op}.params[{piece.rows[0]}:{piece.rows[1]}]"
        origin = (piece.rows[0],) + (0,) * (data.ndim - 1)
        piece.storage = Storage(name, OCM, address, strides, data.dtype.name, origin)
        self.writer.copy(piece.source(), piece.storage, piece.box, "ld:param", piece.position, piece.op)
        return True
