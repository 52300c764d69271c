"""The JSON Schema of BUILD.toml, made from the rules, for editors that complete and check TOML.

Builds do not use it: an attribute checks its own value, with the file, the line and the rule's words
in the message, which a general validator cannot give.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axbuild.workspace.attributes import Schema
from axbuild.workspace.rule import Rule

_NAME: Schema = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_+-][A-Za-z0-9_.+-]*$",
    "description": "The target's name: its label is //package:name.",
}


def schema_of(rules: Mapping[str, Rule]) -> Schema:
    """One array of tables a rule, and a table of defaults for each."""
    properties: dict[str, Any] = {
        name: {"type": "array", "items": _table(rule), "description": rule.about} for name, rule in rules.items()
    }
    properties["defaults"] = {
        "type": "object",
        "properties": {name: _defaults(rule) for name, rule in rules.items()},
        "additionalProperties": False,
        "description": "Values that the targets of this package take where they name none.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "BUILD.toml",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _attributes(rule: Rule) -> dict[str, Schema]:
    return {name: attribute.schema() | {"description": attribute.about} for name, attribute in rule.attributes.items()}


def _table(rule: Rule) -> Schema:
    # A required attribute may come from the defaults, so only the name must be in the table.
    properties = {"name": _NAME} | _attributes(rule)
    return {"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False}


def _defaults(rule: Rule) -> Schema:
    return {"type": "object", "properties": _attributes(rule), "additionalProperties": False}
