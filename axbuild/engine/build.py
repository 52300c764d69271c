"""A build from request to exit code: load, lay out, run, hand over outputs, judge verdicts, record.

Everything a user hears of goes through the event stream; `build_finished` is always the last event, also after an
error or Ctrl-C.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from axbuild.codes import BUILD_FAILED, INTERRUPTED, exit_code_of, worse
from axbuild.dataclass import dataclass, field
from axbuild.engine.code.closure import Code
from axbuild.engine.noop.merge import Merged, merge
from axbuild.engine.noop.partial import PartialBuild
from axbuild.engine.noop.watch import Laid, Watched, watch
from axbuild.engine.records.critical import critical_path
from axbuild.engine.records.events import (
    STATUSES,
    ActionFinished,
    ActionProgress,
    BuildFinished,
    BuildStarted,
    Diagnostic,
    Event,
    EventStream,
    Fetching,
    Listener,
    TargetConfigured,
    TestResult,
)
from axbuild.engine.records.history import History
from axbuild.engine.records.lost import CODES as LOST
from axbuild.engine.records.lost import Lost
from axbuild.engine.run.external import ExternalTools
from axbuild.engine.run.nodes import Goal
from axbuild.engine.run.outputs import OutputFolders
from axbuild.engine.run.resources import Pool, machine_cpus, machine_memory_gb, optimize_bounds
from axbuild.engine.run.scheduler import ActionScheduler
from axbuild.engine.run.verdicts import Verdicts
from axbuild.engine.run.world import LocalWorld
from axbuild.engine.workers.launch import Launched
from axbuild.engine.workers.local import Workers
from axbuild.engine.workers.progress import Progress
from axbuild.errors import AxError
from axbuild.graph.actions import Action, TargetActions
from axbuild.graph.layout import lay_out, lay_out_sound
from axbuild.graph.targets import TargetGraph, load, survey
from axbuild.store.faults import BlobLost
from axbuild.store.statcache import StatCache
from axbuild.store.store import Store, is_read_only
from axbuild.version import __version__
from axbuild.workspace.artifact import ActionId, Artifact
from axbuild.workspace.providers import Tests
from axbuild.workspace.workspace import Workspace

PLACING_ATTEMPTS = 3


class NoTests(AxError):
    code = "AX250"

    def __init__(self, patterns: Sequence[str]) -> None:
        super().__init__(
            f"{' '.join(patterns)} names no target with a verdict",
            hint="checks are tests; `axbuild build` builds the rest",
        )


@dataclass(frozen=True)
class Request:
    """What the command line asks for. tests_only: of the targets named, those that have a verdict."""

    command: str
    patterns: tuple[str, ...]
    start: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)
    config: tuple[str, ...] = ()
    keep_going: bool = False
    dry_run: bool = False
    reverse: bool = False
    tests_only: bool = False
    watch: bool = False
    """Gather what a snapshot of the build needs."""
    part: PartialBuild | None = None
    """Build only this much of it; of the rest a snapshot says that it is valid."""
    workspace: Workspace | None = None
    """The one around `start`, with these overrides and configurations, where it was read already."""
    cache_dir: Path | None = None
    """Another store than the workspace's, and no outputs handed over: for building the same thing twice."""


@dataclass
class Report:
    """What came of a build: exit code, and for each action its key and outputs."""

    exit_code: int = 0
    actions: dict[ActionId, ActionFinished] = field(default_factory=dict)
    external: frozenset[ActionId] = frozenset()
    """those that ran a tool outside axbuild, or would have"""
    errors: list[AxError] = field(default_factory=list)
    base: str = ""
    """the way from where the request was made to the workspace's root: "" or "../" and so on"""
    watched: Watched | None = None
    """What the answer rests on; None where that cannot be told, or something failed."""
    merged: Merged | None = None
    """The same after a build of a part."""


def build(request: Request, *listeners: Listener, ahead: Launched | None = None) -> Report:
    """Run a request; every listener hears every event. Raises AxError only before `build_started`.

    ahead: the process to fork stages from, where it was started before.
    """
    workspace = request.workspace or Workspace.find(request.start, request.overrides, request.config)
    return _Build(request, workspace, listeners, ahead).run()


class _Build:
    def __init__(
        self, request: Request, workspace: Workspace, listeners: Sequence[Listener], ahead: Launched | None
    ) -> None:
        self.request, self.workspace, self.ahead = request, workspace, ahead
        self.part = request.part
        package = workspace.package_of(request.start)
        self.report = Report(base="../" * len(package.split("/")) if package else "")
        self.outputs: dict[str, list[str]] = {}
        self.longest: tuple[dict[str, Any], ...] = ()
        self.unbuilt = 0
        self.counts: Counter[str] = Counter()
        self.said: list[Diagnostic | TestResult] = []
        self.lost = Lost()
        self.stream = EventStream(self._note, self.lost, *listeners)
        self.jobs = workspace.settings.jobs or machine_cpus()
        self.began_ns = time.time_ns()

    def run(self) -> Report:
        begin = time.perf_counter()
        with ExitStack() as stack:
            store = stack.enter_context(self._opened(stack))
            state = store.workspace(self.workspace.root)
            number = 0
            if not self.request.dry_run and self.request.cache_dir is None:
                recording = stack.enter_context(History(state.folder / "builds").recorded())
                self.stream.listeners.append(recording)
                number = recording.number
            self.stream.emit(
                BuildStarted(
                    new_id(),
                    self.request.command,
                    self.request.patterns,
                    round(time.time(), 3),
                    self.jobs,
                    dry_run=self.request.dry_run,
                    number=number,
                    release=__version__,
                )
            )
            root, jobs = self.workspace.root, self.jobs
            workers = stack.enter_context(Workers(jobs, workspace=root, store=store.directory, ahead=self.ahead))
            try:
                self._build(store, workers)
            except AxError as error:
                self._failed(error)
            except KeyboardInterrupt:
                self.report.exit_code = INTERRUPTED
            self._collect(store)
            for code, sentence in self.lost.told():
                self.stream.emit(Diagnostic("", "", "", code, sentence, False))
            seconds = round(time.perf_counter() - begin, 3)
            counts = {status: self.counts[status] for status in STATUSES}
            records = tuple(error.record() for error in self.report.errors)
            self.stream.emit(
                BuildFinished(
                    self.report.exit_code, counts, seconds, self._all_outputs(), records, self.longest, self.unbuilt
                )
            )
            if self.part and not self.report.exit_code:
                self.report.merged = merge(self.part, self.report.actions, self.report.watched)
                self.report.watched = None
        return self.report

    def _opened(self, stack: ExitStack) -> Store:
        if self.request.cache_dir is not None:
            return Store(self.request.cache_dir, self._store_said)
        if self.request.dry_run and is_read_only(self.workspace.cache_dir):
            # What a dry run notes down goes with it; its answers are the cache's all the same.
            beside = stack.enter_context(TemporaryDirectory(prefix="axbuild-"))
            return Store(Path(beside), self._store_said, self.workspace.cache_dir)
        return Store(self.workspace.cache_dir, self._store_said, self.workspace.read_from)

    def _collect(self, store: Store) -> None:
        """Keep the cache within its limits, where something was added; what goes wrong here fails no build."""
        if not self.counts["executed"] or self.request.cache_dir is not None or self.report.exit_code == INTERRUPTED:
            return
        from axbuild.store.gc import Limits, collect_if_due, warning

        settings = self.workspace.settings
        try:
            done = collect_if_due(store, Limits.of(settings.cache_size_gb, settings.cache_max_age_days))
        except AxError as error:
            self._store_said(error.code, error.sentence)
            return
        if done is not None and done.over_bytes:
            self._store_said(*warning(done))

    def _note(self, event: Event) -> None:
        if isinstance(event, ActionFinished):
            id_ = event.label, event.action
            if id_ in self.report.actions:
                self.counts[self.report.actions[id_].status] -= 1
            self.report.actions[id_] = event
            self.counts[event.status] += 1
        elif isinstance(event, Diagnostic | TestResult):
            self.said.append(event)

    def _all_outputs(self) -> dict[str, list[str]]:
        return self.part.outputs(self.outputs) if self.part else self.outputs

    def _store_said(self, code: str, sentence: str) -> None:
        if code in LOST:
            self.lost.report(code, sentence)
        else:
            self.stream.emit(Diagnostic("", "", "", code, sentence, False))

    def _failed(self, error: AxError) -> None:
        self.report.errors.append(error)
        self.report.exit_code = worse(self.report.exit_code, exit_code_of(error.code))

    def _build(self, store: Store, workers: Workers) -> None:
        graph, layout = self._laid_out()
        sound = [label for label in graph.requested if label in layout]
        for error in graph.losses.ranked():
            self._failed(error)
        if graph.losses:
            self.unbuilt = graph.unbuilt + len(graph.requested) - len(sound)
            if not self.request.keep_going or not sound:
                return
        named = {label: self._goals(layout[label], layout) for label in sound}
        requested = [layout[label] for label in dict.fromkeys(chain.from_iterable(named.values()))]
        if self.part:
            self.part.named(named)
            self.part.laid = set(layout)
        for label in layout:
            for code, sentence in graph.targets[label].warnings:
                self.stream.emit(Diagnostic(label, "", "", code, sentence, False))
        if self.request.tests_only and not (requested or (self.part and self.part.has_rest)):
            raise NoTests(self.request.patterns)
        with self._world(store, workers) as world:
            scheduler = self._scheduler(world, layout)
            preflights = _preflights(layout)
            goals = [_goal(scheduler, target, preflights) for target in requested]
            self._configured(scheduler, goals, layout)
            scheduler.want(goals)
            if self.request.dry_run:
                self._plan(scheduler)
                return
            verdicts = Verdicts(requested, scheduler, self.report.actions, world.bytes_of, self.stream)
            self.stream.listeners.append(verdicts)
            try:
                scheduler.run()
            finally:
                self.longest = critical_path(self.report.actions, scheduler.needs_of)
            for error in scheduler.errors:
                self._failed(error)
            placed = self._hand_over(scheduler, world, requested, verdicts)
            if verdicts.failed:
                self.report.exit_code = worse(self.report.exit_code, BUILD_FAILED)
            self.report.external = frozenset(id_ for id_ in scheduler.nodes if scheduler.actions[id_].stage.external)
            # Of a tool outside axbuild no file says whether it is still the same: each build asks it.
            if self.request.watch and not self.report.exit_code and not self.report.external:
                self._watch(scheduler, world, goals, placed, Laid(graph, layout, named))
            if self.part:
                self._tell_of_the_rest(self.part, scheduler)

    def _laid_out(self) -> tuple[TargetGraph, dict[str, TargetActions]]:
        """Of a part first; where that is not to be had, all is looked at, and told as ever."""
        package = self.workspace.package_of(self.request.start)
        if self.part is not None:
            try:
                graph = load(self.workspace, self.part.labels, package) if self.part.labels else self._nothing()
                return graph, {target.label: target for target in lay_out(graph)}
            except AxError:
                self.part = None
        graph = survey(self.workspace, self.request.patterns, package)
        return graph, {target.label: target for target in lay_out_sound(graph, graph.losses)}

    def _nothing(self) -> TargetGraph:
        return TargetGraph(self.workspace, (), {})

    def _goals(self, target: TargetActions, layout: Mapping[str, TargetActions]) -> list[str]:
        """What stands for a target that the request names: a suite's checks; for `test`, what has a verdict."""
        labels = target.provider.labels if isinstance(target.provider, Tests) else [target.label]
        return [label for label in labels if layout[label].verdicts or not self.request.tests_only]

    def _watch(
        self, scheduler: ActionScheduler, world: LocalWorld, goals: Sequence[Goal], placed: OutputFolders, laid: Laid
    ) -> None:
        code, stat = world.code, world.stat
        texts = self.part is None or self.part.edits is not None  # else they mean what the snapshot says
        found = watch(
            laid, code, stat, scheduler, goals, world.sources, placed.seen, self.outputs, self.began_ns, texts
        )
        found.state, found.jobs = world.state.folder, self.jobs
        found.answer.diagnostics = [
            [one.label, one.action, one.stage, one.code, one.sentence, True]
            for one in self.said
            if isinstance(one, Diagnostic) and one.label
        ]
        tests = [one for one in self.said if isinstance(one, TestResult)]
        found.answer.tests = [[one.label, one.passed, one.sentence, one.verdict, True] for one in tests]
        self.report.watched = None if found.doubt else found

    def _tell_of_the_rest(self, part: PartialBuild, scheduler: ActionScheduler) -> None:
        part.built(scheduler.nodes)
        for event in part.said():
            self.stream.emit(event)
        self.counts["up_to_date"] += part.elsewhere

    @contextmanager
    def _world(self, store: Store, workers: Workers) -> Iterator[LocalWorld]:
        settings, root = self.workspace.settings, self.workspace.root
        state = store.workspace(root)
        stat = StatCache(state.folder / "stat.msgpack")
        code = Code(rules=root / "rules", cache=state.folder / "code.msgpack")
        try:
            bounds = {"optimize": optimize_bounds(settings)}
            external = ExternalTools(settings.toolchain, root, stat)
            yield LocalWorld(root, store, state, stat, code, workers, settings.share_float, bounds, external)
        finally:
            stat.save()
            code.save()
            if self.workspace.disk.answers:
                self.workspace.disk.answers.save()

    def _scheduler(self, world: LocalWorld, layout: Mapping[str, TargetActions]) -> ActionScheduler:
        resources = self.workspace.settings.resources
        total = {
            "slot": self.jobs,
            "cpu": resources["cpu"] or max(self.jobs, machine_cpus()),
            "memory_gb": resources["memory_gb"] or machine_memory_gb(),
            "gpu": resources["gpu"],
        }
        world.listener, world.fetching = self._how_far, self._fetching
        return ActionScheduler(
            (action for target in layout.values() for action in target.actions),
            self.workspace.rules.stages,
            world,
            self.stream,
            Pool(total, each={"slot": 1, "cpu": 1}),
            keep_going=self.request.keep_going,
            reverse=self.request.reverse,
        )

    def _how_far(self, action: Action, progress: Progress) -> None:
        self.stream.emit(ActionProgress(*action.id, action.stage.function, self.stream.now(), **vars(progress)))

    def _fetching(self, action: Action, address: str, done: int, total: int) -> None:
        self.stream.emit(Fetching(*action.id, action.stage.function, address, done, total, self.stream.now()))

    def _configured(
        self, scheduler: ActionScheduler, goals: Sequence[Goal], layout: Mapping[str, TargetActions]
    ) -> None:
        needed = scheduler.needed(
            (artifact for goal in goals for artifact in goal.artifacts),
            (id_ for goal in goals for id_ in (*goal.actions, *goal.preflights)),
        )
        actions = Counter(label for label, _ in needed)
        expansions = Counter(id_[0] for id_ in needed if scheduler.actions[id_].stage.expands)
        wanted = {goal.label for goal in goals}
        for label, target in layout.items():
            if label in wanted or actions[label]:
                self.stream.emit(TargetConfigured(label, target.rule, actions[label], expansions[label]))

    def _plan(self, scheduler: ActionScheduler) -> None:
        scheduler.plan()
        for error in scheduler.errors:
            self._failed(error)

    def _hand_over(
        self, scheduler: ActionScheduler, world: LocalWorld, requested: Sequence[TargetActions], verdicts: Verdicts
    ) -> OutputFolders:
        """Outputs and verdicts of the targets that are done; a blob found damaged here is made again."""
        folders = OutputFolders(self.workspace.root, world.store.blobs, world.stat)
        for target in requested:
            try:
                self._hand_over_surely(target, scheduler, verdicts, folders)
            except AxError as error:
                self._failed(error)
        return folders

    def _hand_over_surely(
        self, target: TargetActions, scheduler: ActionScheduler, verdicts: Verdicts, folders: OutputFolders
    ) -> None:
        for _ in range(PLACING_ATTEMPTS):
            try:
                self._hand_over_one(target, scheduler, verdicts, folders)
                return
            except BlobLost as lost:
                told = len(scheduler.errors)
                scheduler.revive(lost)
                scheduler.run()
                for error in scheduler.errors[told:]:
                    self._failed(error)
        self._hand_over_one(target, scheduler, verdicts, folders)

    def _hand_over_one(
        self, target: TargetActions, scheduler: ActionScheduler, verdicts: Verdicts, folders: OutputFolders
    ) -> None:
        contents = scheduler.contents
        artifacts = (*target.outputs.values(), *target.verdicts)
        if any(True for artifact in artifacts for _ in contents.pending(artifact)):
            verdicts.leave(target)
            return
        if self.request.cache_dir is None:
            known = {path: contents.content(artifact) for path, artifact in target.outputs.items()}
            self.outputs[target.label] = folders.place(target.label, known)
        verdicts.judge(target)


def new_id() -> str:
    """Sorts by time; two builds at once get two."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{time.time_ns() % 10**9:09d}-{os.getpid()}"


def _preflights(layout: Mapping[str, TargetActions]) -> dict[str, list[ActionId]]:
    """By label, of the targets that have some."""
    found = {label: [one.id for one in target.actions if one.preflight] for label, target in layout.items()}
    return {label: ids for label, ids in found.items() if ids}


def _goal(scheduler: ActionScheduler, target: TargetActions, preflights: Mapping[str, list[ActionId]]) -> Goal:
    artifacts: tuple[Artifact, ...] = (*target.outputs.values(), *target.verdicts)
    # A rule that hands nothing over is still asked for what it does.
    actions = () if artifacts else tuple(action.id for action in target.actions)
    if not preflights:
        return Goal(target.label, artifacts, actions, ())
    labels = {label for label, _ in scheduler.needed(artifacts, actions)} | {target.label}
    first = tuple(id_ for label in sorted(labels & preflights.keys()) for id_ in preflights[label])
    return Goal(target.label, artifacts, actions, first)
