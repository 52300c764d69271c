"""How far each tensor of a chain is made, and from where on it is still needed, when band after band runs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from axbuild.toolchain.kinds.base import ceil_div
from axbuild.toolchain.npu.layout.task import Task


@dataclass(frozen=True)
class Track:
    """For each band, positions along the chain's axis: upto: one past the last that is there when the band has run;
    low: the first that this band or a later one reads."""

    upto: tuple[int, ...]
    low: tuple[int, ...]

    @property
    def extent(self) -> int:
        """Positions that are needed at once, at most."""
        return max(upto - low for upto, low in zip(self.upto, self.low, strict=True))

    @property
    def slides(self) -> bool:
        """Whether a window of just this extent can move on: what is kept never overlaps the place that it goes to."""
        first = done = 0
        for low, upto in zip(self.low, self.upto, strict=True):
            if upto - first > self.extent:
                if done - low > low - first:
                    return False
                first = low
            done = upto
        return True

    def with_reader(self, other: Track) -> Track:
        """Of a tensor that both read."""
        return Track(tuple(map(max, self.upto, other.upto)), tuple(map(min, self.low, other.low)))

    def gapless(self) -> Track:
        """With what a stride skips: it is made like the rest, and so needs a place."""
        return Track(self.upto, tuple(map(min, self.low, (0, *self.upto[:-1]))))


def tracks(tasks: list[Task], axis: int, count: int) -> dict[str, Track]:
    """A track for each tensor that the tasks touch and that has such an axis; the last output grows evenly in `count`
    bands, everything else as its readers need it."""
    found: dict[str, Track] = {}
    for task in reversed(tasks):
        name, size = task.op.output, task.whole.shape[axis]
        wanted = found[name].upto if name in found else tuple(size * (k + 1) // count for k in range(count))
        unit = task.cutter.grain(axis)
        upto = (*(min(size, ceil_div(at, unit) * unit) for at in wanted[:-1]), size)
        found[name] = Track(upto, found[name].low if name in found else (0, *upto[:-1]))
        for number, source in enumerate(task.op.inputs):
            if len(task.geometry.inputs[number]) > axis:
                needed = _needed(task, number, axis, upto)
                found[source] = needed.with_reader(found[source]) if source in found else needed
    return {name: track.gapless() for name, track in found.items()}


def _needed(task: Task, number: int, axis: int, upto: tuple[int, ...]) -> Track:
    """The track of an input that one reader asks for."""
    done = (0, *upto[:-1])
    ends = [_range(task, number, axis, 0, at)[1] for at in upto]
    size = task.whole.shape[axis]
    lows = [_range(task, number, axis, at, size)[0] if at < size else ends[-1] for at in done]
    return Track(tuple(accumulate(ends, max)), tuple(lows))


def _range(task: Task, number: int, axis: int, start: int, stop: int) -> tuple[int, int]:
    """What of an input the positions start..stop of the output need."""
    box = task.whole.along(axis, start, stop)
    return task.op.kind.input_boxes(box, *task.geometry.inputs)[number].ranges[axis]
