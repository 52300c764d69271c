"""Outputs of targets that are gone: renamed or removed from their BUILD file, or with their whole package."""

from __future__ import annotations

from axbuild.engine.run.claims import claimants
from axbuild.workspace.label import split
from axbuild.workspace.workspace import Workspace


def stale(workspace: Workspace) -> list[str]:
    """Labels with files in the output folder and no target behind them; where a BUILD file cannot be read, none of
    its own."""
    return [label for label in claimants(workspace.root) if _is_gone(workspace, label)]


def _is_gone(workspace: Workspace, label: str) -> bool:
    package, name = split(label)
    if not workspace.packages.exists(package):
        return True
    found = workspace.packages.read(package)
    return found.whole and name not in found.targets and name not in found.broken
