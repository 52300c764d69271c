"""What an action produced, and the one place where a row of a cache becomes it.

A row is somebody else's word: a cache may be restored, shared, damaged or tampered with, and the names in a row become
paths. So all of it is looked over here, types, digests and names, and what does not fit is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from axbuild.dataclass import dataclass, fields
from axbuild.store.digests import is_digest
from axbuild.store.faults import RefusedRow
from axbuild.store.names import clash, is_inside


@dataclass(frozen=True)
class ActionResult:
    """key_record: the parts of the action's key; `code` in it is the digest of a map that is kept once for all.
    outputs: name -> SHA-256, or file -> SHA-256 for a tree.

    diagnostics: {"code", "sentence"} in the order they were given. platform: the float platform that made it.
    intermediate: its outputs are cheap to make again and go first when the cache is full.
    """

    key_record: dict[str, Any]
    outputs: dict[str, str | dict[str, str]]
    diagnostics: tuple[dict[str, Any], ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    platform: str | None = None
    intermediate: bool = False


_FIELDS = set(fields(ActionResult))
_KEY_FIELDS = {"code", "inputs", "params", "platform", "stage", "tools"}


def result_of(record: Any) -> ActionResult | None:
    """The result in a row's value; None for nothing, or what another version of axbuild wrote. Raises RefusedRow."""
    if record is None:
        return None
    if not isinstance(record, dict):
        raise RefusedRow("it is no result")
    if set(record) != _FIELDS:
        return None
    key = record["key_record"]
    if not isinstance(key, dict):
        raise RefusedRow("its key record is no object")
    if set(key) != _KEY_FIELDS:
        return None
    _check_key(key)
    _check_outputs(record["outputs"])
    _check_what_it_took(record)
    return ActionResult(**{**record, "diagnostics": tuple(record["diagnostics"])})


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise RefusedRow(what)


def _check_key(key: dict[str, Any]) -> None:
    inputs, tools = key["inputs"], key["tools"]
    shapes = (
        [shape for item in inputs.values() for shape in (item if isinstance(item, list) else [item])]
        if (isinstance(inputs, dict))
        else [None]
    )
    _require(is_digest(key["code"]) and isinstance(key["stage"], str), "its key record names no stage and code")
    _require(all(_is_shape(shape) for shape in shapes), "the inputs in its key record are no digests")
    _require(isinstance(key["params"], dict), "the parameters in its key record are no object")
    _require(isinstance(tools, dict) and _are_texts(tools.values()), "the tools in its key record are no versions")
    _require(key["platform"] is None or isinstance(key["platform"], str), "the platform in its key record is no text")


def _check_outputs(outputs: Any) -> None:
    _require(isinstance(outputs, dict), "its outputs are no object")
    for name, shape in outputs.items():
        _require(is_inside(name.removesuffix("/")), f"its output {name!a} is no path inside a folder")
        _require(_is_shape(shape), f"its output {name!a} is neither a digest nor a tree of digests")
        _require(isinstance(shape, dict) == name.endswith("/"), f"its output {name!a} is a file and a folder")
        for file in shape if isinstance(shape, dict) else ():
            _require(is_inside(file), f"its file {name}{file!a} is no path inside a folder")
        twice = clash(shape) if isinstance(shape, dict) else ""
        _require(not twice, f"its file {name}{twice!a} is a folder too")
    names = [name.removesuffix("/") for name in outputs]
    _require(len(set(names)) == len(names) and not clash(names), "two of its outputs stand in each other's way")


def _check_what_it_took(record: dict[str, Any]) -> None:
    said, seconds, memory = record["diagnostics"], record["seconds"], record["peak_memory_bytes"]
    fit = isinstance(said, list) and all(
        isinstance(one, dict) and one.keys() == {"code", "sentence"} and _are_texts(one.values()) for one in said
    )
    _require(fit, "its warnings are no codes with sentences")
    _require(_is_number(seconds) and math.isfinite(seconds) and seconds >= 0, "its seconds are no duration")
    _require(_is_number(memory) and isinstance(memory, int) and memory >= 0, "its peak of memory is no size")
    _require(record["platform"] is None or isinstance(record["platform"], str), "its platform is no text")
    _require(isinstance(record["intermediate"], bool), "its mark of an intermediate is neither true nor false")


def _is_shape(shape: Any) -> bool:
    return is_digest(shape) or (isinstance(shape, dict) and all(is_digest(digest) for digest in shape.values()))


def _are_texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def files_of(outputs: Mapping[str, str | Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """(name, SHA-256) of every file in outputs; a tree's name, which ends in "/", goes before those of its files."""
    for name, shape in outputs.items():
        if isinstance(shape, str):
            yield name, shape
        else:
            yield from ((f"{name}{file}", digest) for file, digest in shape.items())


def digests_of(outputs: Mapping[str, str | Mapping[str, str]]) -> Iterator[str]:
    """Every blob that outputs name."""
    return (digest for _, digest in files_of(outputs))
