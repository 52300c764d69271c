"""Questions about the target graph: what a target needs, what needs it.

Plain dictionaries: a graph library would cost its import on every query and save a dozen lines.
"""

from __future__ import annotations

from collections.abc import Iterable

from axbuild.graph.targets import expand, load
from axbuild.workspace.label import parse_patterns
from axbuild.workspace.workspace import Workspace


def labels(workspace: Workspace, patterns: Iterable[str], package: str = "") -> tuple[str, ...]:
    """The labels that patterns name; only their own packages are read."""
    found = expand(workspace.packages, parse_patterns(patterns, package))
    workspace.packages.save()
    return found


def deps(workspace: Workspace, patterns: Iterable[str], package: str = "") -> tuple[str, ...]:
    """Those labels and everything they need, what is needed first."""
    return tuple(load(workspace, patterns, package).targets)


def rdeps(
    workspace: Workspace, patterns: Iterable[str], package: str = "", universe: Iterable[str] = ("//...",)
) -> tuple[str, ...]:
    """Those labels and every target of the universe that needs one of them, what is needed first."""
    named = set(labels(workspace, patterns, package))
    graph = load(workspace, universe, package)
    touched: dict[str, None] = {}
    for label, target in graph.targets.items():
        if label in named or any(needed in touched for needed in target.labels):
            touched[label] = None
    missing = named - touched.keys()
    return (*sorted(missing), *touched)
