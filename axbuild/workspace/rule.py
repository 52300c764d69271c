"""`@rule`: a class of attributes with an `actions` method becomes a rule; all a rule file needs is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.workspace.attributes import (
    Attribute,
    Bool,
    Choice,
    Float,
    Floats,
    Int,
    Ints,
    List,
    NewNames,
    Shapes,
    String,
    Strings,
    Value,
    Values,
    attributes_of,
)
from axbuild.workspace.references import DEFAULT, Label, LabelMap, Labels, OneRecord, Record, Records, Source
from axbuild.workspace.settled import Settled
from axbuild.workspace.stage import Stage
from axbuild.workspace.tables import Tables

__all__ = [
    "DEFAULT",
    "Attribute",
    "Bool",
    "Choice",
    "Float",
    "Floats",
    "Int",
    "Ints",
    "Label",
    "LabelMap",
    "Labels",
    "List",
    "NewNames",
    "OneRecord",
    "Record",
    "Records",
    "Rule",
    "Settled",
    "Shapes",
    "Source",
    "Stage",
    "String",
    "Strings",
    "Tables",
    "Value",
    "Values",
    "attributes_of",
    "rule",
]


@dataclass(frozen=True, eq=False)
class Rule:
    """A kind of target: what may be written in its table, and the actions it lays out.

    gives: class of the provider, if the declaration names it (`gives = FloatModel`).
    example: the name of the target that BUILD.example.toml shows.
    lay_out: called as `lay_out(t, plan)` with the settled attributes (`Settled`) and the target's
    `Plan`; returns the target's provider.
    """

    name: str
    about: str
    attributes: dict[str, Attribute]
    gives: type | None
    example: str
    lay_out: Callable[[Settled, Any], Any]
    module: str


def rule(declaration: type) -> Rule:
    """Make a rule of a class: its name, docstring, attributes in order, and `actions(self, t, plan)`.

    Its own attributes come first, then those of its bases. TypeError where the class cannot be a rule.
    """
    name = declaration.__name__
    attributes = attributes_of(declaration)
    for key in attributes:
        if key == "name" or hasattr(Settled, key):
            raise TypeError(f"rule {name} cannot have an attribute called '{key}': every target has one already")
    actions = getattr(declaration(), "actions", None)
    if not callable(actions):
        raise TypeError(f"rule {name} lacks its method actions(self, t, plan)")
    about = (declaration.__doc__ or "").strip()
    gives, example = getattr(declaration, "gives", None), getattr(declaration, "example", name)
    return Rule(name, about, attributes, gives, example, actions, declaration.__module__)
