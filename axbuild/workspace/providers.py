"""What targets of any kind hand to the targets that depend on them: files, verdicts, tests."""

from __future__ import annotations

from axbuild.dataclass import dataclass
from axbuild.workspace.artifact import Artifact


@dataclass(frozen=True)
class Files:
    """Plain files: a filegroup, or what a workspace's own rule produced."""

    files: Artifact


@dataclass(frozen=True)
class Verdict:
    """`verdict.json` of a check: {"passed", "sentence", ...}; always produced, judged by `build` and `test`."""

    verdict: Artifact


@dataclass(frozen=True)
class Tests:
    """A suite: the labels of targets that have a verdict."""

    __test__ = False
    labels: tuple[str, ...]
