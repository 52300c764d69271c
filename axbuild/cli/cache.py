"""`axbuild cache`: what it holds, keeping it small, checking it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from axbuild.cli.common import config_option, here, json_option
from axbuild.report.cache import plan_text, stats_text, verdict_text
from axbuild.report.style import Style
from axbuild.store.accounting import stats
from axbuild.store.gc import BeingCollected, Collection, Limits, collect
from axbuild.store.store import Store
from axbuild.store.verify import CacheDamaged, verify
from axbuild.workspace.workspace import Workspace


@click.group("cache")
def command() -> None:
    """Show, collect or check the cache."""


@command.command("stats")
@json_option
@config_option
def stats_command(as_json: bool, config: tuple[str, ...]) -> int:
    """Show what the cache holds: in all, by stage, and what each target costs.

    `own` bytes would be freed if that one were no more; `shared` ones another of the same table has too. A target
    counts with its own actions' results, as they are now.
    """
    workspace = here(config)
    with Store(workspace.cache_dir, only_read=True) as store:
        found = stats(store, _limits(workspace), workspace.id)
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print(stats_text(found, Style(sys.stdout)))
    return 0


@command.command("gc")
@click.option("--dry_run", "--dry-run", "-n", is_flag=True, help="Say what would go, and why; remove nothing.")
@click.option(
    "--size_gb", "--size-gb", type=click.FloatRange(min=0), metavar="N", help="Instead of size_gb; 0 is none."
)
@click.option(
    "--max_age_days", "--max-age-days", type=click.FloatRange(min=0), metavar="N", help="Instead of max_age_days."
)
@json_option
@config_option
def gc_command(
    dry_run: bool, size_gb: float | None, max_age_days: float | None, as_json: bool, config: tuple[str, ...]
) -> int:
    """Remove what was not used for too long, and what was used least recently, until the cache fits.

    Builds do this by themselves. What a build under way may need, and what the newest snapshot of each work tree
    covers, stays.
    """
    workspace = here(config)
    with Store(workspace.cache_dir, only_read=dry_run) as store:
        try:
            plan = collect(store, _limits(workspace, size_gb, max_age_days), dry_run=dry_run)
        except BeingCollected as error:  # what was asked for is being done
            if as_json:
                print(json.dumps({"being_collected": True}))
            else:
                print(error.sentence)
            return 0
    if as_json:
        print(json.dumps(_record(plan, dry_run)))
    else:
        print(plan_text(plan, Style(sys.stdout), dry_run))
    return 0


@command.command("verify")
@click.option("--repair", is_flag=True, help="Remove what is damaged; builds make it again.")
@json_option
@config_option
def verify_command(repair: bool, as_json: bool, config: tuple[str, ...]) -> int:
    """Read the whole cache and say what is damaged, and which action would make it again.

    Exit code 3 where something is, 0 where nothing is or --repair has removed it.
    """
    workspace = here(config)
    with Store(workspace.cache_dir, only_read=not repair) as store:
        verdict = verify(store, repair)
    if as_json:
        print(json.dumps(asdict(verdict)))
    else:
        print(verdict_text(verdict, Style(sys.stdout), repair))
    if verdict.findings and not repair:
        raise CacheDamaged(len(verdict.findings), str(workspace.cache_dir))
    return 0


def _limits(workspace: Workspace, size_gb: float | None = None, max_age_days: float | None = None) -> Limits:
    settings = workspace.settings
    return Limits.of(
        settings.cache_size_gb if size_gb is None else size_gb,
        settings.cache_max_age_days if max_age_days is None else max_age_days,
    )


def _record(plan: Collection, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "bytes": plan.bytes,
        "freed_bytes": plan.freed_bytes,
        "over_bytes": plan.over_bytes,
        "blobs": [
            {"digest": blob.digest, "bytes": blob.size, "used": round(blob.used), "why": why}
            for blob, why in plan.blobs
        ],
        "snapshots": [{"path": str(path), "why": why} for path, why in plan.snapshots],
        "leftovers": [str(path) for path in plan.leftovers],
        "records": len(plan.rows),
    }
