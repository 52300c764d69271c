"""What the cache holds, what a collection removes and what a check found, as text."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence

from axbuild.errors import counted
from axbuild.report.style import Style
from axbuild.store.accounting import Share, Stats
from axbuild.store.gc import Collection
from axbuild.store.verify import Verification

MOST_ROWS = 20
_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(number: float) -> str:
    """1.24 MB: three figures, in powers of 1000."""
    for unit in _UNITS[:-1]:
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} {_UNITS[-1]}"


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for unit, length in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        number = int(seconds // length)
        if number:
            return f"{counted(number, unit)} ago"
    return "just now"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns in line; the first one to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def stats_text(stats: Stats, style: Style) -> str:
    limits, now = stats.limits, time.time()
    limit = "no limit" if limits.size_bytes is None else f"limit {size(limits.size_bytes)}"
    keeps = "kept however old" if limits.age_seconds is None else f"kept {limits.age_seconds / 86400:g} days unused"
    held = {
        ("results in files", size(stats.blob_bytes)): f"{counted(stats.blobs, 'file')}, {limit}, {keeps}",
        ("  of earlier builds", size(stats.earlier_bytes)): "no target has them now",
        ("  of unfinished actions", size(stats.unnamed_bytes)): "no result names them",
        ("records", size(stats.bookkeeping_bytes)): _records(stats),
    }
    remarked = zip(table(list(held)), held.values(), strict=True)
    lines = [style("bold", f"cache {stats.folder}"), *(f"{line}  {remark}" for line, remark in remarked)]
    collected = "never" if stats.collected is None else age(now - stats.collected)
    oldest = "" if stats.oldest_use is None else f", oldest use {age(now - stats.oldest_use)}"
    lines.append(f"last collected {collected}{oldest}, {counted(stats.builds_running, 'build')} under way")
    lines += _shares("stage", "results", stats.stages, style)
    lines += _shares("target", "actions", stats.targets, style)
    lines += ["", style("bold", "work trees")]
    lines += table([(tree.root or tree.id, f"used {age(now - tree.used)}") for tree in stats.work_trees[:MOST_ROWS]])
    return style.at_words("\n".join(lines))


def _records(stats: Stats) -> str:
    known = counted(stats.results, "result")
    return f"{known}, {stats.collected_results:,} of them collected" if stats.collected_results else known


def _shares(kind: str, results: str, shares: Sequence[Share], style: Style) -> list[str]:
    if not shares:
        return []
    head = (kind, results, "bytes", "own", "shared")
    rows = [
        (
            share.name,
            f"{share.results:,}",
            size(share.bytes),
            size(share.own_bytes),
            size(share.bytes - share.own_bytes),
        )
        for share in shares[:MOST_ROWS]
    ]
    first, *rest = table([head, *rows])
    more = [f"and {len(shares) - MOST_ROWS} more (--json has all)"] if len(shares) > MOST_ROWS else []
    return ["", style("bold", first), *rest, *(style("dim", line) for line in more)]


def plan_text(plan: Collection, style: Style, dry_run: bool) -> str:
    """What goes and why, in sums."""
    verb = "would remove" if dry_run else "removed"
    lines = []
    for why, blobs in _by_reason(plan):
        lines.append((f"{verb} {size(sum(blobs))}", f"{counted(len(blobs), 'file')} {why}"))
    snapshots = Counter(why for _, why in plan.snapshots)
    lines += [(f"{verb} {counted(number, 'snapshot')}", why) for why, number in snapshots.items()]
    if plan.leftovers:
        lines.append((f"{verb} {counted(len(plan.leftovers), 'leftover')}", "of killed builds or lost workspaces"))
    if plan.rows:
        lines.append((f"{verb} {counted(len(plan.rows), 'record')}", "of results long gone"))
    said = [f"{what}: {why}" for what, why in lines] or ["nothing to remove"]
    limit = plan.limits.size_bytes
    held = f"the cache {'would hold' if dry_run else 'holds'} {size(plan.left_bytes)}"
    said.append(held + (", no limit" if limit is None else f" of {size(limit)}"))
    if plan.over_bytes:
        said.append(style("yellow", "all of it is in use: raise size_gb under [cache] in axbuild.toml to hold more"))
    return "\n".join(said)


def _by_reason(plan: Collection) -> Iterable[tuple[str, list[int]]]:
    reasons: dict[str, list[int]] = {}
    for blob, why in plan.blobs:
        reasons.setdefault(why, []).append(blob.size)
    return reasons.items()


def verdict_text(verdict: Verification, style: Style, repaired: bool) -> str:
    lines = []
    for one in verdict.findings:
        who = f" ({', '.join(one.makers)})" if one.makers else ""
        done = f": {one.repair}" if repaired else ""
        lines.append(f"{style('red', one.kind)} {one.name}: {one.what}{who}{done}")
    gone = f", {verdict.collected:,} of them collected" if verdict.collected else ""
    lines.append(
        f"checked {counted(verdict.blobs, 'file')} ({size(verdict.bytes)} whole) and "
        f"{counted(verdict.results, 'result')}{gone}: "
        + (style("green", "all is well") if not verdict.findings else f"{len(verdict.findings)} damaged")
    )
    return "\n".join(lines)
