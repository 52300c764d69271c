"""Errors about the hidden workspace of `pulsar2 build`, told of the configuration and the paths that it is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from axbuild.errors import AxError, Place
from axbuild.report.build_file import build_text
from axbuild.toolchain.pulsar2.message import Message
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.workspace.disk import BUILD_FILE
from axbuild.workspace.rulepack import load_rules

from ._pulsar2_workspace import Prepared

_TABLE = re.compile(r"\[\[(\w+)\]\]")
_KEY = re.compile(r"(\w+) = ")


class Retold:
    """An error as a user of the vendor's command reads it: a place in the hidden BUILD.toml is the place where the
    configuration sets the field that the line is made of, a link is what it leads to."""

    def __init__(self, config: BuildConfig, workspace: Prepared) -> None:
        self._config, self._links = config, workspace.links
        self._lines = build_text(workspace.tables).split("\n")

    def __call__(self, error: AxError) -> AxError:
        place = error.place
        if place and place.file == BUILD_FILE:
            place = self._place(place.line)
        return AxError(self._named(error.sentence), place=place, hint=error.hint, code=error.code)

    def _place(self, line: int) -> Place | None:
        """Of the field that a line is made of, or of the message that its table is; None where neither is set."""
        before = self._lines[:line]
        key = next((found[1] for text in reversed(before) if (found := _KEY.match(text) or _TABLE.match(text))), "")
        tables = [found[1] for text in before if (found := _TABLE.match(text))]
        attributes = load_rules(None).rules[tables[-1]].attributes
        vendor = attributes[key].vendor if key in attributes else ""
        *outer, name = (vendor or next(one.vendor for one in attributes.values() if one.vendor)).split(".")
        messages = list(_inside(self._config, outer))
        if len(messages) == sum(f"[[{tables[-1]}]]" == text for text in self._lines):
            messages = [messages[tables.count(tables[-1]) - 1]]
        places = (message.places.get(name if vendor else "") for message in messages)
        return next((found for found in places if found), None)

    def _named(self, sentence: str) -> str:
        for link, target in sorted(self._links.items(), reverse=True):
            sentence = sentence.replace(link, _shown(target))
        return sentence


def _inside(message: Message, names: list[str]) -> Iterator[Message]:
    """The messages that a path of fields leads to."""
    if not names:
        yield message
        return
    found = getattr(message, names[0])
    for inner in found if isinstance(found, tuple) else (found,):
        if isinstance(inner, Message):
            yield from _inside(inner, names[1:])


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
