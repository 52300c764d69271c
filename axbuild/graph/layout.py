"""Targets -> actions: settle each target's attributes and let its rule lay out."""

from __future__ import annotations

from axbuild.graph.actions import TargetActions
from axbuild.graph.targets import TargetGraph


def lay_out(graph: TargetGraph) -> list[TargetActions]:
    """The actions of every target of the graph, dependencies first; reads attributes and providers only."""
    raise NotImplementedError
