"""A rule on a terminal: what may be written in its tables."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import TextIO

from axbuild.report.style import Style
from axbuild.workspace.attributes import Attribute, shown
from axbuild.workspace.references import OneRecord
from axbuild.workspace.rule import Rule

_WIDEST = 96
_DEEPER = 4


def rule_text(rule: Rule, out: TextIO) -> str:
    """Every attribute with what it takes, its default and its sentence; tables in a list with their fields."""
    style = Style(out)
    width = min(_WIDEST, shutil.get_terminal_size().columns) if out.isatty() else _WIDEST
    lines = [
        style.at_words(f"{style('bold', rule.name)}: {rule.about}"),
        "",
        f"  {style('cyan', 'name')}: a string, required",
    ]
    lines += ["      The target's name: its label is //package:name."]
    return "\n".join([*lines, *_attributes(rule.attributes, style, 2, width)])


def _attributes(attributes: Mapping[str, Attribute], style: Style, indent: int, width: int) -> Iterator[str]:
    for name, attribute in attributes.items():
        gap = " " * indent
        head = f"{name}: {attribute.takes}, {_default(attribute)}"
        first, *rest = textwrap.wrap(head, width - indent, subsequent_indent=f"{gap}    ", break_on_hyphens=False)
        yield f"{gap}{style('cyan', name)}{first[len(name) :]}"
        yield from rest
        about = textwrap.wrap(attribute.about, width - indent - _DEEPER, break_on_hyphens=False)
        yield from (f"{gap}    {line}" for line in about)
        if isinstance(attribute, OneRecord):
            yield from _attributes(attribute.fields, style, indent + _DEEPER, width)


def _default(attribute: Attribute) -> str:
    if attribute.required:
        return "required"
    return "optional" if attribute.default is None else f"default {shown(attribute.default)}"
