"""Tables of a BUILD file as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def build_text(tables: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    """tables: rule and attributes of each target, `name` among them."""
    return "\n".join("\n".join([f"[[{rule}]]", *_lines(attributes), ""]) for rule, attributes in tables)


def _lines(attributes: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_long(value)}" for key, value in attributes.items()]


def _long(value: Any) -> str:
    """A value behind its key; tables in a list, a line each."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "\n".join(["[", *(f"    {toml_value(item)}," for item in value), "]"])
    return toml_value(value)


def toml_value(value: Any) -> str:
    """A value in one line, as TOML writes it."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {toml_value(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return toml_text(value)


def toml_text(value: Any) -> str:
    # TOML writes strings, numbers and truth as JSON does, but no character as a pair of escapes.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_text(name)
