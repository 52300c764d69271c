"""Actions: what a rule laid out, ready for the engine; nothing here runs or reads a file."""

from __future__ import annotations

from typing import Any

from axbuild.dataclass import dataclass, field
from axbuild.workspace.artifact import ActionId, Artifact
from axbuild.workspace.stage import Stage


@dataclass(frozen=True)
class Action:
    """One run of a stage. `inputs` maps a role (the stage's argument name) to an artifact, or to a list of them.

    preflight: no consumer; runs before every action that no preflight needs, so that errors come early.
    device: "cpu" or "cuda:N", where its stage computes, if that takes a device: the kind alone is in the key.
    """

    id: ActionId
    stage: Stage
    params: dict[str, Any] = field(hash=False)
    inputs: dict[str, Artifact | tuple[Artifact, ...]] = field(hash=False)
    preflight: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class TargetActions:
    """Everything a target contributes to the action graph."""

    label: str
    rule: str
    actions: tuple[Action, ...]
    outputs: dict[str, Artifact] = field(hash=False)
    """path under axbuild-out/<package>/<target>/ -> artifact"""
    verdicts: tuple[Artifact, ...] = ()
    provider: Any = None
    looked: frozenset[str] = frozenset()
    """folders and files that laying it out looked at, from the workspace's root"""
