"""Which earlier jobs a new job must wait for.

Executing the jobs in issue order is the meaning of the program; two jobs may run in any order, or at once, exactly
when no path of dependencies joins them. So each new job depends on all earlier jobs that touched its bytes, except
that readers do not wait for readers.

What was touched is kept by place, so that a job looks at its neighbours only, not at all jobs before it: by extent in
bytes for parts of different storages, and by box for parts of one storage, whose extents may interleave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from axbuild.toolchain.npu.layout.draft import Access, Storage
from axbuild.toolchain.npu.layout.spans import Span, Spans
from axbuild.toolchain.npu.program.form import ITEM_BYTES


@dataclass(eq=False)
class _Spot:
    """A box of a storage, its extent in bytes, and the jobs that touched it. A reader or writer that a later one of
    the spot waits for is left out: whoever waits for the later one waits for it too."""

    extent: Span
    ranges: tuple[Span, ...]
    readers: list[int] = field(default_factory=list)
    writers: list[int] = field(default_factory=list)


class _Level:
    """Spots of a storage whose boxes agree along the first axes, by their ranges along the next."""

    def __init__(self) -> None:
        self.below: Spans[_Level] = Spans()
        self.spot: _Spot | None = None

    def reach(self, span: Span) -> _Level:
        """The level below at exactly that range, made if need be."""
        for level in self.below.at(span):
            return level
        level = _Level()
        self.below.put(span, level)
        return level


class _Stored:
    """Everything that was touched of one storage."""

    def __init__(self) -> None:
        self.hull: Span | None = None
        self.extents: Spans[_Spot] = Spans()
        self.boxes = _Level()

    def meeting(self, ranges: tuple[Span, ...]) -> list[_Spot]:
        """The spots that share an element with a box."""
        levels = [self.boxes]
        for start, stop in ranges:
            levels = [below for level in levels for below in level.below.meeting(start, stop)]
        return [level.spot for level in levels if level.spot is not None]

    def spot(self, ranges: tuple[Span, ...], extent: Span) -> _Spot:
        """The spot of exactly that box, made if need be."""
        level = self.boxes
        for span in ranges:
            level = level.reach(span)
        if level.spot is None:
            level.spot = _Spot(extent, ranges)
            self.extents.put(extent, level.spot)
        self.resize(level.spot, extent)
        return level.spot

    def resize(self, spot: _Spot, extent: Span) -> None:
        if spot.extent != extent:
            self.extents.take(spot.extent, spot)
            self.extents.put(extent, spot)
            spot.extent = extent

    def forget(self, spot: _Spot) -> None:
        """Removes a spot and the levels that it leaves empty."""
        self.extents.take(spot.extent, spot)
        path = [self.boxes]
        for span in spot.ranges:
            path.append(path[-1].reach(span))
        path[-1].spot = None
        for (level, below), span in reversed(list(zip(pairwise(path), spot.ranges, strict=True))):
            if below.spot is None and not below.below:
                level.below.take(span, below)


class _Region:
    """Everything that was touched of one memory."""

    def __init__(self) -> None:
        self.stored: dict[int, _Stored] = {}
        """by identity of the storage, which `storages` keeps alive"""
        self.storages: dict[int, Storage] = {}
        self.hulls: Spans[int] = Spans()

    def meeting(self, storage: Storage, ranges: tuple[Span, ...], extent: Span) -> Iterator[_Spot]:
        """The spots that may share a byte; those of other storages are judged by their extent alone."""
        for key in self.hulls.meeting(*extent):
            if key == id(storage):
                yield from self.stored[key].meeting(ranges)
            else:
                yield from self.stored[key].extents.meeting(*extent)

    def spot(self, storage: Storage, ranges: tuple[Span, ...], extent: Span) -> _Spot:
        key = id(storage)
        stored = self.stored.setdefault(key, _Stored())
        self.storages[key] = storage
        hull = (min(extent[0], stored.hull[0]), max(extent[1], stored.hull[1])) if stored.hull else extent
        if hull != stored.hull:
            if stored.hull:
                self.hulls.take(stored.hull, key)
            self.hulls.put(hull, key)
            stored.hull = hull
        return stored.spot(ranges, extent)

    def cover(self, storage: Storage, extent: Span, writer: int) -> None:
        """Forgets what lies inside bytes that job `writer` fills, or that part of it: whoever comes later waits for the
        writer, who waited for all of it."""
        for key in list(self.hulls.meeting(*extent)):
            stored = self.stored[key]
            for spot in list(stored.extents.meeting(*extent)):
                rest = _rest(spot.extent, extent)
                if rest is None:
                    spot.readers = [job for job in spot.readers if job == writer]
                    spot.writers = [job for job in spot.writers if job == writer]
                    if not spot.readers and not spot.writers:
                        stored.forget(spot)
                elif key != id(storage):
                    stored.resize(spot, rest)
            if not stored.extents and stored.hull:
                self.hulls.take(stored.hull, key)
                del self.stored[key], self.storages[key]


def _rest(extent: Span, covered: Span) -> Span | None:
    """What is left of an extent at one end; all of it where both ends are, None where nothing is."""
    (start, stop), (low, high) = extent, covered
    if low <= start:
        return (high, stop) if high < stop else None
    return (start, low) if high >= stop else extent


class Hazards:
    """Who touched which bytes of the writable memories; also knows which jobs precede which."""

    def __init__(self) -> None:
        self.regions: dict[str, _Region] = {}
        self.ancestors: list[int] = []
        """for each job a bit set of the jobs that must end before it starts"""

    def add(self, reads: list[Access], writes: list[Access]) -> tuple[int, ...]:
        """The dependencies of the next job, without those that others imply."""
        reads = [access for access in reads if access.storage.blob < 0]
        found: set[int] = set()
        for access in reads:
            for spot in self._meeting(access):
                found.update(spot.writers)
        for access in writes:
            for spot in self._meeting(access):
                found.update(spot.readers, spot.writers)
        deps = self._reduce(found)
        for access in reads:
            self._keep(self._spot(access).readers)
        for access in writes:
            self._write(access)
        return deps

    def _region(self, access: Access) -> _Region:
        return self.regions.setdefault(access.storage.region, _Region())

    def _meeting(self, access: Access) -> Iterator[_Spot]:
        return self._region(access).meeting(access.storage, access.part.box.ranges, access.extent)

    def _spot(self, access: Access) -> _Spot:
        return self._region(access).spot(access.storage, access.part.box.ranges, access.extent)

    def _write(self, access: Access) -> None:
        start, stop = access.extent
        if access.part.box.elements * ITEM_BYTES[access.storage.dtype] == stop - start:
            self._region(access).cover(access.storage, (start, stop), len(self.ancestors) - 1)
        self._keep(self._spot(access).writers)

    def _keep(self, jobs: list[int]) -> None:
        """Adds the job that was just reduced to those of a spot."""
        job = len(self.ancestors) - 1
        before = self.ancestors[job]
        jobs[:] = [j for j in jobs if not before >> j & 1 and j != job]
        jobs.append(job)

    def _reduce(self, found: Iterable[int]) -> tuple[int, ...]:
        covered, kept = 0, []
        for job in sorted(found, reverse=True):
            if not covered >> job & 1:
                kept.append(job)
                covered |= self.ancestors[job] | 1 << job
        self.ancestors.append(covered)
        return tuple(reversed(kept))
