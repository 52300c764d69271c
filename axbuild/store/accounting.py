"""What a cache holds, and for whom: by the stage that made it, and by the target that has it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from axbuild.dataclass import dataclass, field
from axbuild.store.gc import Limits, last_time, scan
from axbuild.store.remembered import LastOf, remembered
from axbuild.store.result import digests_of
from axbuild.store.rows import NoRows
from axbuild.store.store import ROOT, Store


@dataclass(frozen=True)
class Share:
    """bytes: of all blobs that have to do with `name`, each counted once. own_bytes: those that nothing else in the
    same table has, and that would go with it. results: of actions, now or (for a stage) ever."""

    name: str
    results: int
    bytes: int
    own_bytes: int


@dataclass(frozen=True)
class WorkTree:
    """root: "" where the path was never written down. used: seconds since 1970, of its latest state."""

    id: str
    root: str
    used: float
    snapshots: int


@dataclass
class Stats:
    """blob_bytes: of `blobs` files. earlier_bytes: of blobs that no action of a workspace has now. unnamed_bytes: of
    blobs that no result names (their build was killed, or its result lost). collected: bytes of results, still known,
    whose blobs are gone. limits and times as in `gc`."""

    folder: str
    limits: Limits
    blobs: int = 0
    blob_bytes: int = 0
    earlier_bytes: int = 0
    unnamed_bytes: int = 0
    results: int = 0
    collected_results: int = 0
    bookkeeping_bytes: int = 0
    collected: float | None = None
    oldest_use: float | None = None
    builds_running: int = 0
    stages: list[Share] = field(default_factory=list)
    targets: list[Share] = field(default_factory=list)
    work_trees: list[WorkTree] = field(default_factory=list)


def stats(store: Store, limits: Limits, workspace_id: str) -> Stats:
    """Count everything; targets are those of one workspace."""
    blobs = {blob.digest: blob for blob in scan(store, time.time())}
    sizes = {digest: blob.size for digest, blob in blobs.items()}
    found = Stats(str(store.directory), limits, len(sizes), sum(sizes.values()))
    found.oldest_use = min((blob.used for blob in blobs.values()), default=None)
    found.collected = last_time(store)
    found.builds_running = len(store.other_leases())
    results, lasts = _rows(store)
    found.results = len(results)
    found.collected_results = sum(any(d not in sizes for d in digests) for _, digests in results.values())
    current = {digest for _, _, key in lasts if key in results for digest in results[key][1]}
    named = {digest for _, digests in results.values() for digest in digests}
    found.earlier_bytes = _bytes(named - current, sizes)
    found.unnamed_bytes = _bytes(sizes.keys() - named, sizes)
    found.stages = _shares(((stage, digests) for stage, digests in results.values()), sizes)
    ours = ((label, results[key][1]) for workspace, label, key in lasts if workspace == workspace_id and key in results)
    found.targets = _shares(ours, sizes)
    found.work_trees = sorted(_work_trees(store), key=lambda tree: -tree.used)
    found.bookkeeping_bytes = _size_of(store.directory / "results") + _size_of(store.directory / "workspaces")
    return found


def _rows(store: Store) -> tuple[dict[str, tuple[str, tuple[str, ...]]], list[tuple[str, str, str]]]:
    """key -> (stage, digests of its outputs); (workspace, label, last key)."""
    results: dict[str, tuple[str, tuple[str, ...]]] = {}
    lasts: list[tuple[str, str, str]] = []
    try:
        rows = store.results.rows()
    except NoRows:
        return results, lasts
    with closing(rows):
        for one in remembered(rows):
            if isinstance(one, LastOf):
                lasts.append((one.workspace, one.label, one.key))
            else:
                stage = str(one.result.key_record.get("stage", ""))
                results[one.key] = stage, tuple(digests_of(one.result.outputs))
    return results, lasts


def _shares(parts: Iterable[tuple[str, Iterable[str]]], sizes: Mapping[str, int]) -> list[Share]:
    """One share a name, the largest first."""
    digests: defaultdict[str, set[str]] = defaultdict(set)
    results: Counter[str] = Counter()
    for name, named in parts:
        digests[name].update(digest for digest in named if digest in sizes)
        results[name] += 1
    holders = Counter(digest for held in digests.values() for digest in held)
    shares = [
        Share(name, results[name], _bytes(held, sizes), _bytes((d for d in held if holders[d] == 1), sizes))
        for name, held in digests.items()
    ]
    return sorted(shares, key=lambda share: (-share.bytes, share.name))


def _bytes(digests: Iterable[str], sizes: Mapping[str, int]) -> int:
    return sum(sizes.get(digest, 0) for digest in digests)


def _work_trees(store: Store) -> Iterable[WorkTree]:
    for folder in (store.directory / "workspaces").iterdir():
        try:
            root = (folder / ROOT).read_bytes().decode("utf-8", "replace")
        except OSError:
            root = ""
        used = max((path.stat().st_mtime for path in folder.glob("**/*")), default=folder.stat().st_mtime)
        yield WorkTree(folder.name, root, used, sum(1 for _ in folder.glob("snapshots/*.keys")))


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("**/*") if path.is_file())
