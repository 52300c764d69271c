"""What a finished build looked at and made, gathered for its snapshot.

Every signature here was taken before the look it stands for, so that an edit made while the build ran differs from
it. What was not looked at in a way that says so (axbuild's own modules) must have been at rest before the build began.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axbuild.engine.code.closure import Code
from axbuild.engine.noop import snapshot as form
from axbuild.engine.run.nodes import Goal
from axbuild.engine.run.scheduler import ActionScheduler, inputs_of
from axbuild.store.statcache import StatCache, has_settled
from axbuild.workspace.artifact import ActionId, Artifact, Entry, Output, Result, SourceFiles, Tree
from axbuild.workspace.disk import Seen, digest_of_listing, look, scan
from axbuild.workspace.workspace import Workspace

KEYS_FORMAT = "axbuild-snapshot-keys/1"
KEPT = 50
"""Requests that are remembered, a snapshot each."""


@dataclass
class Watched:
    """The paths of a snapshot by text, and the graph of what depends on them.

    doubt: something could not be told; there must be no snapshot. graph: see `graph_of`.
    """

    paths: dict[str, tuple[int, Seen]] = field(default_factory=dict)
    doubt: bool = False
    graph: dict[str, Any] = field(default_factory=dict)
    state: Path = Path()
    jobs: int = 1

    def add(self, path: str, role: int, seen: Seen, kind: int = form.FILE) -> None:
        """The first look at a path counts, and what was read to lay out the graph stays so; a later look may know the
        digest of what the first did not read whole."""
        if path not in self.paths:
            self.paths[path] = (role | (kind if seen.signature else form.ABSENT), seen)
            return
        flags, first = self.paths[path]
        if first.digest is None and first.signature == seen.signature:
            self.paths[path] = flags, first._replace(digest=seen.digest)

    def encoded(self, texts: dict[str, bytes], cold: bytes) -> form.Snapshot:
        stats: list[int] = []
        digests, flags = bytearray(), bytearray()
        for flag, seen in self.paths.values():
            stats += seen.signature or (0, 0, 0, 0)
            digests += seen.digest or form.UNKNOWN
            flags.append(flag | young(seen))
        return form.Snapshot(list(self.paths), stats, digests, flags, texts, cold)


def young(seen: Seen) -> int:
    """The flag of a signature that may come to stand for another content too."""
    old = seen.signature is None or has_settled(seen.signature, seen.taken_ns)
    return 0 if old else form.YOUNG


def watch(
    workspace: Workspace,
    code: Code,
    stat: StatCache,
    scheduler: ActionScheduler,
    goals: Iterable[Goal],
    sources: Mapping[str, str],
    outputs: Mapping[str, Seen],
    placed: Mapping[str, list[str]],
    began_ns: int,
) -> Watched:
    """sources: path -> SHA-256 as the build used it. outputs: path of each file handed over -> what it is. placed:
    requested label -> those of its own.

    Paths of the workspace are relative to its root, others absolute.
    """
    found = Watched()
    _loaded(found, workspace)
    for path, digest in sources.items():
        record = stat.record(workspace.root / path)
        if record is None or record[2] != digest:
            found.doubt = True
        else:
            found.add(path, form.SOURCE, Seen(record[0], record[1], bytes.fromhex(digest)))
    for path, seen in outputs.items():
        found.add(path, form.OUTPUT, seen)
    for text, seen, kind in code.seen():
        known = _listed(text, seen) if kind else seen
        found.add(_relative(workspace.root, text), form.LOADED, known, form.LISTING if kind else form.FILE)
    _own_modules(found, workspace.root, began_ns)
    found.graph = graph_of(scheduler, goals, placed, found.paths)
    return found


def _loaded(found: Watched, workspace: Workspace) -> None:
    for path, seen in workspace.disk.files.items():
        found.add(path, form.LOADED, seen)
    for folder, seen in workspace.disk.listings().items():
        found.add(folder or ".", form.LOADED, seen, form.LISTING)
    for file, seen in workspace.rules.seen.items():
        kind = form.FILE if file.suffix in (".py", ".toml") else form.LISTING
        found.add(_relative(workspace.root, str(file)), form.LOADED, seen, kind)


def _listed(folder: str, seen: Seen) -> Seen:
    """With the digest of the folder's names, where they are still those of the look."""
    if seen.signature is None or young(seen):
        return seen
    digest = digest_of_listing(scan(folder))
    return seen._replace(digest=digest) if look(folder) == seen.signature else seen


def _relative(root: Path, text: str) -> str:
    return text.removeprefix(f"{root}/")


def _own_modules(found: Watched, root: Path, began_ns: int) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (name == "axbuild" or name.startswith("axbuild.")):
            signature = look(file)
            if signature is None or not has_settled(signature, began_ns):
                found.doubt = True
            found.add(_relative(root, file), form.LOADED, Seen(signature, began_ns, None))


def graph_of(
    scheduler: ActionScheduler, goals: Iterable[Goal], placed: Mapping[str, list[str]], paths_of: Iterable[str]
) -> dict[str, Any]:
    """Plain lists, by number, for msgpack: what a changed source or output reaches.

    actions: [label, name, key, numbers of the actions it waits for, of the sources it reads, preflight]; targets:
    [label, numbers of the actions its artifacts come from, of sources among them, of the files handed over]. A child
    waits for its expansion, whatever it reads. Sources and files are numbered as in the snapshot's paths.
    """
    numbers = {id_: number for number, id_ in enumerate(scheduler.nodes)}
    paths = {path: number for number, path in enumerate(paths_of)}
    actions = []
    for id_, node in scheduler.nodes.items():
        owners, sources = _reached(inputs_of(node.action), numbers)
        parent = numbers.get((id_[0], id_[1].rpartition("/")[0]))
        waits = owners if parent is None else [*owners, parent]
        actions.append(
            [*id_, node.key.digest if node.key else "", waits, [paths[p] for p in sources], node.action.preflight]
        )
    targets = []
    for goal in goals:
        owners, sources = _reached(goal.artifacts, numbers)
        owners += [numbers[id_] for id_ in goal.actions if id_ in numbers]
        files = [paths[path] for path in placed[goal.label]]
        targets.append([goal.label, owners, [paths[path] for path in sources], files])
    return {"actions": actions, "targets": targets}


def _reached(artifacts: Iterable[Artifact], numbers: Mapping[ActionId, int]) -> tuple[list[int], list[str]]:
    owners: list[int] = []
    sources: list[str] = []
    for artifact in artifacts:
        for part in _parts(artifact):
            if isinstance(part, SourceFiles):
                sources += [path for _, path in part.files]
            elif part.action in numbers:
                owners.append(numbers[part.action])
    return owners, sources


def _parts(artifact: Artifact) -> Iterator[SourceFiles | Output | Result]:
    match artifact:
        case Entry(tree, _):
            yield from _parts(tree)
        case Tree(entries):
            for _, part in entries:
                yield from _parts(part)
        case _:
            yield artifact


def keep(path: str, identity: str, watched: Watched, texts: dict[str, bytes]) -> None:
    """Write the snapshot, and first of all the list of the keys it covers, for whoever collects the store."""
    import msgpack

    file = watched.state / "snapshots" / f"{identity}.keys"
    texts["keys"] = os.fsencode(file)
    if write_keys(file, path, dict.fromkeys(action[2] for action in watched.graph["actions"])):
        form.write(path, watched.encoded(texts, msgpack.packb(watched.graph, unicode_errors="surrogateescape")))
        prune(Path(path).parent, file.parent)


def prune(snapshots: Path, keys: Path) -> None:
    """Keep the newest snapshots, and the lists of keys of those alone."""
    with suppress(OSError):  # another build prunes as well
        files = sorted(snapshots.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[KEPT:]:
            file.unlink()
        kept = {file.name for file in files[:KEPT]}
        for file in keys.glob("*.keys"):
            if file.stem not in kept:
                file.unlink()


def write_keys(file: Path, path: str, keys: Iterable[str]) -> bool:
    """Say which keys the snapshot at `path` covers. False where the cache cannot be written: there must be no snapshot
    then, since nothing would protect what it covers from collection."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(os.fsencode("\n".join([KEYS_FORMAT, path, *keys, ""])))
        beside.replace(file)
    except OSError:
        return False
    return True
