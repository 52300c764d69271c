"""How the constants of a kind are packed for a chip, and the least on-chip memory that its jobs need.

The layout cuts by it, and placement asks it beforehand: what does not fit however small its tiles are goes to the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Box, Kind, whole_box
from axbuild.toolchain.kinds.codes import type_of
from axbuild.toolchain.npu.chips.records import ALIGNMENT, OnChip
from axbuild.toolchain.npu.lower.base import Pack
from axbuild.toolchain.npu.lower.registry import pack_of

KIB = 1024


def aligned(size: int) -> int:
    """The bytes that `size` bytes take, at least one unit."""
    return max(1, -(-size // ALIGNMENT)) * ALIGNMENT


@dataclass(frozen=True)
class Standing:
    """A kind and where it stands; inputs, output: ONNX shapes of its activations and of what it makes."""

    kind: Kind
    inputs: tuple[Shape, ...]
    output: Shape


@dataclass(frozen=True)
class Packed:
    """pack: the constants of a kind, None where it has none; block: output channels that are packed together; unit:
    rows of the pack that are loaded together at least, all of them where every job reads all; far: whether nothing is
    loaded, and jobs read the rows that they need where these lie, off chip."""

    pack: Pack | None
    block: int
    unit: int = 0
    far: bool = False

    @property
    def piece_bytes(self) -> int:
        """Of the smallest piece in which the constants can be loaded."""
        return self.unit * self.pack.row_bytes if self.pack and not self.far else 0


def packed(at: Standing, memory: OnChip) -> Packed:
    """As many channels to a block as the chip makes at once; fewer where reductions are so deep that these do not
    fit."""
    rank, block = len(at.output), memory.lanes
    pack = pack_of(at.kind, block, rank)
    while pack and pack.step > 1 and pack.row_bytes > memory.param_bytes:
        block //= 2
        pack = pack_of(at.kind, block, rank)
    if pack is None:
        return Packed(None, block)
    rows, first = pack.data.shape[0], pack.axes[0]
    unit = at.kind.grain(first, block, *at.inputs) // pack.step if first >= 0 else rows
    return Packed(pack, block, min(unit, rows), pack.by_index and _mostly_unread(pack, at, memory))


def _mostly_unread(pack: Pack, at: Standing, memory: OnChip) -> bool:
    """Whether what is read by index is fewer bytes than the whole, or the whole too much for one piece."""
    read = whole_box(at.output).elements * pack.data.itemsize
    return pack.data.nbytes > min(read, memory.piece_bytes)


def shortage(at: Standing, memory: OnChip) -> str:
    """What a kind needs on chip, and what there is, where that is less: "5120 KiB on chip for .."; "" where it fits."""
    constants = packed(at, memory)
    tile = _smallest_tile(at, constants.block)
    boxes, edges = (*at.kind.input_boxes(tile, *at.inputs), tile), (*at.kind.reads, at.kind.writes)
    needed = sum(box.elements * type_of(edge).bytes + ALIGNMENT for box, edge in zip(boxes, edges, strict=True))
    for size, what, room, use in (
        (needed, "its smallest tile", memory.tile_bytes, "tiles"),
        (constants.piece_bytes, "the smallest piece of its constants", memory.param_bytes, "constants"),
    ):
        if size > room:
            least = f"{-(-size // KIB)} KiB on chip for {what}"
            return f"{least}, where {memory.npu_mode} has {room // KIB} KiB for {use}"
    return ""


def _smallest_tile(at: Standing, block: int) -> Box:
    """In the middle of the output, where no padding shortens what it reads."""
    ranges = list(whole_box(at.output).ranges)
    for axis in at.kind.tile_axes(*at.inputs):
        size, unit = ranges[axis][1], at.kind.grain(axis, block, *at.inputs)
        start = size // 2 // unit * unit
        ranges[axis] = (start, min(start + unit, size))
    return Box(tuple(ranges))
