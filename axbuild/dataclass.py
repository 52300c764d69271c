"""`@dataclass` with the standard one's meaning, made in a tenth of its time: for what a command imports at its start.

The standard decorator compiles up to six functions a class and imports `inspect`: 50 ms for the eighty classes of a
build, an eighth of a small one. Here `__init__` alone is compiled and the rest is shared. Left out is what is not used:
ordering, slots, keywords only, fields that are no parameters. `dataclasses.fields`, `replace` and `asdict` take these
classes for their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")

REQUIRED: Any = object()
"""stands for the default of a field that has none"""
_FIELDS = "__axbuild_fields__"


class _FieldSpec:
    __slots__ = ("default", "factory", "hashed")

    def __init__(self, default: Any, factory: Callable[[], Any] | None, hashed: bool) -> None:
        self.default, self.factory, self.hashed = default, factory, hashed


def field(*, default_factory: Callable[[], Any] | None = None, hash: bool = True) -> Any:  # noqa: A002  as the standard one
    """What stands behind a field that has more to it than a default."""
    return _FieldSpec(REQUIRED, default_factory, hash)


@overload
def dataclass(kind: type[T], /) -> type[T]: ...
@overload
def dataclass(*, frozen: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(field_specifiers=(field,))
def dataclass(kind: type[T] | None = None, /, *, frozen: bool = False, eq: bool = True) -> Any:
    def made(kind: type[T]) -> type[T]:
        _make(kind, frozen, eq)
        return kind

    return made if kind is None else made(kind)


def fields(of: Any) -> Mapping[str, Any]:
    """The fields of a class made here, or of an instance: name -> default, REQUIRED where there is none."""
    known: dict[str, _FieldSpec] = getattr(of, _FIELDS)
    return {name: one.default for name, one in known.items()}


def replace(of: T, **changes: Any) -> T:
    """Another instance, with other values for some fields."""
    return type(of)(**{name: getattr(of, name) for name in getattr(of, _FIELDS)} | changes)


def _make(kind: type, frozen: bool, eq: bool) -> None:
    own = kind.__dict__
    known: dict[str, _FieldSpec] = {}
    for base in reversed(kind.__mro__[1:]):
        known |= base.__dict__.get(_FIELDS, {})
    for name in own.get("__annotations__", ()):
        default = own.get(name, REQUIRED)
        known[name] = default if isinstance(default, _FieldSpec) else _FieldSpec(default, None, True)
        if isinstance(default, _FieldSpec):
            delattr(kind, name)
    names = tuple(known)
    given = {_FIELDS: known, "__match_args__": names, "__dataclass_fields__": _Standard(frozen)}
    given |= {"__init__": _init(kind, known, frozen), "__repr__": _repr}
    if eq:
        values, hashed = _getter(names), _getter(tuple(name for name in names if known[name].hashed))
        given["__eq__"] = lambda a, b: values(a) == values(b) if type(a) is type(b) else NotImplemented
        given["__hash__"] = (lambda a: hash(hashed(a))) if frozen else None
    if frozen:
        given |= {"__setattr__": _refuse, "__delattr__": _refuse}
    for name, value in given.items():
        if name not in own or (name == "__hash__" and own[name] is None):
            setattr(kind, name, value)


def _init(kind: type, known: Mapping[str, _FieldSpec], frozen: bool) -> Any:
    space: dict[str, Any] = {"_set": object.__setattr__, "_REQUIRED": REQUIRED}
    head, body = ["self"], []
    for name, one in known.items():
        value, default = name, one.default
        if one.factory is not None:
            space[f"_make_{name}"], default = one.factory, REQUIRED
            value = f"_make_{name}() if {name} is _REQUIRED else {name}"
        if one.factory is not None or default is not REQUIRED:
            space[f"_default_{name}"] = default
            head.append(f"{name}=_default_{name}")
        else:
            head.append(name)
        body.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
    if hasattr(kind, "__post_init__"):
        body.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(head)}):\n" + "\n".join(body or [" pass"]), space)
    made = space["__init__"]
    made.__qualname__ = f"{kind.__qualname__}.__init__"
    return made


def _getter(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """In a tuple always, which finds what is the same object equal, as the standard one does."""
    return attrgetter(*names) if len(names) > 1 else lambda of: tuple(getattr(of, name) for name in names)


def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in getattr(self, _FIELDS))
    return f"{type(self).__qualname__}({values})"


def _refuse(self: Any, name: str, *_value: Any) -> None:
    raise AttributeError(f"cannot change field {name!r}", name=name, obj=self)


class _Standard:
    """The fields as the standard module knows them, made when it asks: rule authors may use it on our classes."""

    def __init__(self, frozen: bool) -> None:
        self._frozen = frozen

    def __get__(self, _instance: Any, kind: type) -> Any:
        import dataclasses

        known: dict[str, _FieldSpec] = getattr(kind, _FIELDS)
        made: Any = dataclasses.make_dataclass(
            kind.__name__, [(name, Any, _standard(one)) for name, one in known.items()], frozen=self._frozen
        )
        for name in ("__dataclass_params__", "__dataclass_fields__"):
            setattr(kind, name, getattr(made, name))
        return made.__dataclass_fields__


def _standard(one: _FieldSpec) -> Any:
    import dataclasses

    if one.factory is not None:
        return dataclasses.field(default_factory=one.factory)
    return dataclasses.field() if one.default is REQUIRED else dataclasses.field(default=one.default)
