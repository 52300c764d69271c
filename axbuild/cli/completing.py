"""Labels for the shell's completion: packages below what is typed, then the targets of one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from axbuild.errors import AxError
from axbuild.graph.targets import survey
from axbuild.workspace.workspace import Workspace


def labels(start: Path, typed: str) -> list[str]:
    """What `typed` may become; nothing where the workspace cannot be read (a completion reports no errors)."""
    try:
        workspace = Workspace.find(start)
        found = _labels(workspace, typed, workspace.package_of(start))
        return sorted({label for label in found if label.startswith(typed)})
    except AxError:
        return []


def _labels(workspace: Workspace, typed: str, package: str) -> Iterator[str]:
    if ":" in typed:
        owner = typed.partition(":")[0]
        for label in survey(workspace, [f"{owner}:all"], package).requested:
            yield f"{owner}:{label.rpartition(':')[2]}"
    elif typed.startswith("//") or not typed:
        for name in workspace.packages.below(""):
            yield f"//{name}"
            yield f"//{name}:"
