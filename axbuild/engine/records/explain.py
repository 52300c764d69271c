"""Why an action ran: two key records side by side, as named causes, and the sentence for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from axbuild.dataclass import dataclass

FIRST = 3
"""How many causes stand in a one-line reason."""


@dataclass(frozen=True)
class Cause:
    """One part that moved.

    what: file | parameter | code | tool | platform | stage | blob | result | first
    name: role/file, dotted parameter, module, distribution, field or output
    old, new: digests, versions or values; None where the part did not exist
    where: for a file, what the user knows it by: a path of the workspace, or the output of another action
    """

    what: str
    name: str = ""
    old: Any = None
    new: Any = None
    where: str = ""

    def record(self) -> dict[str, Any]:
        return dict(vars(self))


Names = Mapping[str, str]
"""role, or role/file -> what the user knows this input by"""


CodeOf = Callable[[str], Mapping[str, str] | None]
"""digest of a stage's code -> its modules and data files with theirs, if that is known"""


def diff(old: Mapping[str, Any], new: Mapping[str, Any], names: Names, code_of: CodeOf) -> tuple[Cause, ...]:
    """What differs between two key records, sources and parameters first: they are what a user edits."""
    return (
        *_files(old["inputs"], new["inputs"], names),
        *_moved("parameter", _flat(old["params"]), _flat(new["params"])),
        *_moved("stage", {"": old["stage"]}, {"": new["stage"]}),
        *_code(old["code"], new["code"], code_of),
        *_moved("tool", old["tools"], new["tools"]),
        *_moved("platform", {"": old["platform"]}, {"": new["platform"]}),
    )


def _moved(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name) or (name in old) != (name in new):
            yield Cause(what, name, old.get(name), new.get(name))


def _code(old: str, new: str, code_of: CodeOf) -> Iterator[Cause]:
    if old != new:
        before, after = code_of(old), code_of(new)
        if before is None or after is None:
            yield Cause("code", "", old, new)
        else:
            yield from _moved("code", before, after)


def _files(old: Mapping[str, Any], new: Mapping[str, Any], names: Names) -> Iterator[Cause]:
    before, after = dict(_leaves(old)), dict(_leaves(new))
    for cause in _moved("file", before, after):
        role, _, file = cause.name.partition("/")
        holder = names.get(role, "")
        where = names.get(cause.name) or (f"{file} in {holder}" if file and holder else holder)
        yield Cause("file", cause.name, cause.old, cause.new, where)


def _leaves(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(role, role/file, role[1]/file -> digest) over single blobs, trees and lists of both."""
    for role, shape in inputs.items():
        items = {f"{role}[{i}]": item for i, item in enumerate(shape)} if isinstance(shape, list) else {role: shape}
        for name, item in items.items():
            if isinstance(item, str):
                yield name, item
            else:
                yield from ((f"{name}/{file}", digest) for file, digest in item.items())


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Parameters by dotted name, so that one changed entry of a long list is one cause."""
    if isinstance(value, dict) and value:
        return {k: v for key, item in value.items() for k, v in _flat(item, f"{name}.{key}" if name else key).items()}
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return {k: v for i, item in enumerate(value) for k, v in _flat(item, f"{name}[{i}]").items()}
    return {name: value} if name else {}


def is_first(cause: Cause) -> bool:
    """Whether nothing else of the build explains it: an input that another action made has causes of its own."""
    # Such an input is known by a label, and no path of a workspace has an empty part.
    return cause.what != "file" or "//" not in cause.where


def short(digest: Any) -> str:
    return "nothing" if digest is None else str(digest)[:12]


def sentence(cause: Cause) -> str:
    """One line for one cause, with both values."""
    old, new = cause.old, cause.new
    match cause.what:
        case "file":
            called = cause.where or f"input {cause.name}"
            if old is None or new is None:
                return f"{called} {'appeared' if old is None else 'went away'}"
            return f"{called} changed: {short(old)} -> {short(new)}"
        case "parameter":
            return f"parameter {cause.name}: {_value(old)} -> {_value(new)}"
        case "code":
            if not cause.name:
                return f"code of the stage changed: {short(old)} -> {short(new)}"
            if old is None or new is None:
                return f"code {cause.name} {'joined' if old is None else 'left'} the stage's imports"
            return f"code {cause.name} changed: {short(old)} -> {short(new)}"
        case "tool":
            return f"tool {cause.name}: {old or 'not used'} -> {new or 'not used'}"
        case "platform":
            return f"float platform: {old or 'any'} -> {new or 'any'}"
        case "stage":
            return f"stage: {old} -> {new}"
        case "blob":
            return f"stored output {cause.name} ({short(old)}) is {new}"
        case "result":
            return "the stored result is gone"
        case _:
            return "never built in this workspace"


def _value(value: Any) -> str:
    """As a BUILD file would spell it."""
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def reason(causes: tuple[Cause, ...]) -> str:
    """The first causes in one line."""
    more = len(causes) - FIRST
    return "; ".join(sentence(cause) for cause in causes[:FIRST]) + (f"; and {more} more" if more > 0 else "")
