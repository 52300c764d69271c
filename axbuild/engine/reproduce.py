"""Building twice: the same request in a store of its own, in another order and number of jobs, every byte compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from axbuild.dataclass import dataclass, replace
from axbuild.engine.build import Report, Request, build
from axbuild.engine.records.events import ActionFinished, Listener
from axbuild.errors import AxError
from axbuild.store.result import files_of
from axbuild.workspace.artifact import ActionId


class NotReproducible(AxError):
    code = "AX509"

    def __init__(self, differences: list[OtherBytes]) -> None:
        first, more = differences[0], len(differences) - 1
        super().__init__(
            f"{first.label} {first.action} gave other bytes when built again: {first.output}, "
            f"{first.first[:12]} and then {first.second[:12]}" + (f" (and {more} more files)" if more else ""),
            hint="a stage must depend on its inputs only: no clock, no random seed, no order of a set or a folder",
        )


@dataclass(frozen=True)
class OtherBytes:
    """One output whose bytes differ although its action had the same key both times."""

    label: str
    action: str
    output: str
    first: str
    second: str


@dataclass(frozen=True)
class Comparison:
    """Actions compared, files among them, and what differs; `again` is the second build. external: actions that are
    not compared, since a tool outside axbuild made their bytes."""

    actions: int
    files: int
    differences: list[OtherBytes]
    again: Report
    external: list[ActionId]


def build_again(request: Request, first: Report, *listeners: Listener) -> Comparison:
    """Build `request` from nothing and compare with `first`. The first build's own results are not touched."""
    jobs = 1 if request.overrides.get("build.jobs", 2) != 1 else 2
    with tempfile.TemporaryDirectory(prefix="axbuild-again-") as folder:
        overrides = {**request.overrides, "build.jobs": jobs}
        again = build(replace(request, overrides=overrides, reverse=True, cache_dir=Path(folder)), *listeners)
    return compare(first.actions, again, first.external)


def compare(
    first: Mapping[ActionId, ActionFinished], again: Report, external: frozenset[ActionId] = frozenset()
) -> Comparison:
    """Actions of equal keys must have equal outputs; an action whose inputs differ already is not blamed for it."""
    differences: list[OtherBytes] = []
    actions = files = 0
    for id_, one in first.items():
        other = again.actions.get(id_)
        if id_ in external or other is None or other.key != one.key or other.status == "failed":
            continue
        actions += 1
        before, after = dict(files_of(one.outputs)), dict(files_of(other.outputs))
        for name in sorted(before.keys() | after.keys()):
            files += 1
            if before.get(name) != after.get(name):
                differences.append(OtherBytes(*id_, name, before.get(name, "nothing"), after.get(name, "nothing")))
    return Comparison(actions, files, differences, again, sorted(external))
