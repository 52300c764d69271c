"""Collection: what has gone unused for too long goes, then what was used least recently, until the cache fits.

What counts as a use: a build asks for a blob (its modification time is that, to ten minutes), or a living snapshot
covers its action. A snapshot is a build's answer kept outside of the store (see `engine/noop/snapshot`); it lists the
keys it rests on in `workspaces/<id>/snapshots/*.keys`, whose modification time is its last use, and is dead once that
list is gone: so the list goes first, and a snapshot never promises what was collected.

Never collected: what the collecting build used itself; what another build under way may count on, which is everything
used since ten minutes before it opened the cache; the newest snapshot of each workspace, unless by age. So the cache
may be larger than its limit, and then says so.

Results stay when their blobs go (`why` compares with them), until no action of a workspace has one as its last and
the age is past; a map of code goes with the last result whose key names it. Wrong clocks: a use in the future is a use
now, and age counts only from one collection to the next while they are less than that age apart, so that a clock that
jumped ahead does not empty the cache.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from axbuild.dataclass import dataclass, field
from axbuild.errors import AxError
from axbuild.store.blobs import USED_EVERY_SECONDS
from axbuild.store.digests import is_digest
from axbuild.store.faults import CacheNotWritable, DiskFull, RefusedRow, told_as_store_errors
from axbuild.store.locks import FileLock
from axbuild.store.records import read_record, write_record
from axbuild.store.result import digests_of, result_of
from axbuild.store.rows import Identity, NoRows, NothingThere
from axbuild.store.store import ROOT, Store, is_read_only

VERSION = 1
DAY = 24 * 3600.0
LOW_WATER = 0.9
"""a cache above its limit is brought down to this part of it, so that not every build collects"""

BUILD_SECONDS = 2.0
"""what the end of a build spends on removing; the next one goes on"""

KEYS_MAGIC = "axbuild-snapshot-keys/1"
_TEMPORARY_SECONDS = DAY
_HEX = re.compile(r"[0-9a-f]{64}")
_CODE = re.compile(r'"code":"([0-9a-f]{64})"')


class BeingCollected(AxError):
    code = "AX910"

    def __init__(self, folder: Path) -> None:
        super().__init__(f"another process is collecting the cache in {folder}", hint="wait until it has ended")


@dataclass(frozen=True)
class Limits:
    """size_bytes: of all blobs. age_seconds: since the last use. None is no limit."""

    size_bytes: float | None
    age_seconds: float | None

    @staticmethod
    def of(size_gb: float, max_age_days: float) -> Limits:
        """As in axbuild.toml, where 0 is no limit."""
        return Limits(size_gb * 1e9 if size_gb else None, max_age_days * DAY if max_age_days else None)


@dataclass
class StoredBlob:
    """used: last use, seconds since 1970. snapshot: number of the newest living snapshot that covers it, or -1."""

    digest: str
    size: int
    used: float
    snapshot: int = -1
    intermediate: bool = False
    stamp_ns: int = 0


@dataclass(frozen=True)
class LivingSnapshot:
    """path: the list of its keys. file: the snapshot itself."""

    path: Path
    file: Path
    used: float
    keys: tuple[str, ...]

    @property
    def workspace(self) -> Path:
        return self.path.parent


@dataclass
class Collection:
    """blobs: (which, why) in the order in which they go. snapshots, leftovers, rows: files and rows that go.
    refreshed: blobs whose files do not say yet that a snapshot has used them.

    bytes: of all blobs before. aged: whether age was judged at all (not after a jump of the clock).
    """

    limits: Limits
    bytes: int = 0
    count: int = 0
    blobs: list[tuple[StoredBlob, str]] = field(default_factory=list)
    snapshots: list[tuple[Path, str]] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    rows: list[Identity] = field(default_factory=list)
    refreshed: list[StoredBlob] = field(default_factory=list)
    aged: bool = True

    @property
    def freed_bytes(self) -> int:
        return sum(blob.size for blob, _ in self.blobs)

    @property
    def left_bytes(self) -> int:
        return self.bytes - self.freed_bytes

    @property
    def over_bytes(self) -> int:
        """How far above the limit the cache stays, since all the rest is in use."""
        limit = self.limits.size_bytes
        return 0 if limit is None else max(0, int(self.left_bytes - limit))


def collect_if_due(store: Store, limits: Limits) -> Collection | None:
    """At the end of a build that ran something: a look at one small file, and once a day, or when the cache has grown
    above its limit, a collection. None where none was due, or where another process is at it."""
    last = _last(store)
    size = last.bytes + store.blobs.added_bytes
    above = limits.size_bytes is not None and size > max(limits.size_bytes, last.settled * 1.05)
    if 0 <= time.time() - last.time < DAY and not above:
        with suppress(DiskFull, CacheNotWritable):  # lost, it costs a collection too many
            write_record(_file(store), VERSION, [last.time, size, last.settled])
        return None
    try:
        return collect(store, limits, seconds=BUILD_SECONDS, trust_clock=False)
    except BeingCollected:
        return None


def collect(
    store: Store, limits: Limits, *, dry_run: bool = False, seconds: float = math.inf, trust_clock: bool = True
) -> Collection:
    """Plan, and unless it is a dry run, remove for at most so many seconds. Raises BeingCollected."""
    if dry_run and is_read_only(store.directory):  # a question, and no lock can be made there
        return plan(store, limits)
    lock = FileLock(store.directory / "locks" / "collect")
    if not lock.acquire(block=False):
        raise BeingCollected(store.directory)
    try:
        with told_as_store_errors(store.directory):
            return _collect(store, limits, dry_run, seconds, trust_clock)
    finally:
        lock.release()


def warning(plan: Collection) -> tuple[str, str]:
    """(code, sentence) for a cache that stays above its limit."""
    held, limit = plan.left_bytes / 1e9, (plan.limits.size_bytes or 0) / 1e9
    return "AX908", (
        f"the cache holds {held:.3g} GB, above its limit of {limit:.3g} GB, and all of it is in use: "
        "raise size_gb under [cache] in axbuild.toml"
    )


def _collect(store: Store, limits: Limits, dry_run: bool, seconds: float, trust_clock: bool) -> Collection:
    made = plan(store, limits, None if trust_clock else _last(store))
    if not dry_run:
        done = _carry_out(store, made, time.monotonic() + seconds)
        with suppress(DiskFull):
            write_record(_file(store), VERSION, [time.time(), made.left_bytes, made.left_bytes if done else 0])
    return made


@dataclass(frozen=True)
class Last:
    """time: of the last collection. bytes: of blobs then and of what builds added since. settled: what it left."""

    time: float = 0.0
    bytes: int = 0
    settled: int = 0


def _file(store: Store) -> Path:
    return store.directory / "collected"


def _last(store: Store) -> Last:
    record = read_record(_file(store), VERSION)
    return Last(*record) if isinstance(record, list) and len(record) == 3 else Last()


def last_time(store: Store) -> float | None:
    """When the cache was last collected; None where it never was."""
    return _last(store).time or None


def plan(store: Store, limits: Limits, last: Last | None = None) -> Collection:
    """What would go now, and why; changes nothing. last: the collection to count age from; None: asked for by hand,
    trust the clock and look at everything."""
    by_hand, last, now = last is None, last or Last(), time.time()
    began = store.others_began()
    plan = Collection(limits)
    blobs = {blob.digest: blob for blob in scan(store, now)}
    plan.bytes, plan.count = sum(blob.size for blob in blobs.values()), len(blobs)
    # The first collection of all has no other to count from, and a cache that is new has nothing old.
    plan.aged = not last.time or limits.age_seconds is None or 0 <= now - last.time < limits.age_seconds
    oldest = now - limits.age_seconds if limits.age_seconds is not None and plan.aged else 0.0
    living = _snapshots(store, plan, oldest, now)
    fits = limits.size_bytes is None or plan.bytes <= limits.size_bytes
    if fits and not by_hand and all(blob.used >= oldest for blob in blobs.values()):
        plan.leftovers = _leftovers(store, living, now, oldest)
        return plan  # and spare the reading of all rows, which is nearly all of the work
    if not _mark(store, plan, blobs, living, oldest):
        return plan
    safe_from = now + 1 if began is None else began - USED_EVERY_SECONDS
    free = [blob for blob in blobs.values() if blob.digest not in store.blobs.used and blob.used < safe_from]
    free.sort(key=lambda blob: blob.used)
    _by_age(plan, free, oldest)
    if limits.size_bytes is not None and plan.left_bytes > limits.size_bytes:
        _by_size(plan, free, living, limits.size_bytes)
    plan.leftovers = _leftovers(store, living, now, oldest)
    plan.refreshed = [blob for blob in blobs.values() if blob.used > blob.stamp_ns / 1e9 + DAY]
    return plan


def scan(store: Store, now: float) -> Iterator[StoredBlob]:
    """Every blob in the folder."""
    cas = str(store.blobs.folder)
    for shard in os.listdir(cas):  # noqa: PTH208  # a hundred thousand files: names and one stat each
        with os.scandir(f"{cas}/{shard}") as entries:
            for entry in entries:
                if is_digest(entry.name):
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    yield StoredBlob(entry.name, found.st_size, min(found.st_mtime, now), stamp_ns=found.st_mtime_ns)


def _snapshots(store: Store, plan: Collection, oldest: float, now: float) -> list[LivingSnapshot]:
    """The living ones, newest first; the others go."""
    living = []
    for path in (store.directory / "workspaces").glob("*/snapshots/*.keys"):
        try:
            used, text = min(path.stat().st_mtime, now), path.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            continue
        lines = text.split("\n")
        keys = tuple(filter(None, lines[2:]))
        if lines[0] != KEYS_MAGIC or len(lines) < 2 or not all(map(is_digest, keys)):
            plan.snapshots.append((path, "damaged"))
        elif not Path(lines[1]).exists():
            plan.snapshots.append((path, "its snapshot is gone"))
        elif used < oldest:
            plan.snapshots.append((path, "not used for too long"))
        else:
            living.append(LivingSnapshot(path, Path(lines[1]), used, keys))
    return sorted(living, key=lambda snapshot: -snapshot.used)


def _mark(
    store: Store, plan: Collection, blobs: dict[str, StoredBlob], living: list[LivingSnapshot], oldest: float
) -> bool:
    """Read the rows once: which blobs living snapshots cover, which are intermediate, which rows have had their day.

    False where the rows cannot be read: then nothing is known well enough to remove a blob.
    """
    newest: dict[str, int] = {}
    for number, snapshot in enumerate(living):
        for key in snapshot.keys:
            newest.setdefault(key, number)
    lasting: set[str] = set()
    ended: list[tuple[Identity, str, str]] = []
    code: dict[str, Identity] = {}
    held: set[str] = set()
    try:
        rows = store.results.rows()
    except NothingThere:
        return True
    except NoRows:
        return False
    try:
        for row in rows.all():
            kind, _, rest = (row.name or "").partition("/")
            if kind == "last":
                if (store.directory / "workspaces" / rest.partition("/")[0]).is_dir():
                    lasting.update(_HEX.findall(row.text))
                else:
                    plan.rows.append(row.identity)
            if kind == "code" and row.stored < oldest:
                code[rest] = row.identity
            if kind != "result":
                continue
            # Every digest in the row, its inputs' too: they are as living as it is, and JSON costs ten times as much.
            named = [blobs[digest] for digest in set(_HEX.findall(row.text)) if digest in blobs]
            if rest in newest:
                for blob in named:
                    if blob.snapshot < 0 or blob.snapshot > newest[rest]:
                        blob.snapshot = newest[rest]
                        blob.used = max(blob.used, living[newest[rest]].used)
            if '"intermediate":true' in row.text:
                with suppress(RefusedRow):  # it is no result, and nothing of it is known
                    _mark_intermediate(row.value(), blobs)
            found = _CODE.search(row.text)
            used = found[1] if found else ""
            if row.stored < oldest and not named:
                ended.append((row.identity, rest, used))
            else:
                held.add(used)
    except (NoRows, RefusedRow):
        plan.rows.clear()
        return False
    finally:
        rows.close()
    held.update(used for _, key, used in ended if key in lasting)
    plan.rows += [identity for identity, key, _ in ended if key not in lasting]
    plan.rows += [identity for digest, identity in code.items() if digest not in held]
    return True


def _mark_intermediate(value: object, blobs: dict[str, StoredBlob]) -> None:
    result = result_of(value)
    for digest in digests_of(result.outputs) if result and result.intermediate else ():
        if digest in blobs:
            blobs[digest].intermediate = True


def _by_age(plan: Collection, free: list[StoredBlob], oldest: float) -> None:
    for blob in free:
        if blob.used < oldest:
            plan.blobs.append((blob, "not used for too long"))


def _by_size(plan: Collection, free: list[StoredBlob], living: list[LivingSnapshot], limit: float) -> None:
    """What no snapshot covers, intermediates first; then snapshots, and what they alone cover; oldest use first."""
    going = {blob.digest for blob, _ in plan.blobs}
    left, target = plan.left_bytes, limit * LOW_WATER
    loose = [blob for blob in free if blob.snapshot < 0 and blob.digest not in going]
    for blob in sorted(loose, key=lambda blob: not blob.intermediate):
        if left <= target:
            return
        plan.blobs.append((blob, "intermediate" if blob.intermediate else "used least recently"))
        left -= blob.size
    kept = {snapshot.workspace: number for number, snapshot in reversed(list(enumerate(living)))}
    for number in reversed(range(len(living))):
        if left <= limit:
            return
        if kept[living[number].workspace] == number:
            continue
        plan.snapshots.append((living[number].path, "used least recently"))
        for blob in free:
            if blob.snapshot == number and blob.digest not in going:
                plan.blobs.append((blob, "covered by the snapshot used least recently"))
                left -= blob.size


def _leftovers(store: Store, living: list[LivingSnapshot], now: float, oldest: float) -> list[Path]:
    """What killed processes left, damaged databases put aside, and the state of workspaces that are no more."""
    found = list(_left_in_cache(store, now, oldest))
    for folder in {snapshot.file.parent for snapshot in living}:
        found += [path for path in folder.glob("*.[0-9]*") if path.stat().st_mtime < now - _TEMPORARY_SECONDS]
    return found


def _left_in_cache(store: Store, now: float, oldest: float) -> Iterator[Path]:
    for path in store.directory.glob("results.damaged-*"):
        if path.stat().st_mtime < oldest:
            yield path
    for folder in (store.directory / "workspaces").iterdir():
        if _is_abandoned(folder, oldest):
            yield folder
            continue
        for path in (*folder.glob(".*.[0-9]*"), *folder.glob("*.msgpack.[0-9]*"), *folder.glob("snapshots/.*")):
            if path.stat().st_mtime < now - _TEMPORARY_SECONDS:
                yield path


def _is_abandoned(folder: Path, oldest: float) -> bool:
    """Whether the workspace itself is gone, and nothing of its state was used for as long as results are kept."""
    try:
        root = Path(os.fsdecode((folder / ROOT).read_bytes()))
    except OSError:
        root = None
    used = max((path.stat().st_mtime for path in folder.glob("**/*")), default=folder.stat().st_mtime)
    return used < oldest and not (root and (root / "axbuild.toml").is_file())


def _carry_out(store: Store, plan: Collection, deadline: float) -> bool:
    """Whether all of it was done in time; what was not stays out of the plan."""
    import shutil

    for path, _ in plan.snapshots:
        path.unlink(missing_ok=True)
    leases = store.directory / "leases"
    seen, safe_from = leases.stat().st_mtime_ns, math.inf
    planned, plan.blobs, done = plan.blobs, [], True
    for blob, why in planned:
        if leases.stat().st_mtime_ns != seen:  # a build has begun meanwhile, or ended
            seen, began = leases.stat().st_mtime_ns, store.others_began()
            safe_from = math.inf if began is None else began - USED_EVERY_SECONDS
        if time.monotonic() > deadline:
            done = False
            break
        if blob.used < safe_from and _remove(store, blob):
            plan.blobs.append((blob, why))
    for blob in plan.refreshed:
        with suppress(OSError):  # gone meanwhile, or another user's
            os.utime(store.blobs.path(blob.digest), (blob.used, blob.used))
    for path in plan.leftovers:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if plan.rows:
        store.results.forget(plan.rows)
    for shard in {blob.digest[:2] for blob, _ in plan.blobs}:
        store.blobs.tidy_fingerprints(shard)
    return done


def _remove(store: Store, blob: StoredBlob) -> bool:
    """Whether the blob is gone; one that was used since the plan was made stays."""
    path = store.blobs.path(blob.digest)
    try:
        if path.lstat().st_mtime_ns != blob.stamp_ns:
            return False
        path.unlink()
    except FileNotFoundError:
        return True
    except PermissionError:
        return False  # another user's, who collects it himself
    return True
