"""Counted resources: what an action holds while it runs, out of what the build may use at once."""

from __future__ import annotations

import os
from collections.abc import Mapping

from axbuild.dataclass import dataclass, field
from axbuild.engine.workers.local import StageBounds
from axbuild.errors import AxError
from axbuild.workspace.settings import Settings


class NoSuchResource(AxError):
    code = "AX503"

    def __init__(self, label: str, stage: str, name: str, need: int) -> None:
        super().__init__(
            f"{label}: stage '{stage}' needs {need} {name}, and this machine offers none",
            hint=f"set `{name}` under [resources] in axbuild.toml, or build where there is one",
        )


@dataclass
class Pool:
    """Total and used counts; `each` is what every action holds.

    A need above the total is cut to it: such an action runs with nothing beside it.
    """

    total: dict[str, int]
    each: dict[str, int] = field(default_factory=lambda: {"cpu": 1})
    used: dict[str, int] = field(default_factory=dict)

    def need_of(self, label: str, stage: str, extra: Mapping[str, int]) -> dict[str, int]:
        need = {**self.each, **extra}
        for name, count in need.items():
            if count and not self.total.get(name):
                raise NoSuchResource(label, stage, name, count)
        return {name: min(count, self.total[name]) for name, count in need.items() if count}

    def has_room(self) -> bool:
        """Whether an action without needs of its own would fit."""
        return all(self.used.get(name, 0) + count <= self.total[name] for name, count in self.each.items())

    def take(self, need: Mapping[str, int]) -> bool:
        if any(self.used.get(name, 0) + count > self.total[name] for name, count in need.items()):
            return False
        for name, count in need.items():
            self.used[name] = self.used.get(name, 0) + count
        return True

    def give_back(self, need: Mapping[str, int]) -> None:
        for name, count in need.items():
            self.used[name] -= count


def machine_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_memory_gb() -> int:
    return max(1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30)


def optimize_bounds(settings: Settings) -> StageBounds:
    """What a front end may take before it is stopped."""
    memory_gb = settings.optimize_memory_gb or settings.resources["memory_gb"] or machine_memory_gb()
    return StageBounds(settings.optimize_seconds or None, int(memory_gb * 2**30), "optimize")
