"""Labels for the shell's completion: packages below what is typed, then the targets of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from axbuild.errors import AxError
from axbuild.graph.targets import load
from axbuild.workspace.workspace import Workspace


def labels(start: Path, typed: str) -> list[str]:
    """What `typed` may become; nothing where the workspace cannot be read (a completion reports no errors)."""
    try:
        workspace = Workspace.find(start)
        return sorted(set(_labels(workspace, typed, workspace.package_of(start))))
    except AxError:
        return []


def _labels(workspace: Workspace, typed: str, package: str) -> Iterator[str]:
    if ":" in typed:
        owner = typed.partition(":")[0]
        for label in load(workspace, [f"{owner}:all"], package).requested:
            yield f"{owner}:{label.rpartition(':')[2]}"
    elif typed.startswith("//") or not typed:
        for name in workspace.packages.below(""):
            text = f"//{name}"
            if text.startswith(typed):
                yield text
                yield f"{text}:"
