"""The JSON Schema of a configuration file, for editors that complete and check it: from what the readers read."""

from __future__ import annotations

from axbuild.toolchain.pulsar2.declared import declared_fields
from axbuild.toolchain.pulsar2.message import Message, message_in, settings_of
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.takes import VALUE, Schema


def json_schema() -> Schema:
    inner = [message for field in declared_fields() if (message := message_in(field.setting.takes))]
    definitions = {message.__name__: _table(message, required=True) for message in inner}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pulsar2 build"}
    return head | _table(BuildConfig, required=False) | {"$defs": {**definitions, "Value": VALUE}}


def _table(message: type[Message], required: bool) -> Schema:
    """required: fields that a whole configuration needs may come from flags, those of a message inside may not."""
    known = settings_of(message)
    properties = {
        name: declared.takes.schema() | _said(declared.about, declared.default) for name, declared in known.items()
    }
    needed = [name for name, declared in known.items() if declared.required]
    table = {
        "type": "object",
        "description": message.__doc__ or "",
        "properties": properties,
        "additionalProperties": False,
    }
    return table | ({"required": needed} if needed and required else {})


def _said(about: str, default: object) -> Schema:
    plain = list(default) if isinstance(default, tuple) else default
    return {"description": about} | ({} if plain is None else {"default": plain})
