"""`expansion.json`: actions that are known only once another has run. Read once, checked, turned into actions.

```
{"children": [{"name": "compile_0_b1", "stage": "package.module:function", "params": {...},
               "inputs": {"subgraph": "input:partition/subgraph_npu_0.onnx"}}],
 "result": {"subgraph_npu_0/b1/program.msgpack": "child:compile_0_b1/program.msgpack"}}
```
A reference is `input:<role>`, `output:<name>` (the expansion's own output), `child:<name>/<declared output>` or, for a
child that expands itself, `child:<name>` (its whole result); of a tree it may take one file (`input:partition/a.onnx`)
or, with a "/" at its end, one folder (`input:partition/a/`), of which alone the child then depends. Of an input that is
a list, `input:samples.0000` is the first, as a stage's folder calls it. An input may be a list of references. A name in
the result that ends in "/" is a folder's, which a rule may ask for by itself. Children are named below their parent
(`split/compile_0_b1`), so that names stay unique in a target.
The file comes from a stage, which may be a user's own: it can name only stages that loaded rules declare, only the
expansion's own inputs, outputs and children, and only names that stay inside a folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.errors import AxError
from axbuild.graph.actions import Action
from axbuild.store.names import is_inside
from axbuild.workspace.artifact import ActionId, Artifact, Entry, Output, Result, Tree, is_tree
from axbuild.workspace.stage import Stage

FILE = "expansion.json"


class BadExpansion(AxError):
    code = "AX502"

    def __init__(self, action: Action, what: str) -> None:
        label, name = action.id
        super().__init__(f"{label}: {FILE} of '{name}' ({action.stage.ref}) is not valid: {what}")


@dataclass(frozen=True)
class Expansion:
    children: tuple[Action, ...]
    result: dict[str, Artifact]


def read_expansion(parent: Action, data: bytes, stages: Mapping[str, Stage]) -> Expansion:
    """The checked children of `parent` (its inputs and label become theirs where they ask for them)."""
    return _ExpansionReader(parent, stages).read(data)


class _ExpansionReader:
    def __init__(self, parent: Action, stages: Mapping[str, Stage]) -> None:
        self._parent = parent
        self._stages = stages
        self._child_stages: dict[str, Stage] = {}

    def read(self, data: bytes) -> Expansion:
        record = self._json(data)
        children = self._field(record, "children", list)
        for child in children:
            self._declare(child)
        actions = tuple(self._action(child) for child in children)
        self._refuse_circles(actions)
        result = {self._inside(name): self._reference(ref) for name, ref in self._field(record, "result", dict).items()}
        if odd := [name for name, artifact in result.items() if name.endswith("/") and not is_tree(artifact)]:
            raise self._bad(f"'{odd[0]}' in the result is a folder's name, and a file stands there")
        return Expansion(actions, result)

    def _bad(self, what: str) -> BadExpansion:
        return BadExpansion(self._parent, what)

    def _json(self, data: bytes) -> dict[str, Any]:
        try:
            record = json.loads(data, parse_constant=_refuse_constant)
        except ValueError as error:
            raise self._bad(f"no JSON: {error}") from None
        if not isinstance(record, dict):
            raise self._bad("not an object")
        return record

    def _field(self, record: dict[str, Any], name: str, kind: type) -> Any:
        value = record.get(name)
        if not isinstance(value, kind):
            raise self._bad(f"'{name}' must be {'an object' if kind is dict else f'a {kind.__name__}'}")
        return value

    def _declare(self, child: Any) -> None:
        if not isinstance(child, dict) or child.keys() != {"name", "stage", "params", "inputs"}:
            raise self._bad("a child has exactly the fields name, stage, params and inputs")
        name = self._safe(child["name"])
        if "/" in name:
            raise self._bad(f"the child name '{name}' holds a '/'")
        if name in self._child_stages:
            raise self._bad(f"two children are called '{name}'")
        stage = self._stages.get(child["stage"]) if isinstance(child["stage"], str) else None
        if stage is None:
            raise self._bad(f"no loaded rule declares the stage {child['stage']!r} of child '{name}'")
        self._child_stages[name] = stage

    def _action(self, child: dict[str, Any]) -> Action:
        inputs: dict[str, Artifact | tuple[Artifact, ...]] = {}
        for role, ref in self._field(child, "inputs", dict).items():
            if not role.isidentifier():
                raise self._bad(f"the role '{role}' of child '{child['name']}' is no argument name")
            inputs[role] = self._references(ref)
        stage = self._child_stages[child["name"]]
        return Action(
            self._id(child["name"]), stage, self._field(child, "params", dict), inputs, device=self._parent.device
        )

    def _id(self, child: str) -> tuple[str, str]:
        label, name = self._parent.id
        return label, f"{name}/{child}"

    def _references(self, ref: Any) -> Artifact | tuple[Artifact, ...]:
        if isinstance(ref, list):
            return tuple(self._reference(item) for item in ref)
        if isinstance(ref, str) and ref.startswith("input:"):
            role = ref.removeprefix("input:")
            artifact = self._parent.inputs.get(role)
            if isinstance(artifact, tuple):
                return artifact
        return self._reference(ref)

    def _reference(self, ref: Any) -> Artifact:
        kind, _, rest = ref.partition(":") if isinstance(ref, str) else ("", "", "")
        first, _, name = rest.partition("/")
        if kind == "input":
            return self._input(ref, first, name)
        if kind == "output":
            return self._output(ref, self._parent.id, self._parent.stage, rest)
        if kind == "child":
            return self._child(ref, first, name)
        raise self._bad(f"{ref!r} is neither input:<role>, output:<name> nor child:<name>/<output>")

    def _input(self, ref: str, role: str, name: str) -> Artifact:
        artifact = self._parent.inputs.get(role) or self._member(role)
        if artifact is None:
            raise self._bad(f"'{ref}': the expansion has no input '{role}'")
        if isinstance(artifact, tuple):
            raise self._bad(f"'{ref}': the input '{role}' is a list")
        if not name:
            return artifact
        if not is_tree(artifact):
            raise self._bad(f"'{ref}': the input '{role}' is a single file")
        return Entry(artifact, self._inside(name))

    def _member(self, name: str) -> Artifact | None:
        """One of an input that is a list."""
        role, _, number = name.partition(".")
        members = self._parent.inputs.get(role)
        known = isinstance(members, tuple) and number.isdecimal() and int(number) < len(members)
        return members[int(number)] if known and isinstance(members, tuple) else None

    def _child(self, ref: str, child: str, name: str) -> Artifact:
        stage = self._child_stages.get(child)
        if stage is None:
            raise self._bad(f"'{ref}': there is no child '{child}'")
        action = self._id(child)
        if stage.expands and name not in stage.outputs:
            return Entry(Result(action), self._inside(name)) if name else Result(action)
        return self._output(ref, action, stage, name)

    def _output(self, ref: str, action: ActionId, stage: Stage, name: str) -> Artifact:
        if name in stage.outputs:
            return Output(action, name)
        folder = next((out for out in stage.outputs if out.endswith("/") and name.startswith(out)), None)
        if folder and name != folder:
            return Entry(Output(action, folder), self._inside(name.removeprefix(folder)))
        raise self._bad(f"'{ref}': stage '{stage.function}' has no output '{name}'")

    def _inside(self, name: str) -> str:
        """The name of a file of a tree or, with "/" at its end, of a folder."""
        self._safe(name.removesuffix("/") if isinstance(name, str) else name)
        return name

    def _safe(self, name: Any) -> str:
        """A relative path that stays where it is put."""
        if not is_inside(name):
            raise self._bad(f"the name {name!r} is no path inside a folder")
        return str(name)

    def _refuse_circles(self, actions: tuple[Action, ...]) -> None:
        needs = {action.id: {need for ref in action.inputs.values() for need in _actions_of(ref)} for action in actions}
        settled: set[tuple[str, str]] = set()
        while len(settled) < len(needs):
            free = {id_ for id_, need in needs.items() if id_ not in settled and not (need & needs.keys()) - settled}
            if not free:
                left = sorted(name for _, name in needs.keys() - settled)
                raise self._bad(f"these children wait for each other: {', '.join(left)}")
            settled |= free


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _actions_of(ref: Artifact | tuple[Artifact, ...]) -> set[tuple[str, str]]:
    match ref:
        case tuple():
            return {id_ for item in ref for id_ in _actions_of(item)}
        case Output(action) | Result(action):
            return {action}
        case Entry(tree):
            return _actions_of(tree)
        case Tree(entries):
            return {id_ for _, part in entries for id_ in _actions_of(part)}
        case _:
            return set()
