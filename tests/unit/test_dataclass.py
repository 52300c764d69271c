"""The client's own `dataclass` means what the standard one means."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from axbuild import dataclass as ours

BODY = """
@dataclass(frozen=True)
class Point:
    x: int
    y: Any = 2
    tags: list = field(default_factory=list)


@dataclass(frozen=True)
class Named(Point):
    name: str = "n"

    def __post_init__(self):
        if not self.name:
            raise ValueError("no name")


@dataclass
class Count:
    n: int = 0


@dataclass(frozen=True)
class One:
    value: Any


@dataclass(frozen=True, eq=False)
class Own:
    value: int

    def __repr__(self):
        return "own"


@dataclass
class Empty:
    pass
"""


def world(module: Any) -> Any:
    space = {"dataclass": module.dataclass, "field": module.field, "Any": Any, "__name__": __name__}
    exec(BODY, space)
    return space


@pytest.fixture(params=[ours, dataclasses], ids=["ours", "standard"])
def made(request):
    return world(request.param)


def test_fields_are_parameters_in_order_with_their_defaults(made):
    point = made["Point"](1)
    assert vars(point) == {"x": 1, "y": 2, "tags": []}
    assert vars(made["Named"](1, tags=[3], name="m")) == {"x": 1, "y": 2, "tags": [3], "name": "m"}
    assert made["Point"](1).tags is not made["Point"](1).tags
    with pytest.raises(TypeError, match=r"Point.__init__\(\) missing 1 required positional argument: 'x'"):
        made["Point"]()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        made["Point"](1, z=2)
    with pytest.raises(ValueError, match="no name"):
        made["Named"](1, name="")


def test_equality_is_by_class_and_values(made):
    nan = float("nan")
    assert made["Point"](1) == made["Point"](1)
    assert made["Point"](1) != made["Point"](2)
    assert made["Point"](1) != made["Named"](1)
    assert made["One"](nan) == made["One"](nan)
    assert made["One"](1) != made["One"](2)
    assert made["Empty"]() == made["Empty"]()
    assert made["Own"](1) != made["Own"](1)
    assert made["Count"]() != 0


def test_what_is_frozen_is_hashed_by_its_values_and_cannot_change(made):
    assert len({made["One"](1), made["One"](1), made["One"](2)}) == 2
    assert len({made["Own"](1), made["Own"](1)}) == 2
    with pytest.raises(TypeError, match="unhashable"):
        hash(made["Point"](1))  # of its list
    with pytest.raises(TypeError, match="unhashable"):
        hash(made["Count"]())
    for change in (lambda one: setattr(one, "value", 2), lambda one: delattr(one, "value")):
        with pytest.raises(AttributeError):
            change(made["One"](1))
    count = made["Count"]()
    count.n += 1
    assert count == made["Count"](1)


def test_what_a_class_defines_itself_stands(made):
    assert repr(made["Own"](1)) == "own"
    assert repr(made["Named"](1, "two")) == "Named(x=1, y='two', tags=[], name='n')"


def test_patterns_take_instances_apart(made):
    Point = made["Point"]  # noqa: N806  a class, and patterns know one by its capital
    match Point(1, 3):
        case Point(x, y, []):
            assert (x, y) == (1, 3)
        case _:
            raise AssertionError
    assert copy.deepcopy(made["Named"](1)) == made["Named"](1)


def test_the_standard_functions_take_ours_for_their_own(made):
    point = made["Named"](1)
    assert dataclasses.is_dataclass(point)
    assert [(one.name, one.default) for one in dataclasses.fields(point)][:2] == [
        ("x", dataclasses.MISSING),
        ("y", 2),
    ]
    assert dataclasses.asdict(made["One"](made["Point"](1))) == {"value": {"x": 1, "y": 2, "tags": []}}
    assert dataclasses.replace(point, x=5) == made["Named"](5)


def test_a_standard_class_may_inherit_from_ours(made):
    child = dataclasses.dataclass(frozen=True)(
        type("Child", (made["Point"],), {"__annotations__": {"z": "int"}, "z": 9})
    )
    assert vars(child(1)) == {"x": 1, "y": 2, "tags": [], "z": 9}


def test_replace_and_fields():
    made = world(ours)
    assert ours.replace(made["Named"](1), x=2, name="m") == made["Named"](2, name="m")
    assert ours.fields(made["Point"]) == {"x": ours.REQUIRED, "y": 2, "tags": ours.REQUIRED}
