"""Packed constants on their way into the parameter part of the on-chip memory, as far ahead as it has room.

Pieces are loaded strictly in the order in which the operators need them, so the piece that is needed next is never
kept out by one that is needed later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from axbuild.toolchain.kinds.base import Box
from axbuild.toolchain.npu.layout.allocate import Arena, OcmError
from axbuild.toolchain.npu.layout.draft import Storage, packed_strides
from axbuild.toolchain.npu.lower.base import Pack, Part
from axbuild.toolchain.npu.program.form import OCM, PARAMS


@dataclass(eq=False)
class Piece:
    """Rows first..last of a pack; out: the part of the output (start, stop along the pack's axis) it serves."""

    op: str
    position: int
    pack: Pack
    blob: int
    rows: tuple[int, int]
    storage: Storage | None = field(default=None)

    @property
    def bytes(self) -> int:
        return (self.rows[1] - self.rows[0]) * self.pack.row_bytes

    @property
    def box(self) -> Box:
        return Box((self.rows, *((0, size) for size in self.pack.data.shape[1:])))

    def source(self) -> Storage:
        """The piece in the parameter constant; strides count from row 0."""
        data = self.pack.data
        strides = packed_strides(data.shape, data.dtype.name)
        return Storage(f"{self.op}.params", PARAMS, 0, strides, data.dtype.name, (0,) * data.ndim, self.blob)


def pieces_of(op: str, position: int, pack: Pack, blob: int, limit: int) -> list[Piece]:
    """The pack in pieces of about equal size, none above `limit` bytes where its rows allow that."""
    rows = pack.data.shape[0]
    if pack.axes[0] < 0 or pack.data.nbytes <= limit:
        return [Piece(op, position, pack, blob, (0, rows))]
    count = -(-pack.data.nbytes // limit)
    step = max(1, min(-(-rows // count), limit // pack.row_bytes))
    return [Piece(op, position, pack, blob, (at, min(at + step, rows))) for at in range(0, rows, step)]


class Prefetcher:
    """load: writes down the copy of a piece from its source to its storage."""

    def __init__(self, arena: Arena, pieces: list[Piece], load: Callable[[Piece, Storage], None]) -> None:
        self.arena = arena
        self.queue = deque(pieces)
        self.load = load

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
        """Frees a piece whose last reader has been written down."""
        if piece.storage is not None:
            self.arena.give_back(piece.storage.begin)

    def _place(self, piece: Piece) -> bool:
        address = self.arena.take(piece.bytes)
        if address is None:
            return False
        data = piece.pack.data
        strides = packed_strides(data.shape, data.dtype.name)
        name = f"{piece.op}.params[{piece.rows[0]}:{piece.rows[1]}]"
        origin = (piece.rows[0],) + (0,) * (data.ndim - 1)
        piece.storage = Storage(name, OCM, address, strides, data.dtype.name, origin)
        self.load(piece, piece.storage)
        return True


def part_of(piece: Piece, out: Box) -> Part:
    """What a job for the part `out` of the output reads of a piece."""
    ranges = piece.pack.part(out)
    if ranges[0][0] < piece.rows[0] or ranges[0][1] > piece.rows[1]:
        raise OcmError(f"A tile of '{piece.op}' needs constants beyond its piece.")
    return Part(Box(ranges))


def served(piece: Piece, out: Box) -> Box:
    """The part of an output box that a piece's rows serve."""
    pack = piece.pack
    axis = pack.axes[0]
    if axis < 0:
        return out
    start, stop = out.ranges[axis]
    low, high = max(start, piece.rows[0] * pack.step), min(stop, piece.rows[1] * pack.step)
    return Box((*out.ranges[:axis], (low, high), *out.ranges[axis + 1 :]))
