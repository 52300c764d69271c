"""Jobs before they have an engine and a start: what `emit` writes in issue order, with every hazard as a dependency.

Executing the jobs in issue order is the meaning of the program; two jobs may run in any order, or at once, exactly
when no path of dependencies joins them. So each new job depends on all earlier jobs that touched its bytes, except
that readers do not wait for readers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from axbuild.toolchain.kinds.base import Box
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

    engine_classes: who may run it; cycles: on one engine, without operator overhead; ddr_bytes: through the DDR queue.
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


@dataclass(frozen=True)
class Access:
    """Bytes that a job touches: a part of a storage."""

    storage: Storage
    part: Part

    def operand(self) -> Operand:
        return self.storage.operand(self.part)


@dataclass(frozen=True)
class _Touch:
    begin: int
    end: int
    storage: Storage
    box: Box
    job: int
    write: bool

    def meets(self, other: _Touch) -> bool:
        """Whether the two share a byte; parts of different storages are judged by their extent alone."""
        if self.begin >= other.end or other.begin >= self.end:
            return False
        if self.storage is not other.storage:
            return True
        pairs = zip(self.box.ranges, other.box.ranges, strict=True)
        return all(a < d and c < b for (a, b), (c, d) in pairs)


class Hazards:
    """Who touched which bytes of the writable memories; also knows which jobs precede which."""

    def __init__(self) -> None:
        self.touches: dict[str, list[_Touch]] = {}
        self.ancestors: list[int] = []
        """for each job a bit set of the jobs that must end before it starts"""

    def add(self, reads: list[Access], writes: list[Access]) -> tuple[int, ...]:
        """The dependencies of the next job, without those that others imply."""
        job = len(self.ancestors)
        found: set[int] = set()
        new = [self._touch(a, job, False) for a in reads if a.storage.blob < 0]
        new += [self._touch(a, job, True) for a in writes]
        for touch in new:
            earlier = self.touches.setdefault(touch.storage.region, [])
            found |= {e.job for e in earlier if (touch.write or e.write) and e.meets(touch)}
        for touch in new:
            self._keep(touch)
        return self._reduce(found)

    @staticmethod
    def _touch(access: Access, job: int, write: bool) -> _Touch:
        operand = access.operand()
        return _Touch(operand.begin, operand.end, access.storage, access.part.box, job, write)

    def _keep(self, touch: _Touch) -> None:
        """A write that fills its whole extent hides what lies under it: whoever comes later waits for the writer."""
        earlier = self.touches[touch.storage.region]
        size = touch.box.elements * ITEM_BYTES[touch.storage.dtype]
        if touch.write and size == touch.end - touch.begin:
            earlier[:] = [e for e in earlier if e.begin < touch.begin or e.end > touch.end or e.job == touch.job]
        earlier.append(touch)

    def _reduce(self, found: set[int]) -> tuple[int, ...]:
        covered, kept = 0, []
        for job in sorted(found, reverse=True):
            if not covered >> job & 1:
                kept.append(job)
                covered |= self.ancestors[job] | 1 << job
        self.ancestors.append(covered)
        return tuple(reversed(kept))
