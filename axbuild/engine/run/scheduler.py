"""Walks the action graph: key, store, and on a miss a worker; one thread, and workers beside it.

The order is forced by four things. Inputs: a node waits for the actions its inputs name, and looks again when one
is done (an expansion may have added more). Content: its key is made from what those inputs turned out to hold, so
an output that came out unchanged stops the rebuild. Preflights: nothing else runs before them, save what they
need themselves. Resources: what fits, in the order in which it became ready.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from axbuild.engine.records.events import MAY_RUN, WOULD_RUN, ActionFinished, ActionStarted, Diagnostic, EventStream
from axbuild.engine.records.explain import Cause, diff, reason
from axbuild.engine.run.content import Contents, known_names
from axbuild.engine.run.expansion import FILE, Expansion, read_expansion
from axbuild.engine.run.nodes import Completed, Goal, Node, Ran, State, StoredResult, World
from axbuild.engine.run.patience import AGAIN_SECONDS, Patience
from axbuild.engine.run.resources import Pool
from axbuild.errors import AxError
from axbuild.graph.actions import Action
from axbuild.store.faults import BlobLost
from axbuild.store.result import digests_of
from axbuild.workspace.artifact import ActionId, Artifact
from axbuild.workspace.stage import Stage

LOCKED_POLL_SECONDS = 0.05
REVIVALS = 3


class ActionScheduler:
    """`actions` grows by the children of expansions. `reverse` starts the last ready action first."""

    def __init__(
        self,
        actions: Iterable[Action],
        stages: Mapping[str, Stage],
        world: World,
        stream: EventStream,
        pool: Pool,
        *,
        keep_going: bool = False,
        reverse: bool = False,
    ) -> None:
        self.actions = {action.id: action for action in actions}
        self.nodes: dict[ActionId, Node] = {}
        self.done: dict[ActionId, Completed] = {}
        self.errors: list[AxError] = []
        self.contents = Contents(self.done, world.digest_of)
        self._everything = Contents({}, world.digest_of)
        self._stages, self._world, self._stream, self._pool = stages, world, stream, pool
        self._keep_going, self._reverse = keep_going, reverse
        self._goals: list[Goal] = []
        self._gate: set[ActionId] = set()
        self._early: set[ActionId] = set()
        self._woken: deque[ActionId] = deque()
        self._queue: deque[ActionId] = deque()
        self._gated: list[ActionId] = []
        self._running: set[ActionId] = set()
        self._waiting_for: defaultdict[ActionId, list[ActionId]] = defaultdict(list)
        self._in_flight: dict[str, ActionId] = {}
        self._patience = Patience(stream)

    # -- what is wanted -------------------------------------------------------------------------

    def want(self, goals: Sequence[Goal]) -> None:
        self._goals = list(goals)
        self._gate = {id_ for goal in goals for id_ in goal.preflights}
        self._early = self.needed((), self._gate)
        for id_ in self._gate:
            self._demand(id_)
        self._demand_goals()

    def needed(self, artifacts: Iterable[Artifact], actions: Iterable[ActionId] = ()) -> set[ActionId]:
        """Everything these need, done or not, as far as it is known."""
        found: set[ActionId] = set()
        left = [*self._reached(artifacts), *actions]
        while left:
            id_ = left.pop()
            if id_ not in found:
                found.add(id_)
                left += self._reached(inputs_of(self.actions[id_]))
        return found

    def needs_of(self, id_: ActionId) -> Iterator[ActionId]:
        """What an action directly waits for; a child, for its expansion too."""
        yield from self._reached(inputs_of(self.actions[id_]))
        parent = id_[0], id_[1].rpartition("/")[0]
        if parent in self.actions:
            yield parent

    def ran_for(self, artifact: Artifact) -> list[ActionId]:
        """The actions of the target whose action makes the artifact, as far as the artifact needs them."""
        owners = {label for label, _ in self._reached([artifact])}
        return [id_ for id_ in self.needed([artifact]) if id_[0] in owners]

    def _reached(self, artifacts: Iterable[Artifact]) -> Iterator[ActionId]:
        for artifact in artifacts:
            owners = list(self._everything.pending(artifact))
            yield from owners
            done = [owner for owner in owners if owner in self.done]
            if done:
                yield from self.contents.pending(artifact)
            for owner in done:
                yield from self._reached(self.done[owner].result.values())

    def _demand(self, id_: ActionId) -> None:
        if id_ not in self.nodes:
            self.nodes[id_] = Node(self.actions[id_])
            self._woken.append(id_)

    def _demand_goals(self) -> None:
        for goal in self._goals:
            for artifact in goal.artifacts:
                for id_ in self.contents.pending(artifact):
                    self._demand(id_)
            for id_ in goal.actions:
                self._demand(id_)

    # -- the loop -------------------------------------------------------------------------------

    def run(self) -> None:
        """Until everything wanted is done, or has failed, or cannot be done; locks are let go of however it ends."""
        try:
            self._walk()
        finally:
            for node in self.nodes.values():
                self._release(node)
        left = [id_ for id_, node in self.nodes.items() if node.state is not State.DONE]
        if left and not self.errors:
            raise AssertionError(f"the scheduler stopped before {left[0]} was done")
        self._skip_the_rest()

    def _walk(self) -> None:
        while True:
            self._settle()
            contended = self._launch()
            if self._woken or (self._gated and not self._gate):
                continue
            if not self._running and not contended:
                break
            ended = self._world.wait(LOCKED_POLL_SECONDS if contended else AGAIN_SECONDS)
            self._patience.waited(bool(ended))
            for ran in ended:
                self._finish(ran)

    def plan(self) -> None:
        """Look everything up and run nothing: what would run is skipped, with the reason it would run for; behind it
        comes what may run for it."""
        self._settle()
        for id_, node in self.nodes.items():
            if node.state is State.QUEUED:
                causes = tuple(cause.record() for cause in node.causes)
                more = "; it names further actions" if node.action.stage.expands else ""
                self._announce(id_, "skipped", f"{WOULD_RUN}: {reason(node.causes)}{more}", causes=causes)
        for id_, node in self.nodes.items():
            if node.state is State.WAITING:
                self._announce(id_, "skipped", MAY_RUN)
            self._release(node)

    def _settle(self) -> None:
        while self._woken:
            id_ = self._woken.popleft()
            node = self.nodes[id_]
            if node.state is not State.WAITING or node.dropped:
                continue
            try:
                self._advance(id_, node)
            except BlobLost as lost:
                self.revive(lost, for_node=id_)
            except AxError as error:
                self._fail(id_, error)

    def _advance(self, id_: ActionId, node: Node) -> None:
        parts = inputs_of(node.action, read=True)
        blockers = list(dict.fromkeys(b for part in parts for b in self.contents.pending(part)))
        for blocker in blockers:
            self._demand(blocker)
        if blockers:
            # For one of them only: what waited for each would wake by each, and wait again for all the others.
            self._waiting_for[blockers[-1]].append(id_)
        else:
            self._evaluate(id_, node)

    def _evaluate(self, id_: ActionId, node: Node) -> None:
        """All inputs are known: make the key, take a stored result or queue the action."""
        content = self.contents.content
        node.inputs = {
            role: [content(part) for part in artifact] if isinstance(artifact, tuple) else content(artifact)
            for role, artifact in node.action.inputs.items()
            if role not in node.action.stage.hands_on
        }
        node.key = self._world.key(node.action, node.inputs)
        leader = self._in_flight.get(node.key.digest)
        if leader is not None:
            self._waiting_for[leader].append(id_)
            return
        if self._take_stored(id_, node):
            return
        stage = node.action.stage
        node.need = self._pool.need_of(id_[0], stage.function, stage.resources)
        node.state = State.QUEUED
        self._in_flight[node.key.digest] = id_
        self._queue.append(id_)

    def _take_stored(self, id_: ActionId, node: Node, again: bool = False) -> bool:
        """Whether the store has a whole result for the node's key; sets the causes either way, where the look is not
        one that finds as little as the one before."""
        assert node.key is not None
        found = self._world.find(node.key.digest, node.action.stage)
        if again and found.result is None:
            return False
        last = self._world.last(id_)
        node.causes = node.distrust or found.lost or self._moved(node, last)
        if found.result is None or node.distrust:
            return False
        same = last == node.key.digest
        self._complete(id_, node, found.result, "up_to_date" if same else "cached", 0.0)
        return True

    def _moved(self, node: Node, last: str) -> tuple[Cause, ...]:
        assert node.key is not None
        if last == node.key.digest:
            return (Cause("result"),)
        record = self._world.record_of(last) if last else None
        if record is None:
            return (Cause("result" if last else "first"),)
        names: dict[str, str] = {}
        for role, artifact in node.action.inputs.items():
            if isinstance(artifact, tuple):
                for i, part in enumerate(artifact):
                    names |= known_names(f"{role}[{i}]", part)
            else:
                names |= known_names(role, artifact)
        return diff(record, node.key.record, names, self._world.code_of)

    def _launch(self) -> bool:
        """Start what may run and fits; whether something waits for another build's lock."""
        if not self._gate:
            self._queue.extendleft(reversed(self._gated))
            self._gated.clear()
        contended, left = False, list[ActionId]()
        # Looks no further than there is room: the queue may be thousands long, and this runs after every action.
        while self._queue and self._pool.has_room() and (self._keep_going or not self.errors):
            id_ = self._queue.pop() if self._reverse else self._queue.popleft()
            node = self.nodes[id_]
            if node.dropped or node.state is not State.QUEUED:
                continue
            if self._gate and not self._is_early(id_):
                self._gated.append(id_)
            elif not self._pool.take(node.need):
                left.append(id_)
            elif not self._begin(id_, node):
                self._pool.give_back(node.need)
                if node.state is State.QUEUED:
                    contended = True
                    left.append(id_)
        if self._reverse:
            self._queue.extend(reversed(left))
        else:
            self._queue.extendleft(reversed(left))
        return contended

    def _is_early(self, id_: ActionId) -> bool:
        label, name = id_
        parents = [name[:at] for at, letter in enumerate(name) if letter == "/"]
        return id_ in self._early or any((label, parent) in self._early for parent in parents)

    def _begin(self, id_: ActionId, node: Node) -> bool:
        """Whether the action now runs (it may also have been found, failed, or be locked by another build)."""
        assert node.key is not None
        key, stage = node.key.digest, node.action.stage.function
        node.lock = self._world.lock(key, node.action)
        if node.lock is None:
            self._patience.locked(id_, stage, lambda: self._world.holder(key))
            return False
        self._patience.unlocked(id_)
        try:
            # Another build may have finished it between the first look and the lock.
            if self._take_stored(id_, node, again=True):
                return False
            self._world.start(node.action, node.key, node.inputs)
        except BlobLost as lost:
            self._release(node)
            self.revive(lost, for_node=id_)
            return False
        except AxError as error:
            self._fail(id_, error)
            return False
        node.state = State.RUNNING
        self._running.add(id_)
        self._stream.emit(ActionStarted(*id_, node.action.stage.function, self._stream.now()))
        return True

    # -- how actions end ------------------------------------------------------------------------

    def _finish(self, ran: Ran) -> None:
        node = self.nodes[ran.id]
        self._running.discard(ran.id)
        self._pool.give_back(node.need)
        if ran.result is None:
            assert ran.error is not None
            self._fail(ran.id, ran.error, ran.seconds, ran.peak_memory_bytes)
            return
        node.distrust = ()
        try:
            self._complete(ran.id, node, ran.result, "executed", ran.seconds)
        except BlobLost as lost:
            self.revive(lost, for_node=ran.id)
        except AxError as error:
            self._fail(ran.id, error, ran.seconds, ran.peak_memory_bytes)

    def _complete(self, id_: ActionId, node: Node, result: StoredResult, status: str, seconds: float) -> None:
        expansion = self._expand(node, result) if node.action.stage.expands else Expansion((), {})
        assert node.key is not None
        node.state = State.DONE
        self.done[id_] = Completed(result.outputs, expansion.result)
        if status == "cached":  # of what ran, the world that stored it knows
            self._world.remember(id_, node.key.digest)
        self._release(node)
        stage = node.action.stage
        for item in result.diagnostics:
            warned = Diagnostic(*id_, stage.function, item["code"], item["sentence"], status != "executed")
            self._stream.emit(warned)
        self._announce(
            id_,
            status,
            "" if status == "up_to_date" else reason(node.causes),
            seconds=seconds,
            causes=() if status == "up_to_date" else tuple(cause.record() for cause in node.causes),
            peak_memory_bytes=result.peak_memory_bytes if status == "executed" else 0,
            outputs=dict(result.outputs),
            children=len(expansion.children),
            child_expansions=sum(child.stage.expands for child in expansion.children),
        )
        self._gate.discard(id_)
        self._wake(id_)
        if stage.expands:
            self._demand_goals()

    def _expand(self, node: Node, result: StoredResult) -> Expansion:
        digest = result.outputs.get(FILE)
        data = self._world.read(digest) if isinstance(digest, str) else b""
        expansion = read_expansion(node.action, data, self._stages)
        for child in expansion.children:
            if child.id not in self.nodes:
                self.actions[child.id] = child
        return expansion

    def _fail(self, id_: ActionId, error: AxError, seconds: float = 0.0, peak_memory_bytes: int = 0) -> None:
        node = self.nodes[id_]
        node.state = State.FAILED
        self.errors.append(error)
        self._release(node)
        self._announce(
            id_,
            "failed",
            error.sentence,
            seconds=seconds,
            peak_memory_bytes=peak_memory_bytes,
            causes=tuple(cause.record() for cause in node.causes),
            error=error.record(),
        )
        stopped = {preflight for preflight in self._gate if id_ in self.needed((), [preflight])}
        if stopped:
            self._gate -= stopped
            self._drop_goals_of(stopped)
        self._wake(id_)

    def _drop_goals_of(self, preflights: set[ActionId]) -> None:
        """With --keep_going: what only targets of a preflight that cannot pass need is not worth starting."""
        self._goals = [goal for goal in self._goals if not preflights & set(goal.preflights)]
        wanted = self.needed(
            (artifact for goal in self._goals for artifact in goal.artifacts),
            (id_ for goal in self._goals for id_ in (*goal.actions, *goal.preflights)),
        )
        for id_, node in self.nodes.items():
            node.dropped = node.dropped or id_ not in wanted
        self._gate -= {id_ for id_ in self._gate if self.nodes[id_].dropped}

    def _release(self, node: Node) -> None:
        if node.key is not None and self._in_flight.get(node.key.digest) == node.action.id:
            del self._in_flight[node.key.digest]
        if node.lock is not None:
            node.lock.release()
            node.lock = None

    def _wake(self, id_: ActionId) -> None:
        self._woken.extend(self._waiting_for.pop(id_, ()))

    def _announce(self, id_: ActionId, status: str, why: str, **fields: Any) -> None:
        node = self.nodes[id_]
        stage, key = node.action.stage, node.key.digest if node.key else ""
        at = self._stream.now()
        self._stream.emit(ActionFinished(*id_, stage.function, stage.ref, key, status, why, at, **fields))

    # -- blobs that are gone --------------------------------------------------------------------

    def revive(self, lost: BlobLost, for_node: ActionId | None = None) -> None:
        """A blob that a stored result names is gone: run what made it again, then whoever asked for it."""
        for id_ in [id_ for id_, completed in self.done.items() if lost.digest in set(digests_of(completed.outputs))]:
            completed = self.done.pop(id_)
            self._again(id_, lost, (Cause("blob", _output_of(completed, lost.digest), lost.digest, lost.state),))
        if for_node is not None and for_node in self.nodes and for_node not in self._woken:
            parts = inputs_of(self.actions[for_node], read=True)
            waits = any(True for part in parts for _ in self.contents.pending(part))
            # What it asked for is an input that is being made again, or the children it had itself named.
            itself = () if waits else (Cause("blob", FILE, lost.digest, lost.state),)
            self._again(for_node, lost, itself if self.actions[for_node].stage.expands else ())

    def _again(self, id_: ActionId, lost: BlobLost, distrust: tuple[Cause, ...]) -> None:
        node = self.nodes[id_]
        node.revived += 1
        if node.revived > REVIVALS:
            self._fail(id_, lost)
            return
        node.distrust = node.distrust or distrust
        self._release(node)
        node.state = State.WAITING
        self._woken.append(id_)

    # -- what did not run -----------------------------------------------------------------------

    def _skip_the_rest(self) -> None:
        for id_, node in self.nodes.items():
            if node.state in (State.WAITING, State.QUEUED):
                self._announce(id_, "skipped", self._why_skipped(id_))

    def _why_skipped(self, id_: ActionId) -> str:
        failed = [other for other in self.needed((), [id_]) if self._state(other) is State.FAILED]
        if failed:
            label, name = min(failed)
            return f"needs {label} {name}, which failed"
        return "not started after the first failure" if not self._keep_going else "only wanted by what failed"

    def _state(self, id_: ActionId) -> State | None:
        return self.nodes[id_].state if id_ in self.nodes else None

    def counts(self) -> Counter[State]:
        return Counter(node.state for node in self.nodes.values())


def inputs_of(action: Action, *, read: bool = False) -> Iterator[Artifact]:
    """read: only those that it reads itself, without what it hands on."""
    for role, artifact in action.inputs.items():
        if read and role in action.stage.hands_on:
            continue
        if isinstance(artifact, tuple):
            yield from artifact
        else:
            yield artifact


def _output_of(completed: Completed, digest: str) -> str:
    for name, shape in completed.outputs.items():
        if shape == digest or (isinstance(shape, dict) and digest in shape.values()):
            return name
    return FILE
