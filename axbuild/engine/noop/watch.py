"""What a finished build looked at and made, gathered for its snapshot.

Every signature here was taken before the look it stands for, so that an edit made while the build ran differs from
it. What was not looked at in a way that says so (axbuild's own modules) must have been at rest before the build began.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from axbuild.dataclass import dataclass, field
from axbuild.engine.code.closure import Code
from axbuild.engine.noop import snapshot as form
from axbuild.engine.noop.meaning import meaning_of, texts_of, young
from axbuild.engine.noop.stored import (
    Answer,
    StoredAction,
    StoredGoal,
    StoredLabel,
    StoredLayout,
)
from axbuild.engine.run.nodes import Goal
from axbuild.engine.run.scheduler import ActionScheduler, inputs_of
from axbuild.graph.actions import TargetActions
from axbuild.graph.targets import TargetGraph
from axbuild.store.packed import pack
from axbuild.store.statcache import StatCache, has_settled
from axbuild.workspace.artifact import ActionId, Artifact, Entry, Output, Remote, Result, SourceFiles, Tree
from axbuild.workspace.disk import BUILD_FILE, Seen, digest_of_listing, join, look, scan
from axbuild.workspace.settings import FILE_NAME as SETTINGS_FILE
from axbuild.workspace.workspace import Workspace


@dataclass
class Watched:
    """The paths of a snapshot by text, and the graph of what depends on them.

    doubt: something could not be told; there must be no snapshot. labels, answer: of the stored graph. meaning: see
    `meaning_of`.
    """

    paths: dict[str, tuple[int, Seen]] = field(default_factory=dict)
    doubt: bool = False
    labels: dict[str, StoredLabel] = field(default_factory=dict)
    answer: Answer = field(default_factory=Answer)
    meaning: dict[str, Any] = field(default_factory=dict)
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

    def snapshot(self, texts: dict[str, bytes]) -> form.Snapshot:
        """Without the graph."""
        found = form.Snapshot([], bytearray(), bytearray(), bytearray(), texts, meaning=pack(self.meaning))
        for path, (flags, seen) in self.paths.items():
            found.append(path, flags | young(seen), seen.signature or (0, 0, 0, 0), seen.digest or form.UNKNOWN)
        return found


@dataclass(frozen=True)
class Laid:
    """What a request came to. named: what it names -> the requested targets that stand for it."""

    graph: TargetGraph
    layout: Mapping[str, TargetActions]
    named: Mapping[str, Sequence[str]]


def watch(
    laid: Laid,
    code: Code,
    stat: StatCache,
    scheduler: ActionScheduler,
    goals: Iterable[Goal],
    sources: Mapping[str, str],
    outputs: Mapping[str, Seen],
    placed: Mapping[str, list[str]],
    began_ns: int,
    texts: bool,
) -> Watched:
    """sources: path -> SHA-256 as the build used it. outputs: path of each file handed over -> what it is. placed:
    requested label -> those of its own. texts: whether it is asked for what they mean.

    Paths of the workspace are relative to its root, others absolute.
    """
    found, workspace = Watched(), laid.graph.workspace
    packages = workspace.packages.parsed  # which looks at the root where nobody has yet
    _loaded(found, workspace)
    for path, digest in sources.items():
        record = stat.record(workspace.root / path)
        if record is None or record[2] != digest:
            found.doubt = True
        else:
            found.add(path, form.SOURCE, Seen(record[0], record[1], bytes.fromhex(digest)))
    for path, seen in outputs.items():
        found.add(path, form.OUTPUT, seen)
    stages = []
    for text, seen, kind in code.seen():
        known = _listed(text, seen) if kind else seen
        stages.append(_relative(workspace.root, text))
        found.add(stages[-1], form.LOADED, known, form.LISTING if kind else form.FILE)
    code_paths = {*stages, *_own_modules(found, workspace.root, began_ns)}
    _mark_texts(found, workspace, packages, code_paths, sources)
    numbers = {path: number for number, path in enumerate(found.paths)}
    found.labels = _labels(scheduler, goals, placed, laid, numbers)
    found.answer.names.labels = dict.fromkeys(laid.named)
    for label, stand in laid.named.items():
        found.answer.names.stand(label, stand)
    found.answer.outputs = {goal.label: placed[goal.label] for goal in goals}
    if texts:
        found.meaning = meaning_of(workspace, numbers, code_paths | sources.keys())
    return found


def _mark_texts(
    found: Watched, workspace: Workspace, packages: Iterable[str], code: set[str], sources: Container[str]
) -> None:
    """Mark what may be read and laid out by once more: neither code nor rules, nor a text that is a source as well. A
    model that was looked into may: the stored graph knows who reads it."""
    texts = [SETTINGS_FILE, *(join(name, BUILD_FILE) for name in packages), *texts_of(workspace.packages)]
    rules = (_relative(workspace.root, str(file)) for file in workspace.rules.seen)
    apart = code.union(rules, (path for path in texts if path in sources))
    for path in (*workspace.disk.files, *(folder or "." for folder in workspace.disk.folders)):
        if path not in apart:
            flags, seen = found.paths[path]
            found.paths[path] = flags | form.LAID, seen


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


def _own_modules(found: Watched, root: Path, began_ns: int) -> list[str]:
    """The paths of axbuild's own code that this process runs."""
    paths = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (name == "axbuild" or name.startswith("axbuild.")):
            signature = look(file)
            if signature is None or not has_settled(signature, began_ns):
                found.doubt = True
            paths.append(_relative(root, file))
            found.add(paths[-1], form.LOADED, Seen(signature, began_ns, None))
    return paths


def _labels(
    scheduler: ActionScheduler,
    goals: Iterable[Goal],
    placed: Mapping[str, list[str]],
    laid: Laid,
    numbers: Mapping[str, int],
) -> dict[str, StoredLabel]:
    """What a changed source, output, table or folder reaches. numbers: path -> its number in the snapshot."""
    nodes = scheduler.nodes
    actions: defaultdict[str, dict[str, StoredAction]] = defaultdict(dict)
    for id_, node in nodes.items():
        owners, sources = _reached(inputs_of(node.action), nodes)
        parent = id_[0], id_[1].rpartition("/")[0]
        waits = (*owners, parent) if parent in nodes else tuple(owners)
        key = node.key.digest if node.key else ""
        read = tuple(numbers[path] for path in sources)
        actions[id_[0]][id_[1]] = StoredAction(key, waits, read, node.action.preflight)
    known = {}
    for goal in goals:
        owners, sources = _reached(goal.artifacts, nodes)
        owners += [id_ for id_ in goal.actions if id_ in nodes]
        read, files = (tuple(numbers[path] for path in paths) for paths in (sources, placed[goal.label]))
        known[goal.label] = StoredGoal(tuple(owners), read, files)
    layouts = {
        label: StoredLayout(target.labels, tuple(sorted(numbers[path or "."] for path in laid.layout[label].looked)))
        for label, target in laid.graph.targets.items()
    }
    return {
        label: StoredLabel(actions.get(label, {}), known.get(label), layouts.get(label))
        for label in dict.fromkeys([*known, *actions, *layouts])
    }


def _reached(artifacts: Iterable[Artifact], nodes: Container[ActionId]) -> tuple[list[ActionId], list[str]]:
    owners: list[ActionId] = []
    sources: list[str] = []
    for artifact in artifacts:
        for part in _parts(artifact):
            if isinstance(part, SourceFiles):
                sources += [path for _, path in part.files]
            elif not isinstance(part, Remote) and part.action in nodes:
                owners.append(part.action)
    return owners, sources


def _parts(artifact: Artifact) -> Iterator[SourceFiles | Remote | Output | Result]:
    match artifact:
        case Entry(tree, _):
            yield from _parts(tree)
        case Tree(entries):
            for _, part in entries:
                yield from _parts(part)
        case _:
            yield artifact
