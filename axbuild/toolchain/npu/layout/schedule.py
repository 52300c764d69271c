"""Engines and start cycles for drafted jobs: list scheduling, the cost model of the reference NPU.

An engine takes the most urgent job that is ready: of the earliest operator, or with the longest way behind it
(`by_path`), then in the order of issue. The first job of an operator on an engine also pays for setting the engine up,
so that a finer tiling pays no more and no less. What moves through the DDR occupies its mover, and
one queue that all movers share.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from axbuild.toolchain.npu.chips.preset import Chip, Engine
from axbuild.toolchain.npu.layout.draft import Draft
from axbuild.toolchain.npu.program.form import Job


@dataclass(frozen=True)
class Slot:
    """engine: where a job runs; start, duration: cycles."""

    engine: str
    start: int
    duration: int


class Scheduler:
    def __init__(self, drafts: list[Draft], chip: Chip, by_path: bool = False) -> None:
        self.drafts = drafts
        self.urgency = _paths(drafts, chip) if by_path else [draft.position for draft in drafts]
        self.chip = chip
        self.free = list(chip.engines)
        self.ready: dict[str, list[tuple[float, int]]] = {engine.engine_class: [] for engine in chip.engines}
        self.waiting = [len(draft.deps) for draft in drafts]
        self.followers: list[list[int]] = [[] for _ in drafts]
        self.set_up: set[tuple[int, str]] = set()
        self.ddr_free = 0.0
        self.slots: list[Slot | None] = [None] * len(drafts)
        self.running: list[tuple[int, int, Engine]] = []

    def run(self) -> list[Slot]:
        """A slot for each draft, in the drafts' order."""
        for draft in self.drafts:
            for dep in draft.deps:
                self.followers[dep].append(draft.index)
            if not draft.deps:
                self._offer(draft)
        self._start_all(0)
        while self.running:
            now = self.running[0][0]
            while self.running and self.running[0][0] == now:
                _, index, engine = heapq.heappop(self.running)
                self._finish(index, engine)
            self._start_all(now)
        return [slot for slot in self.slots if slot is not None]

    def _offer(self, draft: Draft) -> None:
        for engine_class in draft.engine_classes:
            heapq.heappush(self.ready[engine_class], (self.urgency[draft.index], draft.index))

    def _finish(self, index: int, engine: Engine) -> None:
        self.free.append(engine)
        for follower in self.followers[index]:
            self.waiting[follower] -= 1
            if not self.waiting[follower]:
                self._offer(self.drafts[follower])

    def _start_all(self, now: int) -> None:
        busy = []
        for engine in sorted(self.free, key=lambda e: int(e.name[len(e.engine_class) :])):
            index = self._next(engine.engine_class)
            if index is None:
                busy.append(engine)
            else:
                self._start(index, engine, now)
        self.free = busy

    def _next(self, engine_class: str) -> int | None:
        """The most urgent ready job of a class; one that another class took meanwhile is dropped."""
        heap = self.ready[engine_class]
        while heap:
            _, index = heapq.heappop(heap)
            if self.slots[index] is None:
                return index
        return None

    def _start(self, index: int, engine: Engine, now: int) -> None:
        draft = self.drafts[index]
        end = now + draft.cycles
        if draft.ddr_bytes:
            self.ddr_free = max(self.ddr_free, now) + draft.ddr_bytes / self.chip.ddr_bytes
            end = max(end, self.ddr_free)
        if not draft.copies and (draft.position, engine.name) not in self.set_up:
            self.set_up.add((draft.position, engine.name))
            end += self.chip.op_overhead
        duration = max(1, math.ceil(end - now))
        self.slots[index] = Slot(engine.name, now, duration)
        heapq.heappush(self.running, (now + duration, index, engine))


def _paths(drafts: list[Draft], chip: Chip) -> list[float]:
    """For each draft the cycles from its start to the end of all that waits for it, negative: the longest is first."""
    behind = [0.0] * len(drafts)
    for draft in reversed(drafts):
        moving = draft.ddr_bytes / min(chip.rates.mover_bytes, chip.ddr_bytes)
        behind[draft.index] += max(draft.cycles, moving)
        for dep in draft.deps:
            behind[dep] = max(behind[dep], behind[draft.index])
    return [-cycles for cycles in behind]


def jobs_of(drafts: list[Draft], slots: list[Slot]) -> tuple[Job, ...]:
    """Scheduled drafts as jobs of a program, in issue order."""
    return tuple(
        Job(
            index=draft.index,
            label=draft.label,
            op=draft.op,
            engine=slot.engine,
            kind=draft.kind,
            kernel=draft.kernel,
            cname=draft.cname,
            inputs=draft.inputs,
            outputs=draft.outputs,
            deps=draft.deps,
            start=slot.start,
            duration=slot.duration,
            attr=draft.attr,
        )
        for draft, slot in zip(drafts, slots, strict=True)
    )
