"""Where time may be won: the operators before whose jobs the busiest engines stand idle."""

from __future__ import annotations

from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.layout.draft import Draft
from axbuild.toolchain.npu.layout.schedule import Slot


def waits(drafts: list[Draft], slots: list[Slot], chip: Chip, count: int) -> list[int]:
    """For each of `count` operators the cycles for which engines of the busiest class wait before its jobs."""
    classes = {engine.name: engine.engine_class for engine in chip.engines}
    work = dict.fromkeys(classes.values(), 0)
    for slot in slots:
        work[classes[slot.engine]] += slot.duration
    busiest = max(work, key=lambda name: work[name] / chip.count(name))
    found, ends = [0] * count, dict.fromkeys(classes, 0)
    for slot, draft in sorted(zip(slots, drafts, strict=True), key=lambda pair: pair[0].start):
        if classes[slot.engine] == busiest:
            found[draft.position] += slot.start - ends[slot.engine]
            ends[slot.engine] = slot.start + slot.duration
    return found
