"""Pages made from rules and operators: BUILD.example.toml, the references and the schema that editors read.

`python -m axbuild.report.pages --write` writes them, `--check` compares and exits 1 where one is stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from axbuild.dataclass import dataclass
from axbuild.report.operators import operators
from axbuild.toolchain.pulsar2.json_schema import json_schema
from axbuild.toolchain.pulsar2.page import fields_page
from axbuild.workspace.attributes import Attribute, Schema, shown
from axbuild.workspace.references import OneRecord
from axbuild.workspace.rule import Rule
from axbuild.workspace.rulepack import load_rules, standard_folder
from axbuild.workspace.schema import schema_of
from axbuild.workspace.settings import KNOWN, PREFIX

ORDER = (
    "float_model",
    "calibration_set",
    "quant_model",
    "axmodel",
    "npu_subgraph",
    "check",
    "precision_check",
    "precision_report",
    "precision_analysis",
    "io_data",
    "test_suite",
    "filegroup",
    "alias",
    "pulsar2_build",
)
_WIDTH = 116

Rules = dict[str, Rule]


@dataclass(frozen=True)
class Page:
    """A generated file: its path from the top of the checkout and the function that writes its text."""

    name: str
    write: Callable[[Rules], str]

    @property
    def path(self) -> Path:
        return standard_folder().parent / self.name

    def render(self) -> str:
        rules = load_rules(None).rules
        known = [name for name in ORDER if name in rules]
        return self.write({name: rules[name] for name in [*known, *sorted(rules.keys() - set(known))]})


def example(rules: Rules) -> str:
    """Every rule with every attribute; what need not be written is commented out with its default."""
    lines = [
        "# Every rule of a BUILD.toml file and every attribute. Lines that begin with `#:` show the default, or an",
        "# example where they say so. Generated from the rules by `make docs`.",
    ]
    for rule in rules.values():
        lines += ["", "", *_comment(rule.about), f"[[{rule.name}]]", f"name = {shown(rule.example)}"]
        for name, attribute in rule.attributes.items():
            lines += ["", *_comment(attribute.about), *_setting(name, attribute)]
    return "\n".join(lines) + "\n"


def _setting(name: str, attribute: Attribute) -> list[str]:
    if attribute.required or (attribute.default is None and attribute.example is not None):
        return [f"{name} = {shown(attribute.example)}"]
    lines = []
    if isinstance(attribute, OneRecord):
        for key, field in attribute.fields.items():
            lines += _comment(f"{key} = {_default(field)}: {field.about}", "#   ")
    if attribute.example is not None:
        lines.append(f"#: {name} = {shown(attribute.example)}  # an example; default: {_default(attribute)}")
    else:
        lines.append(f"#: {name} = {shown(attribute.default)}")
    return lines


def _default(attribute: Attribute) -> str:
    nothing = "required" if attribute.required else "none"
    return nothing if attribute.default is None else shown(attribute.default)


def _comment(text: str, lead: str = "# ") -> list[str]:
    lines, line = [], lead
    for word in text.split():
        if len(line) + len(word) > _WIDTH:
            lines.append(line.rstrip())
            line = "# " + " " * (len(lead) - 2)
        line += word + " "
    return [*lines, line.rstrip()]


def reference(rules: Rules) -> str:
    """The rule reference: a section a rule, a row an attribute."""
    lines = [
        "# Rules",
        "",
        "Generated from the rules by `make docs`; `BUILD.example.toml` shows the same as a file. Every target also has",
        "a `name`. An attribute that a target leaves out takes the value of `[defaults.<rule>]` in BUILD.toml, else",
        "of `[defaults.<rule>]` in axbuild.toml, else the default below. The last column is the field of a Pulsar2",
        "configuration file that says the same.",
    ]
    for rule in rules.values():
        gives = f" Gives `{rule.gives.__name__}`." if rule.gives else ""
        lines += ["", f"## {rule.name}", "", " ".join(rule.about.split()) + gives, ""]
        lines += _table(rule.attributes)
        for name, attribute in rule.attributes.items():
            if isinstance(attribute, OneRecord):
                lines += ["", f"Fields of `{name}`: {attribute.summary}", "", *_table(attribute.fields)]
    return "\n".join(lines) + "\n"


def _table(attributes: dict[str, Attribute]) -> list[str]:
    rows = ["| attribute | takes | default | meaning | Pulsar2 |", "| --- | --- | --- | --- | --- |"]
    for name, attribute in attributes.items():
        default = "required" if attribute.required else f"`{_default(attribute)}`"
        vendor = f"`{attribute.vendor}`" if attribute.vendor else ""
        cells = [f"`{name}`", attribute.takes, default, attribute.about, vendor]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows


def schema(rules: Rules) -> str:
    return _json(schema_of(rules))


def _json(schema: Schema) -> str:
    return json.dumps(schema, indent=2) + "\n"


def settings(rules: Rules) -> str:
    """The reference of axbuild.toml: a row a setting."""
    lines = [
        "# Settings",
        "",
        "Generated from the settings by `make docs`. They stand in `axbuild.toml` under the section before the point;",
        "an environment variable stands over the file, the command line over both. `[config.<name>.<section>]` holds",
        "settings that only `--config <name>` applies, `[defaults.<rule>]` defaults of a rule's attributes.",
        "",
        "| setting | environment variable | takes | default | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for key, known in KNOWN.items():
        variable = PREFIX + key.upper().replace(".", "_")
        lines.append(f"| `{key}` | `{variable}` | {known.takes} | `{shown(known.default)}` | {known.about} |")
    return "\n".join(lines) + "\n"


def pulsar2(rules: Rules) -> str:
    """The reference of the vendor's fields, each with the attribute that says the same."""
    said: dict[str, list[str]] = {}
    for rule in rules.values():
        for name, attribute in rule.attributes.items():
            said.setdefault(attribute.vendor, []).append(f"`{rule.name}.{name}`")
            for inner in attribute.fields if attribute.vendor and isinstance(attribute, OneRecord) else ():
                said.setdefault(f"{attribute.vendor}.{inner}", []).append(f"`{rule.name}.{name}.{inner}`")
    return fields_page({field: ", ".join(names) for field, names in said.items()})


PAGES = (
    Page("BUILD.example.toml", example),
    Page("docs/reference/rules.md", reference),
    Page("docs/reference/BUILD.schema.json", schema),
    Page("docs/reference/settings.md", settings),
    Page("docs/reference/operators.md", lambda rules: operators()),
    Page("docs/reference/pulsar2.md", pulsar2),
    Page("docs/reference/pulsar2.schema.json", lambda rules: _json(json_schema())),
)


def main(arguments: list[str]) -> int:
    """Write or compare every page; the exit code of the command."""
    if arguments not in (["--write"], ["--check"]):
        print("usage: python -m axbuild.report.pages --write | --check", file=sys.stderr)
        return 2
    stale = [page for page in PAGES if not page.path.is_file() or page.path.read_text() != page.render()]
    for page in stale:
        if arguments == ["--write"]:
            page.path.parent.mkdir(parents=True, exist_ok=True)
            page.path.write_text(page.render())
            print(f"wrote {page.name}")
        else:
            print(f"{page.name} is not what the rules say: run `make docs`", file=sys.stderr)
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
