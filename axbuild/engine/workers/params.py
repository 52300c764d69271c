"""Parameters as a stage sees them: its own dataclass, built from JSON by its annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any


class ParamsMismatch(Exception):
    """What a rule passes and what a stage declares do not agree."""


def params_of(stage: Callable[..., Any], values: dict[str, Any]) -> dict[str, Any]:
    """{"params": the dataclass} for a stage that declares params; {} for one that does not and gets none."""
    annotation = stage.__annotations__.get("params")
    if annotation is None:
        if values:
            raise ParamsMismatch(f"the stage takes no params, and gets {', '.join(sorted(values))}")
        return {}
    if isinstance(annotation, str):
        annotation = eval(annotation, stage.__globals__)
    return {"params": build(annotation, values, "params")}


def build(annotation: Any, value: Any, where: str) -> Any:
    """`value` (JSON) as the annotated type: dataclass, tuple, list, dict[str, X], X | None, Literal or scalar."""
    if dataclasses.is_dataclass(annotation):
        return _dataclass(typing.cast(type, annotation), value, where)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, value, where)
    if origin is typing.Literal:
        return _known(value in arguments, value, where, annotation)
    if origin is tuple:
        return _tuple(arguments, _known(isinstance(value, list | tuple), value, where, annotation), where)
    if origin is list:
        _known(isinstance(value, list | tuple), value, where, annotation)
        return [build(arguments[0], one, f"{where}[{at}]") for at, one in enumerate(value)]
    if origin is dict:
        _known(isinstance(value, dict), value, where, annotation)
        return {key: build(arguments[1], one, f"{where}.{key}") for key, one in value.items()}
    return _scalar(annotation, value, where)


def _dataclass(kind: type, value: Any, where: str) -> Any:
    _known(isinstance(value, dict), value, where, kind.__name__)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := sorted(set(value) - set(fields)):
        raise ParamsMismatch(f"{where}: {kind.__name__} has no field {', '.join(unknown)}")
    required = {
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - set(value)):
        raise ParamsMismatch(f"{where}: {kind.__name__} needs {', '.join(missing)}")
    return kind(**{name: build(hints[name], one, f"{where}.{name}") for name, one in value.items()})


def _union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    reasons = []
    for argument in arguments:
        if argument is not type(None):
            try:
                return build(argument, value, where)
            except ParamsMismatch as reason:
                reasons.append(str(reason))
    raise ParamsMismatch("; ".join(reasons))


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if arguments[-1:] == (Ellipsis,):
        return tuple(build(arguments[0], one, f"{where}[{at}]") for at, one in enumerate(value))
    _known(len(value) == len(arguments), value, where, f"{len(arguments)} values")
    return tuple(
        build(kind, one, f"{where}[{at}]") for at, (kind, one) in enumerate(zip(arguments, value, strict=True))
    )


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is Any:
        return value
    if kind is float:
        return float(_known(isinstance(value, int | float) and not isinstance(value, bool), value, where, kind))
    if kind in (int, str, bool, type(None)):
        return _known(type(value) is kind, value, where, kind)
    raise ParamsMismatch(f"{where}: params cannot be of type {_name(kind)}")


def _known(fits: bool, value: Any, where: str, kind: Any) -> Any:
    if not fits:
        raise ParamsMismatch(f"{where} is {value!r}, where the stage declares {_name(kind)}")
    return value


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind)) if isinstance(kind, type) else str(kind)
