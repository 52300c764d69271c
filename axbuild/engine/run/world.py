"""The scheduler's world on a real machine: the store, the workers and the files of one workspace."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axbuild.codes import USER_ERROR, exit_code_of
from axbuild.dataclass import dataclass, replace
from axbuild.engine.code.key import Key, Shape, key_of
from axbuild.engine.code.platform import float_platform
from axbuild.engine.records.explain import Cause
from axbuild.engine.run.content import Content, File, files_of, shape_of
from axbuild.engine.run.external import ExternalTools
from axbuild.engine.run.nodes import Inputs, Lock, Lookup, Ran
from axbuild.engine.workers.local import StageBounds, StageKilled, StageOutcome, StageRun, StageTimedOut, Workers
from axbuild.engine.workers.progress import Progress
from axbuild.engine.workers.sandbox import FileInput, InputChanged, TreeInput, collect, prepare
from axbuild.errors import AxError, Place, lfs_hint
from axbuild.graph.actions import Action
from axbuild.store.faults import BlobLost
from axbuild.store.fetch import fetch, shown
from axbuild.store.result import ActionResult
from axbuild.store.scratch import remove_tree
from axbuild.store.statcache import StatCache
from axbuild.store.store import Store, WorkspaceState
from axbuild.workspace.artifact import ActionId
from axbuild.workspace.stage import NamedCode, Stage

if TYPE_CHECKING:
    from axbuild.engine.code.closure import Closure, Code


_TELL_PEAK = (StageKilled.code, StageTimedOut.code)


class ActionFailed(AxError):
    """What a stage said, with the action in front; keeps the code (and so the exit code) of what it said."""

    code = "AX500"

    def __init__(self, action: Action, said: AxError, memory: int) -> None:
        label, name = action.id
        called = f"{label} {name}" if name == action.stage.function else f"{label} {name} ({action.stage.function})"
        untold = memory and exit_code_of(said.code) != USER_ERROR and said.code not in _TELL_PEAK
        peak = f" (memory peak {memory / 2**20:.0f} MiB)" if untold else ""
        super().__init__(f"{called}: {said.sentence}{peak}", place=said.place, hint=said.hint, code=said.code)
        self.peak_memory_bytes = memory


class SourceMissing(AxError):
    code = "AX506"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"cannot be read: {reason}", place=Place(path))


class SourceIsPointer(AxError):
    code = "AX510"

    def __init__(self, path: str, hint: str) -> None:
        super().__init__("this is not the file itself", place=Place(path), hint=hint)


class NamesUnreadable(AxError):
    code = "AX558"

    def __init__(self, stage: Stage, named: NamedCode) -> None:
        super().__init__(f"stage '{stage.ref}': {named.file} in its input '{named.role}' is no JSON object of names")


POINTER_BYTES = range(100, 300)
"""how long Git LFS pointers are: only files of such a length are looked into"""


@dataclass(frozen=True)
class _Started:
    action: Action
    key: Key
    inputs: Inputs
    scratch: Path
    again: bool = False


class LocalWorld:
    """Sources below `root`; results in `store`, of which `state` remembers what this workspace last had.

    listener: hears within `wait` how far an action is; fetching: within `start`, how much of a file has come from an
    address, (action, address as it may be shown, bytes so far, bytes in all or 0).
    """

    def __init__(
        self,
        root: Path,
        store: Store,
        state: WorkspaceState,
        stat: StatCache,
        code: Code,
        workers: Workers,
        share_float: bool,
        bounds: Mapping[str, StageBounds],
        external: ExternalTools,
    ) -> None:
        self.root, self.store, self.state, self.stat = root, store, state, stat
        self.code, self._workers, self._share_float = code, workers, share_float
        self.listener: Callable[[Action, Progress], None] = lambda _action, _progress: None
        self.fetching: Callable[[Action, str, int, int], None] = lambda _action, _address, _done, _total: None
        workers.listener = self._told
        self._bounds, self._external = bounds, external
        self._maps: dict[str, Mapping[str, str]] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._digests: dict[str, str] = {}
        self._started: dict[str, _Started] = {}

    def digest_of(self, path: str) -> str:
        """Read once a build: all actions see one content of a source, and `wait` refuses a result if it moved."""
        if path not in self._digests:
            self._digests[path] = self._read_source(path)
        return self._digests[path]

    @property
    def sources(self) -> dict[str, str]:
        """Every source asked about in this build -> its SHA-256."""
        return self._digests

    def _read_source(self, path: str) -> str:
        full = self.root / path
        try:
            digest = self.stat.digest_of(str(full))
            pointer = full.stat().st_size in POINTER_BYTES and lfs_hint(full.read_bytes())
        except OSError as error:
            raise SourceMissing(path, (error.strerror or str(error)).lower()) from None
        if pointer:
            raise SourceIsPointer(path, pointer)
        return digest

    def key(self, action: Action, inputs: Inputs) -> Key:
        shapes: dict[str, Shape | list[Shape]] = {
            role: [shape_of(item) for item in content] if isinstance(content, list) else shape_of(content)
            for role, content in inputs.items()
        }
        stage = action.stage
        platform = self._platform(action)
        try:
            code = self._closure(stage, inputs).code
            if stage.external:
                identity = self._external.tool(stage.external).identity
                code = replace(code, tools={**code.tools, stage.external: identity})
        except BlobLost:
            raise
        except AxError as error:
            raise ActionFailed(action, error, 0) from error
        self._maps[code.digest] = code.modules
        return key_of(stage.ref, code, action.params, shapes, platform)

    def _platform(self, action: Action) -> str | None:
        """The float platform of a float stage, unless results of all platforms are shared."""
        if not action.stage.float or self._share_float:
            return None
        return float_platform(action.device if action.stage.device else "cpu")

    def _closure(self, stage: Stage, inputs: Inputs) -> Closure:
        """The stage's code, with what it loads by the names that stand in its input; raises BlobLost too."""
        if stage.named is None:
            return self.code.closure(stage)
        tree = inputs.get(stage.named.role)
        file = tree.get(stage.named.file) if isinstance(tree, dict) else None
        if file is None:
            return self.code.closure(stage)
        if file.digest not in self._names:
            self._names[file.digest] = _names_in(self.bytes_of(file), stage, stage.named)
        return self.code.closure(stage, self._names[file.digest])

    def find(self, key: str, stage: Stage) -> Lookup:
        result = self.store.results.get(key, stage.writes)
        if result is None or stage.intermediate:  # of these, whoever needs a blob that is gone has it made again
            return Lookup(result)
        lost = tuple(
            Cause("blob", name, digest, "missing")
            for name, shape in result.outputs.items()
            for digest in ([shape] if isinstance(shape, str) else shape.values())
            if not self.store.blobs.has(digest)
        )
        return Lookup(None, lost) if lost else Lookup(result)

    def last(self, id_: ActionId) -> str:
        return self.store.results.last_key(self.state.id, *id_) or ""

    def record_of(self, key: str) -> dict[str, Any] | None:
        result = self.store.results.get(key)
        return result.key_record if result else None

    def code_of(self, digest: str) -> Mapping[str, str] | None:
        return self._maps.get(digest) or self.store.results.code(digest)

    def remember(self, id_: ActionId, key: str) -> None:
        self.store.results.set_last(self.state.id, *id_, key)

    def lock(self, key: str, action: Action) -> Lock | None:
        lock = self.store.lock(key)
        if not lock.acquire(block=False):
            return None
        (label, name), stage = action.id, action.stage.function
        lock.say({"label": label, "action": name, "stage": stage, "pid": os.getpid(), "time": round(time.time(), 3)})
        return lock

    def holder(self, key: str) -> Mapping[str, Any]:
        return self.store.lock(key).said()

    def start(self, action: Action, key: Key, inputs: Inputs) -> None:
        self._start(action, key, inputs, again=False)

    def _start(self, action: Action, key: Key, inputs: Inputs, again: bool) -> None:
        scratch = self.store.scratch()
        started = _Started(action, key, inputs, scratch, again)
        given = {
            role: [self._given(item) for item in content] if isinstance(content, list) else self._given(content)
            for role, content in inputs.items()
        }
        try:
            self._fetch(action, inputs, scratch)
            paths = prepare(scratch, given, self.store.blobs, self.stat)
        except BaseException as error:
            remove_tree(scratch)
            if isinstance(error, AxError) and not isinstance(error, BlobLost):
                raise ActionFailed(action, error, 0) from error
            raise
        self._started[scratch.name] = started
        closure = self._closure(action.stage, inputs)
        bounds = self._bounds.get(action.stage.bounds, StageBounds())
        call = self._external.tool(action.stage.external).call if action.stage.external else None
        run = StageRun(
            scratch.name,
            action.stage,
            closure,
            params=dict(action.params),
            inputs=paths,
            scratch=scratch,
            bounds=bounds,
            device=action.device,
            call=call,
        )
        self._workers.submit(run, alone=again)

    def _fetch(self, action: Action, inputs: Inputs, scratch: Path) -> None:
        """Bring in what is known by its digest and address alone, and what the store does not hold yet."""
        for content in inputs.values():
            for item in content if isinstance(content, list) else [content]:
                for file in files_of(item):
                    if file.url and not self.store.blobs.has(file.digest):
                        heard = partial(self.fetching, action, shown(file.url))
                        fetch(file.url, file.digest, scratch / "tmp", self.store.blobs, heard=heard)

    def _given(self, content: Content) -> FileInput | TreeInput:
        if isinstance(content, File):
            return self._file(content)
        return TreeInput({name: self._file(file) for name, file in content.items()})

    def _file(self, file: File) -> FileInput:
        return FileInput(file.digest, f"{self.root}/{file.source}" if file.source else None)

    def wait(self, timeout: float | None) -> list[Ran]:
        ended = [self._ended(outcome) for outcome in self._workers.wait(timeout)]
        return [ran for ran in ended if ran is not None]

    def _told(self, job: str, progress: Progress) -> None:
        if job in self._started:
            self.listener(self._started[job].action, progress)

    def _ended(self, outcome: StageOutcome) -> Ran | None:
        """None for one that runs once more, alone: whoever ended the workers' process then is known by it."""
        started = self._started.pop(outcome.id)
        id_, memory = started.action.id, outcome.peak_memory_bytes
        try:
            if outcome.died and not started.again:
                self._start(started.action, started.key, started.inputs, again=True)
                return None
            if not outcome.ok:
                assert outcome.error is not None
                raise AxError.from_record(outcome.error)
            self._refuse_moved(started.inputs)
            result = self._store(started, outcome)
        except AxError as error:
            failed = ActionFailed(started.action, error, memory)
            return Ran(id_, outcome.seconds, error=failed, peak_memory_bytes=memory)
        finally:
            self._tidy(started.scratch, outcome)
        return Ran(id_, outcome.seconds, result, peak_memory_bytes=memory)

    def _tidy(self, scratch: Path, outcome: StageOutcome) -> None:
        """Where a stage went wrong, its folder serves no other: nobody knows what it left running there."""
        if outcome.ok:
            self.store.scratches.give_back(scratch)
        else:
            remove_tree(scratch)

    def _store(self, started: _Started, outcome: StageOutcome) -> ActionResult:
        outputs = collect(started.scratch, started.action.stage, self.store.blobs)
        result = ActionResult(
            started.key.record,
            outputs,
            outcome.diagnostics,
            outcome.seconds,
            outcome.peak_memory_bytes,
            self._platform(started.action),
            started.action.stage.intermediate,
        )
        modules = self._closure(started.action.stage, started.inputs).code.modules
        self.store.results.put(started.key.digest, result, modules, (self.state.id, *started.action.id))
        return result

    def _refuse_moved(self, inputs: Inputs) -> None:
        """What was read must still be what the key says, or the result would be kept under the wrong key."""
        for content in inputs.values():
            for item in content if isinstance(content, list) else [content]:
                for file in files_of(item):
                    if file.source and not self.stat.unchanged(f"{self.root}/{file.source}", file.digest):
                        raise InputChanged(self.root / file.source)

    def bytes_of(self, file: File) -> bytes:
        """A source or a blob; raises BlobLost."""
        return (self.root / file.source).read_bytes() if file.source else self.read(file.digest)

    def read(self, digest: str) -> bytes:
        return self.store.blobs.read_bytes(digest)


def _names_in(data: bytes, stage: Stage, named: NamedCode) -> frozenset[str]:
    try:
        names = json.loads(data)
    except ValueError:
        names = None
    if not isinstance(names, dict):
        raise NamesUnreadable(stage, named)
    return frozenset(names)
