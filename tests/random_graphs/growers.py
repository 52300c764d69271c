"""Which function makes a random node of which operator. Each module of this package adds its own."""

from __future__ import annotations

from collections.abc import Callable

from random_graphs.pool import Pool

Grower = Callable[[Pool, str], object]
"""(the graph, op_type): adds a node of the operator, in any of its forms; raises UnfitError where it cannot"""
GROWERS: dict[str, Grower] = {}


def grows(*ops: str) -> Callable[[Grower], Grower]:
    def registered(grower: Grower) -> Grower:
        GROWERS.update(dict.fromkeys(ops, grower))
        return grower

    return registered
