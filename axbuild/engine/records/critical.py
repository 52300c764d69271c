"""The critical path: of the actions that ran, the chain of needs that took longest.

It is what bounds the build however many workers there are; the difference to the build's own time is what more of
them could save. Reused actions stand on the way with no time of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from axbuild.engine.records.events import ActionFinished
from axbuild.workspace.artifact import ActionId


def critical_path(
    actions: Mapping[ActionId, ActionFinished], needs: Callable[[ActionId], Iterable[ActionId]]
) -> tuple[dict[str, Any], ...]:
    """What ran on the longest chain, first to last; `needs` gives what an action directly waits for."""
    ran = {id_: event.seconds for id_, event in actions.items() if event.status in ("executed", "failed")}
    best: dict[ActionId, tuple[float, ActionId | None]] = {}
    for root in ran:
        _longest(root, ran, needs, best)
    at: ActionId | None = max(ran, key=lambda id_: best[id_][0], default=None)
    chain: list[dict[str, Any]] = []
    while at is not None:
        if at in ran:
            chain.append({"label": at[0], "action": at[1], "seconds": round(ran[at], 3)})
        at = best[at][1]
    return tuple(reversed(chain))


def _longest(
    root: ActionId,
    ran: Mapping[ActionId, float],
    needs: Callable[[ActionId], Iterable[ActionId]],
    best: dict[ActionId, tuple[float, ActionId | None]],
) -> None:
    """Fill `best`: action -> seconds of the longest chain that ends with it, and the link before it."""
    waits: dict[ActionId, tuple[ActionId, ...]] = {}
    stack = [root]
    while stack:
        id_ = stack[-1]
        if id_ in best:
            stack.pop()
        elif id_ not in waits:
            waits[id_] = tuple(needs(id_))
            stack += [other for other in waits[id_] if other not in best and other not in waits]
        else:
            stack.pop()
            before = max(
                (other for other in waits[id_] if other in best), key=lambda other: best[other][0], default=None
            )
            seconds = best[before][0] if before else 0.0
            best[id_] = (seconds + ran.get(id_, 0.0), before if seconds else None)
