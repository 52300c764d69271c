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
from axbuild.engine.run.stale import stale
from axbuild.errors import AxError, counted
from axbuild.report.rule_page import rule_text
from axbuild.report.style import Style
from axbuild.version import __version__
from axbuild.workspace.rule import Rule
from axbuild.workspace.rulepack import load_rules
from axbuild.workspace.workspace import NoWorkspace, Workspace


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
    """Show the workspace, its cache and settings; or, with the name of a RULE, what may be written in its tables."""
    if rule is not None:
        print(rule_text(rule_named(rule), sys.stdout))
        return 0
    facts = _facts(here(config))
    if as_json:
        print(json.dumps(facts))
    else:
        style = Style(sys.stdout)
        for name, value in facts.items():
            print(style.at_words(f"{name.replace('_', ' ') + ':':<16} {_text(name, value)}"))
    return 0


def _facts(workspace: Workspace) -> dict[str, Any]:
    settings = workspace.settings
    return {
        "version": __version__,
        "workspace": str(workspace.root),
        "outputs": str(workspace.root / FOLDER),
        "stale_outputs": stale(workspace),
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
    if name == "stale_outputs":
        gone = f"{counted(len(value), 'target')} that {'is' if len(value) == 1 else 'are'} gone"
        return f"of {gone}; `axbuild clean --stale` removes them" if value else "none"
    return ", ".join(value) if isinstance(value, list) else str(value)


def rule_named(name: str) -> Rule:
    """A rule of the workspace around the current folder, elsewhere a standard one."""
    try:
        known = here().rules.rules
    except NoWorkspace:
        known = load_rules(None).rules
    if name not in known:
        raise NoSuchRule(name, sorted(known))
    return known[name]
