"""What a rule lays out: actions with named inputs and outputs, files to hand over, verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from axbuild.errors import AxError
from axbuild.graph.actions import Action, TargetActions
from axbuild.workspace.artifact import ActionId, Artifact, Entry, Output, Remote, Result, SourceFiles, Tree
from axbuild.workspace.stage import Stage

_ARTIFACTS = (SourceFiles, Remote, Output, Result, Entry, Tree)


class RuleMistake(AxError):
    """A rule laid out actions that cannot be run."""

    code = "AX206"

    def __init__(self, label: str, sentence: str) -> None:
        super().__init__(f"the rule of {label} {sentence}")


class Outputs:
    """The outputs of one laid-out action, by name; `.result` is the tree of an expansion's result."""

    __slots__ = ("_action", "_stage")

    def __init__(self, action: ActionId, stage: Stage) -> None:
        self._action = action
        self._stage = stage

    def __getitem__(self, name: str) -> Output:
        if name not in self._stage.outputs:
            declared = ", ".join(self._stage.outputs) or "none"
            raise RuleMistake(self._action[0], f"asks {self._stage.ref} for '{name}'; its outputs are: {declared}")
        return Output(self._action, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stage.outputs)

    @property
    def only(self) -> Output:
        if len(self._stage.outputs) != 1:
            count = len(self._stage.outputs)
            raise RuleMistake(self._action[0], f"takes the only output of {self._stage.ref}, which has {count}")
        return Output(self._action, self._stage.outputs[0])

    @property
    def result(self) -> Result:
        if not self._stage.expands:
            raise RuleMistake(self._action[0], f"takes the result of {self._stage.ref}, which does not expand")
        return Result(self._action)


Input = Artifact | Outputs
"""An action's input; `Outputs` stands for its only output."""


class Plan:
    """Collects the actions of one target; passed to `actions(self, t, plan)` of its rule."""

    def __init__(self, label: str, rule: str, dependencies: Mapping[str, TargetActions]) -> None:
        self._label = label
        self._rule = rule
        self._dependencies = dependencies
        self._actions: dict[str, Action] = {}
        self._outputs: dict[str, Artifact] = {}
        self._verdicts: list[Artifact] = []

    def run(
        self,
        stage: Stage,
        *,
        name: str = "",
        params: Any = None,
        preflight: bool = False,
        device: str = "cpu",
        **inputs: Input | Sequence[Input],
    ) -> Outputs:
        """An action that runs `stage`. Each input's keyword is the stage's argument it becomes.

        name: the action's name, unique in the target; the stage's function where none is given.
        params: a dataclass or dict of JSON-able values, the fields of the stage's `params`.
        device: "cpu" or "cuda:N", for a stage that takes one; an expansion hands it on to its children.
        """
        own = name or stage.function
        if own in self._actions:
            raise RuleMistake(self._label, f"lays out two actions called '{own}'")
        action = (self._label, own)
        settled = {role: self._input(role, value) for role, value in inputs.items()}
        try:
            self._actions[own] = Action(action, stage, plain(params) or {}, settled, preflight, device)
        except _NotJson as error:
            raise RuleMistake(self._label, f"passes {error} as a parameter, which JSON cannot hold") from None
        return Outputs(action, stage)

    def expand(
        self,
        stage: Stage,
        *,
        name: str = "",
        params: Any = None,
        device: str = "cpu",
        **inputs: Input | Sequence[Input],
    ) -> Outputs:
        """An action whose stage writes `expansion.json`; `.result` is what its children yield."""
        if not stage.expands:
            raise RuleMistake(self._label, f"expands {stage.ref}, which is not declared with expands=True")
        return self.run(stage, name=name, params=params, preflight=False, device=device, **inputs)

    def preflight(
        self, stage: Stage, *, name: str = "", params: Any = None, **inputs: Input | Sequence[Input]
    ) -> Outputs:
        """An action nobody reads, run before the slow ones so that errors come early."""
        return self.run(stage, name=name, params=params, preflight=True, device="cpu", **inputs)

    def output(self, path: str, artifact: Input) -> None:
        """Hand a file over as axbuild-out/<package>/<target>/<path>; a tree's path ends in "/"."""
        if path in self._outputs:
            raise RuleMistake(self._label, f"hands over two outputs called '{path}'")
        self._outputs[path] = self._artifact(f"output '{path}'", artifact)

    def verdict(self, artifact: Input) -> None:
        """A `verdict.json` that decides whether this target passes."""
        self._verdicts.append(self._artifact("a verdict", artifact))

    def forward(self, label: str) -> None:
        """Hand over what another target (one that this target's attributes name) hands over."""
        other = self._dependencies[label]
        for path, artifact in other.outputs.items():
            self.output(path, artifact)
        self._verdicts.extend(other.verdicts)

    def finished(self, provider: Any, looked: Iterable[str] = ()) -> TargetActions:
        """Everything laid out, for the engine."""
        actions, verdicts = tuple(self._actions.values()), tuple(self._verdicts)
        return TargetActions(self._label, self._rule, actions, self._outputs, verdicts, provider, frozenset(looked))

    def _input(self, role: str, value: Input | Sequence[Input]) -> Artifact | tuple[Artifact, ...]:
        if isinstance(value, list | tuple):
            return tuple(self._artifact(f"input '{role}'", item) for item in value)
        return self._artifact(f"input '{role}'", value)

    def _artifact(self, what: str, value: Any) -> Artifact:
        if isinstance(value, Outputs):
            return value.only
        if isinstance(value, _ARTIFACTS):
            return value
        raise RuleMistake(self._label, f"passes {type(value).__name__} as {what}, which is no artifact")


class _NotJson(Exception):
    pass


def plain(value: Any) -> Any:
    """Parameters as JSON values: dataclasses, records and dicts become dicts, tuples become lists."""
    if hasattr(type(value), "__dataclass_fields__"):
        from dataclasses import fields  # which takes 7 ms, and many a layout has none of them

        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "as_dict"):
        return {key: plain(item) for key, item in value.as_dict().items()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise _NotJson(str(value) if isinstance(value, float) else type(value).__name__)
