"""`axbuild info`"""

from __future__ import annotations

import difflib
import json
import sys
from typing import Any

import click

from axbuild.cli.common import config_option, here, json_option
from axbuild.engine.code.platform import float_platform
from axbuild.engine.run.claims import FOLDER
from axbuild.engine.run.resources import machine_cpus, machine_memory_gb
from axbuild.errors import AxError
from axbuild.report.style import Style
from axbuild.version import __version__
from axbuild.workspace.attributes import shown
from axbuild.workspace.rule import Rule
from axbuild.workspace.workspace import Workspace


class NoSuchRule(AxError):
    code = "AX255"

    def __init__(self, name: str, known: list[str]) -> None:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"the rules are {', '.join(known)}"
        super().__init__(f"there is no rule '{name}'", hint=hint)


@click.command("info")
@click.argument("rule", required=False)
@json_option
@config_option
def command(rule: str | None, as_json: bool, config: tuple[str, ...]) -> int:
    """Show the workspace, its cache and settings; or, with the name of a RULE, its attributes and their defaults."""
    workspace = here(config)
    if rule is not None:
        known = workspace.rules.rules
        if rule not in known:
            raise NoSuchRule(rule, sorted(known))
        _print_rule(known[rule])
        return 0
    facts = _facts(workspace)
    if as_json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' ') + ':':<16} {_text(name, value)}")
    return 0


def _facts(workspace: Workspace) -> dict[str, Any]:
    settings = workspace.settings
    return {
        "version": __version__,
        "workspace": str(workspace.root),
        "outputs": str(workspace.root / FOLDER),
        "cache": str(workspace.cache_dir),
        "cache_bytes": _size(workspace),
        "jobs": settings.jobs or machine_cpus(),
        "cpu": settings.resources["cpu"] or machine_cpus(),
        "memory_gb": settings.resources["memory_gb"] or machine_memory_gb(),
        "gpu": settings.resources["gpu"],
        "float_platform": "shared" if settings.share_float else float_platform(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
        "rules": sorted(workspace.rules.rules),
    }


def _size(workspace: Workspace) -> int:
    folder = workspace.cache_dir / "cas"
    return sum(path.stat().st_size for path in folder.glob("*/*")) if folder.is_dir() else 0


def _text(name: str, value: Any) -> str:
    if name == "cache_bytes":
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _print_rule(rule: Rule) -> None:
    style = Style(sys.stdout)
    print(f"{style('bold', rule.name)}: {rule.about}\n")
    for name, attribute in rule.attributes.items():
        default = "required" if attribute.required else f"default {shown(attribute.default)}"
        if attribute.default is None and not attribute.required:
            default = "optional"
        print(f"  {style('cyan', name)} ({default})\n      {attribute.about}")
