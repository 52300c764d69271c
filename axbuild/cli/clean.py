"""`axbuild clean`"""

from __future__ import annotations

import shutil

import click

from axbuild.cli.common import here
from axbuild.engine.run.claims import FOLDER
from axbuild.engine.run.outputs import clean, clean_target
from axbuild.engine.run.stale import stale
from axbuild.errors import AxError
from axbuild.store.locks import FileLock
from axbuild.store.store import refuse_what_is_no_folder
from axbuild.workspace.workspace import Workspace


class CacheInUse(AxError):
    code = "AX951"

    def __init__(self, folder: str) -> None:
        super().__init__(f"a build is using the cache in {folder}; it is not removed", hint="wait until it has ended")


@click.command("clean")
@click.option("--cache", is_flag=True, help="Remove the cache too: the next build runs everything.")
@click.option("--stale", "only_stale", is_flag=True, help="Remove the outputs of targets that are gone, and no others.")
def command(cache: bool, only_stale: bool) -> int:
    """Remove axbuild-out; the next build puts the same files there from the cache."""
    workspace = here()
    if only_stale:
        if cache:
            raise click.UsageError("--stale and --cache contradict each other")
        return _clean_stale(workspace)
    done = clean(workspace.root)
    click.echo(f"removed {FOLDER}" if done else f"there is no {FOLDER}")
    if cache:
        refuse_what_is_no_folder(workspace.cache_dir)
    if cache and workspace.cache_dir.exists():
        leases = workspace.cache_dir / "leases"
        for path in leases.iterdir() if leases.is_dir() else ():
            lease = FileLock(path)
            if not lease.acquire(block=False):
                raise CacheInUse(str(workspace.cache_dir))
            lease.release()
        # Only what a store makes is removed: a setting may point the cache at a folder that holds more.
        for name in ("cas", "results", "locks", "leases", "tmp", "workspaces"):
            shutil.rmtree(workspace.cache_dir / name, ignore_errors=True)
        for path in workspace.cache_dir.glob("results.damaged-*"):
            shutil.rmtree(path, ignore_errors=True)
        (workspace.cache_dir / "collected").unlink(missing_ok=True)
        click.echo(f"removed the cache in {workspace.cache_dir}")
    return 0


def _clean_stale(workspace: Workspace) -> int:
    gone = stale(workspace)
    for label in gone:
        clean_target(workspace.root, label)
        click.echo(f"removed the outputs of {label}")
    if not gone:
        click.echo(f"{FOLDER} holds nothing of targets that are gone")
    return 0
