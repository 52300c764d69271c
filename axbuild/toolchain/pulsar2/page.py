"""The page of all fields of the vendor's configuration."""

from __future__ import annotations

from collections.abc import Mapping

from axbuild.toolchain.pulsar2.declared import DeclaredField, declared_fields
from axbuild.toolchain.pulsar2.flags import default_of
from axbuild.toolchain.pulsar2.message import settings_of
from axbuild.toolchain.pulsar2.schema import CompilerFields

_SUB = "compiler.sub_configs[]"
_HEAD = """# Pulsar2 configuration

Generated from the declared fields by `make docs`. `axbuild pulsar2 build` reads these fields from a file (JSON with
comments and trailing commas, YAML, TOML, or protobuf's text form) and from its command line, which stands over the
file. `pulsar2.schema.json` is the same for editors. The last column is the attribute of a rule that says it in a
BUILD.toml. An entry of `compiler.sub_configs` takes every field of `compiler` but that one.

| field | number | takes | default | flag | meaning | in BUILD.toml |
| --- | --- | --- | --- | --- | --- | --- |
"""


def fields_page(attributes: Mapping[str, str]) -> str:
    """attributes: path of a field, without the brackets of lists -> the rules' attributes that say the same."""
    shared = {f"{_SUB}.{name}" for name in settings_of(CompilerFields)}
    rows = [
        _row(field, attributes.get(field.path.replace("[]", ""), ""))
        for field in declared_fields()
        if not any(field.path.startswith(path) for path in shared)
    ]
    return _HEAD + "\n".join(rows) + "\n"


def _row(field: DeclaredField, attribute: str) -> str:
    declared = field.setting
    default = "required" if declared.required else default_of(field)
    flag = f"`--{field.path}`" if declared.flag and "[]." not in field.path else ""
    cells = [
        f"`{field.path}`",
        str(declared.number),
        declared.takes.sentence,
        f"`{default}`",
        flag,
        declared.about,
        attribute,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
