"""Targets -> actions: settle each target's attributes and let its rule lay out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from axbuild.errors import AxError, Place
from axbuild.graph.actions import TargetActions
from axbuild.graph.losses import Losses
from axbuild.graph.plan import Plan
from axbuild.graph.targets import TargetGraph
from axbuild.workspace.artifact import Artifact, Tree, file_name, is_tree
from axbuild.workspace.attributes import Companions
from axbuild.workspace.confined import Unwatched, confined
from axbuild.workspace.expansion import mention
from axbuild.workspace.packages import Mistakes, Target, raise_all
from axbuild.workspace.providers import Files
from axbuild.workspace.rulepack import raised_in
from axbuild.workspace.settled import Settled
from axbuild.workspace.sources import find_sources


class WrongProvider(AxError):
    code = "AX204"


class RuleFailed(AxError):
    code = "AX206"

    def __init__(self, rule: str, label: str, error: BaseException, place: Place) -> None:
        unwatched = isinstance(error, Unwatched)
        what = f"it {error}" if unwatched else f"{type(error).__name__}: {error}"
        super().__init__(
            f"rule {rule} failed for {label}: {what}", place=place, hint=Unwatched.hint if unwatched else ""
        )


_FAILURES = (Exception, SystemExit, Unwatched)
"""the ways in which a rule may end"""


class Defect(AxError):
    """A standard rule that fails for a target in a way it has no sentence for."""

    code = "AX900"

    def __init__(self, target: Target, error: BaseException) -> None:
        import traceback

        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
        sentence = f"rule {target.rule} failed for {target.label}: {type(error).__name__}: {error} ({where})"
        super().__init__(sentence, hint="this is a defect of axbuild; please report the line above")


def lay_out(graph: TargetGraph) -> list[TargetActions]:
    """The actions of every target of the graph, dependencies first; reads attributes and providers only.

    Raises what is wrong with any of them.
    """
    losses = Losses()
    done = lay_out_sound(graph, losses)
    losses.raise_all()
    return done


def lay_out_sound(graph: TargetGraph, losses: Losses) -> list[TargetActions]:
    """As `lay_out`, and what is wrong goes to `losses`, with the targets that are lost to it."""
    done: dict[str, TargetActions] = {}
    with confined(graph.workspace.root / "rules"):
        for target in graph.targets.values():
            if losses.follow(target.label, target.labels):
                continue
            try:
                done[target.label] = _TargetLayout(graph, target, done).run()
            except Mistakes as several:
                for error in several.errors:
                    losses.add(error, target.label)
            except AxError as error:
                losses.add(error, target.label)
    return list(done.values())


class _TargetLayout:
    """One target on its way from plain values to actions; what attributes ask while they settle."""

    def __init__(self, graph: TargetGraph, target: Target, done: dict[str, TargetActions]) -> None:
        self._graph = graph
        self._target = target
        self._done = done
        self._rule = graph.workspace.rules.rules[target.rule]
        self._attribute = ""

    def run(self) -> TargetActions:
        target, packages = self._target, self._graph.workspace.packages
        disk = self._graph.workspace.disk
        disk.asked = set()
        settled = self._settled()
        plan = Plan(target.label, target.rule, self._done)
        place = partial(packages.place, target)
        t = Settled(target.label, settled, target.values, target.given(), place)
        try:
            assert self._rule.lay_out is not None, "a rule that expands has no targets of its own"
            return plan.finished(self._rule.lay_out(t, plan), disk.asked)
        except _FAILURES as error:
            told = self._told(error, "")
            raise told from (None if told is error else error)

    def _settled(self) -> dict[str, Any]:
        """What the rule sees of each attribute; raises what is wrong with any of them."""
        settled: dict[str, Any] = {}
        faults: list[AxError] = []
        for name, attribute in self._rule.attributes.items():
            self._attribute = name
            try:
                settled[name] = attribute.settle(self._target.values.get(name, attribute.default), self)
            except _FAILURES as error:
                faults.append(self._told(error, name))
        raise_all(faults)
        return settled

    def _told(self, error: BaseException, attribute: str) -> AxError:
        """The error with its place. A rule of the workspace is its author's to mend; in ours it is a defect of ours."""
        workspace, target = self._graph.workspace, self._target
        if isinstance(error, AxError):
            if error.place is None:
                error.place = workspace.packages.place(target, attribute)
            if target.header[2]:
                mention(error, workspace.packages.place(target))
            return error
        place = raised_in(workspace.root / "rules", error)
        return RuleFailed(target.rule, target.label, error, place) if place else Defect(target, error)

    def provider(self, label: str, types: tuple[type, ...]) -> Any:
        """The provider of a dependency, which must be of one of the types (any, if there are none)."""
        other = self._done[label]
        if types and not isinstance(other.provider, types):
            wanted = " or ".join(kind.__name__ for kind in types)
            gives = type(other.provider).__name__ if other.provider is not None else "nothing"
            sentence = f"{self._attribute} takes {wanted}, and {label} ({other.rule}) gives {gives}"
            rules = [rule.name for rule in self._graph.workspace.rules.rules.values() if rule.gives in types]
            hint = f"{wanted} is what {' and '.join(rules)} targets give" if rules else ""
            raise WrongProvider(sentence, hint=hint)
        return other.provider

    def sources(self, items: list[str], one_file: bool, companions: Companions | None) -> Artifact:
        """The artifact of paths, globs and labels of plain files."""
        workspace = self._graph.workspace
        labels = [item for item in items if item.startswith("//")]
        paths = [item for item in items if not item.startswith("//")]
        found: list[Artifact] = [self.provider(label, (Files,)).files for label in labels]
        if paths:
            package = self._target.package
            found.append(find_sources(workspace.disk, workspace.ignore, package, paths, one_file, companions))
        if one_file and companions is None and is_tree(found[0]):
            raise WrongProvider(f"{self._attribute} takes one file, and {items[0]} is a folder of files")
        return found[0] if len(found) == 1 else Tree(tuple((file_name(artifact), artifact) for artifact in found))
