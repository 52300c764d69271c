"""`@rule`: a class of attributes with an `actions` method becomes a rule; all a rule file needs is here.

One with an `expand` method in its place stands for targets of other rules (decision 056).
"""

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
from axbuild.workspace.references import DEFAULT, Label, LabelMap, Labels, OneRecord, Record, Records, Source, TextFile
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
    "TextFile",
    "Value",
    "Values",
    "attributes_of",
    "rule",
]


BuildTable = tuple[str, dict[str, Any]]
"""a table of a BUILD file: rule, and attributes with `name` among them. A dict of attributes that has `lines` says with
them where the text sets each: attribute, or a place in one as "sub_configs[1].check", -> line"""


@dataclass(frozen=True)
class TableMaking:
    """How a target becomes others.

    text: the attribute that names the file whose text they are made from. tables: called as `tables(t, text)` with
    the attributes as written and that text; what it passes to `warnings.warn` as an AxWarning is told whenever the
    first of the targets is needed. code: packages of Python whose modules it imports when it is called.
    """

    text: str
    tables: Callable[[Settled, str], list[BuildTable]]
    code: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Rule:
    """A kind of target: what may be written in its table, and the actions it lays out.

    gives: class of the provider, if the declaration names it (`gives = FloatModel`).
    example: the name of the target that BUILD.example.toml shows.
    lay_out: called as `lay_out(t, plan)` with the settled attributes (`Settled`) and the target's
    `Plan`; returns the target's provider. None where `expansion` says which targets stand for it.
    """

    name: str
    about: str
    attributes: dict[str, Attribute]
    gives: type | None
    example: str
    lay_out: Callable[[Settled, Any], Any] | None
    module: str
    expansion: TableMaking | None = None


def rule(declaration: type) -> Rule:
    """Make a rule of a class: its name, docstring, attributes in order, and `actions(self, t, plan)`, or in its place
    `expand(self, t, text)` with the packages that it imports as `code`.

    Its own attributes come first, then those of its bases. TypeError where the class cannot be a rule.
    """
    name = declaration.__name__
    attributes = attributes_of(declaration)
    for key in attributes:
        if key == "name" or hasattr(Settled, key):
            raise TypeError(f"rule {name} cannot have an attribute called '{key}': every target has one already")
    made = declaration()
    actions, expand = getattr(made, "actions", None), getattr(made, "expand", None)
    if callable(actions) == callable(expand):
        raise TypeError(f"rule {name} takes one method: actions(self, t, plan), or expand(self, t, text)")
    expansion = _expansion(name, attributes, expand, getattr(made, "code", ())) if expand else None
    about = (declaration.__doc__ or "").strip()
    gives, example = getattr(declaration, "gives", None), getattr(declaration, "example", name)
    return Rule(name, about, attributes, gives, example, actions, declaration.__module__, expansion)


def _expansion(
    name: str, attributes: dict[str, Attribute], tables: Callable[..., list[BuildTable]], code: tuple[str, ...]
) -> TableMaking:
    texts = [key for key, attribute in attributes.items() if isinstance(attribute, TextFile)]
    if len(texts) != 1:
        raise TypeError(f"rule {name} expands the text of one attribute, and declares {len(texts)} of kind TextFile")
    return TableMaking(texts[0], tables, code)
