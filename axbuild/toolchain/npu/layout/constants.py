"""Packed constants of a net: each pack of bytes once, cut into the pieces that are loaded and dropped as wholes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from axbuild.toolchain.kinds.base import Box, ceil_div
from axbuild.toolchain.npu.layout.allocate import OcmError
from axbuild.toolchain.npu.layout.draft import Storage, packed_strides
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.lower.base import Pack, Part
from axbuild.toolchain.npu.lower.packing import Packed, aligned
from axbuild.toolchain.npu.net import Net, Operator
from axbuild.toolchain.npu.program.form import PARAMS

BURST_BYTES = 64
"""what the DDR gives at least for each row that is read by index; an assumption"""


@dataclass(eq=False)
class Piece:
    """Rows first..last of a pack; storage: where they lie on chip, while they do."""

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

    @property
    def far(self) -> bool:
        """Whether jobs read it where it lies, off chip."""
        return self.storage is not None and self.storage.region == PARAMS

    def fetched(self, out: Box) -> int:
        """Bytes that a job for the part `out` of the output moves from off chip: its rows, each in whole bursts."""
        if not self.far or not out.elements:
            return 0
        row = math.prod(stop - start for start, stop in self.pack.part(out)[1:])
        return out.elements // row * ceil_div(row * self.pack.data.itemsize, BURST_BYTES) * BURST_BYTES

    def source(self) -> Storage:
        """The piece in the parameter constant; strides count from row 0."""
        data = self.pack.data
        strides = packed_strides(data.shape, data.dtype.name)
        return Storage(f"{self.op}.params", PARAMS, 0, strides, data.dtype.name, (0,) * data.ndim, self.blob)


def pieces_of(op: str, position: int, pack: Pack, blob: int, limit: int, unit: int) -> list[Piece]:
    """The pack in pieces of about equal size and whole units of rows, none above `limit` bytes where these allow it."""
    rows = pack.data.shape[0]
    if pack.axes[0] < 0 or pack.data.nbytes <= limit:
        return [Piece(op, position, pack, blob, (0, rows))]
    units, fitting = ceil_div(rows, unit), limit // (unit * pack.row_bytes)
    count = ceil_div(pack.data.nbytes, limit)
    step = max(1, min(ceil_div(units, count), fitting)) * unit
    return [Piece(op, position, pack, blob, (at, min(at + step, rows))) for at in range(0, rows, step)]


def part_of(piece: Piece, out: Box) -> Part:
    """What a job for the part `out` of the output reads of a piece."""
    ranges = piece.pack.part(out)
    if ranges[0][0] < piece.rows[0] or ranges[0][1] > piece.rows[1]:
        raise OcmError(f"A tile of '{piece.op}' needs constants beyond its piece.")
    return Part(Box(ranges))


def served(piece: Piece | None, out: Box) -> Box:
    """The part of an output box that a piece's rows serve; all of it where there are no constants."""
    axis = piece.pack.axes[0] if piece else -1
    if piece is None or axis < 0:
        return out
    start, stop = out.ranges[axis]
    step = piece.pack.step
    low, high = max(start, piece.rows[0] * step), min(stop, piece.rows[1] * step)
    return out.along(axis, low, high)


class ConstantPieces:
    """The constants of a net's operators; blobs: the packs' bytes, equal ones once.

    pieces: for each operator, in order.
    """

    def __init__(self, net: Net, material: Material) -> None:
        self.material = material
        self.chip = material.chip
        self.blobs: dict[bytes, int] = {}
        self.pieces: list[list[Piece]] = []
        for position, op in enumerate(net.ops):
            found = material.packed(net, op)
            self.pieces.append(self._pieces(position, op, found))

    def _pieces(self, position: int, op: Operator, found: Packed) -> list[Piece]:
        if found.pack is None:
            return []
        if found.piece_bytes > self.chip.param_bytes:
            raise OcmError(
                f"The constants of '{op.name}' come in pieces of {found.piece_bytes} bytes or more; {self.chip.name} "
                f"{self.chip.npu_mode} has {self.chip.param_bytes} bytes on chip for constants."
            )
        blob = self.blobs.setdefault(self.material.blob(found), len(self.blobs))
        if found.far:
            whole = Piece(op.name, position, found.pack, blob, (0, found.pack.data.shape[0]))
            return [replace(whole, storage=whole.source())]
        return pieces_of(op.name, position, found.pack, blob, self.chip.memory.piece_bytes, found.unit)

    def in_order(self) -> list[Piece]:
        """Those that are loaded."""
        return [piece for pieces in self.pieces for piece in pieces if not piece.far]

    def room(self) -> int:
        """Bytes on chip for parameters: all that there are, or the chip's share."""
        return min(self.chip.param_bytes, sum(aligned(piece.bytes) for piece in self.in_order()))
