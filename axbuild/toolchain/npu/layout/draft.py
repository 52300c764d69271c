"""Jobs before they have an engine and a start, and the bytes that they touch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from axbuild.toolchain.npu.lower.base import Part
from axbuild.toolchain.npu.program.form import ITEM_BYTES, AttrValue, Operand


@dataclass(frozen=True)
class Storage:
    """Bytes that hold a box of a tensor: the element at coordinates `origin` lies at byte `begin` of the region."""

    tensor: str
    region: str
    begin: int
    strides: tuple[int, ...]
    dtype: str
    origin: tuple[int, ...]
    blob: int = -1

    def operand(self, part: Part) -> Operand:
        ranges = part.box.ranges
        steps = zip(ranges, self.origin, self.strides, strict=True)
        begin = self.begin + sum((start - origin) * stride for (start, _), origin, stride in steps)
        shape = part.box.shape
        order = part.order or range(len(shape))
        return Operand(
            self.tensor,
            self.region,
            begin,
            tuple(shape[axis] for axis in order),
            tuple(self.strides[axis] for axis in order),
            self.dtype,
            self.blob,
        )


def packed_strides(shape: tuple[int, ...], dtype: str) -> tuple[int, ...]:
    """Byte strides of a C-contiguous array."""
    strides, step = [], ITEM_BYTES[dtype]
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


@dataclass
class Draft:
    """A job without a schedule. position: number of the operator it serves, which is its urgency.

    engine_classes: who may run it; cycles: on one engine, without operator overhead; ddr_bytes: through the DDR queue;
    copies: whether it only copies, for which no engine is set up.
    """

    index: int
    label: str
    op: str
    position: int
    engine_classes: tuple[str, ...]
    kind: str
    kernel: str
    cname: str
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    deps: tuple[int, ...]
    cycles: float
    ddr_bytes: int
    attr: dict[str, AttrValue] = field(default_factory=dict)
    copies: bool = False


@dataclass(frozen=True)
class Access:
    """Bytes that a job touches: a part of a storage."""

    storage: Storage
    part: Part

    @cached_property
    def operand(self) -> Operand:
        return self.storage.operand(self.part)

    @property
    def extent(self) -> tuple[int, int]:
        """First byte, and one past the last."""
        return self.operand.begin, self.operand.end
