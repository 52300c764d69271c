"""Which target declares a file as a source of its own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.workspace.artifact import SourceFiles
from axbuild.workspace.attributes import Companions
from axbuild.workspace.packages import Target
from axbuild.workspace.sources import find_sources
from axbuild.workspace.workspace import Workspace


def declarer(file: Path) -> str:
    """The label of a target with this file among its sources, or "". Only the package around it is read: a file belongs
    to the nearest. What is wrong there is the build's to tell."""
    with suppress(AxError):
        workspace = Workspace.find(file.parent)
        package = workspace.package_of(file.parent)
        while package and not workspace.packages.exists(package):
            package = package.rpartition("/")[0]
        if workspace.packages.exists(package):
            for target in workspace.packages.read(package).targets.values():
                if any(path.samefile(file) for path in _Sources(workspace, target).paths):
                    return target.label
    return ""


class _Sources:
    """Takes attributes as their layout does, and keeps the paths."""

    def __init__(self, workspace: Workspace, target: Target) -> None:
        self.paths: list[Path] = []
        self._workspace, self._package = workspace, target.package
        for name, attribute in workspace.rules.rules[target.rule].attributes.items():
            with suppress(AxError):
                attribute.settle(target.values.get(name, attribute.default), self)

    def provider(self, label: str, types: tuple[type, ...]) -> Any:
        return None

    def sources(self, items: list[str], one_file: bool, companions: Companions | None) -> SourceFiles:
        """Without what belongs to a file, as weights beside a model: that looks like no report, and to find it means
        reading the model."""
        workspace, paths = self._workspace, [item for item in items if not item.startswith("//")]
        if not paths:
            return SourceFiles(())
        found = find_sources(workspace.disk, workspace.ignore, self._package, paths, one_file, None)
        self.paths += [workspace.root / path for _, path in found.files]
        return found
