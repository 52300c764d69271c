"""YAML with the line of every key and value, by PyYAML's safe loader."""

from __future__ import annotations

import re
from typing import Any

import yaml

from axbuild.errors import Place
from axbuild.toolchain.pulsar2.config_text import DEEPEST, ConfigText, SetTwiceError
from axbuild.toolchain.pulsar2.marked import Marked

_MOST_NODES = 100_000
"""values in one file, counted where aliases stand for them"""
_OPEN = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSE = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class _YamlLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML ships no types
    """The safe one, which reads 1e-4 as a number too, as YAML 1.2 does."""


_YamlLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_yaml(source: ConfigText) -> Marked:
    try:
        _check_depth(source)
        loader = _YamlLoader(source.text)
        node = loader.get_single_node()
        return _YamlTree(source, loader).marked(node, 0) if node else Marked(None, Place(source.name))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise source.invalid(str(error.problem or error.context), source.place(line)) from None
    except yaml.YAMLError as error:
        raise source.invalid(str(error).splitlines()[0]) from None


def _check_depth(source: ConfigText) -> None:
    """Before anything recurs into it."""
    depth = 0
    for event in yaml.parse(source.text, _YamlLoader):
        depth += isinstance(event, _OPEN) - isinstance(event, _CLOSE)
        if depth > DEEPEST:
            raise source.too_deep(source.place(event.start_mark.line + 1))


class _YamlTree:
    def __init__(self, source: ConfigText, loader: _YamlLoader) -> None:
        self.source, self.loader, self.nodes = source, loader, 0

    def marked(self, node: yaml.Node, depth: int) -> Marked:
        place = self.source.place(node.start_mark.line + 1)
        self.nodes += 1
        if depth > DEEPEST:  # an alias of what holds it
            raise self.source.too_deep(place)
        if self.nodes > _MOST_NODES:
            raise self.source.invalid(f"more than {_MOST_NODES:,} values, aliases included", place)
        if isinstance(node, yaml.SequenceNode):
            return Marked([self.marked(item, depth + 1) for item in node.value], place)
        if isinstance(node, yaml.MappingNode):
            return self._table(node, place, depth)
        return Marked(self._scalar(node), place)

    def _table(self, node: yaml.MappingNode, place: Place, depth: int) -> Marked:
        values: dict[str, Marked] = {}
        keys: dict[str, Place] = {}
        for key, value in node.value:
            at = self.source.place(key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode):
                raise self.source.invalid("a key that is no name", at)
            if key.value in keys:
                raise SetTwiceError(key.value, at, keys[key.value])
            keys[key.value] = at
            values[key.value] = self.marked(value, depth + 1)
        return Marked(values, place, keys)

    def _scalar(self, node: yaml.Node) -> Any:
        """Its number, text or truth; the text that is written, where it is a date or another thing."""
        try:
            value = self.loader.construct_object(node)
        except ValueError:
            return str(node.value)
        return value if value is None or isinstance(value, str | int | float) else str(node.value)
