"""Targets -> actions: settle each target's attributes and let its rule lay out."""

from __future__ import annotations

from typing import Any

from axbuild.errors import AxError, Place
from axbuild.graph.actions import TargetActions
from axbuild.graph.plan import Plan
from axbuild.graph.targets import TargetGraph
from axbuild.workspace.artifact import Artifact, Tree, file_name, is_tree
from axbuild.workspace.attributes import Companions
from axbuild.workspace.packages import Target
from axbuild.workspace.providers import Files
from axbuild.workspace.rulepack import raised_in
from axbuild.workspace.settled import Settled
from axbuild.workspace.sources import find_sources


class WrongProvider(AxError):
    code = "AX204"


class RuleFailed(AxError):
    code = "AX206"

    def __init__(self, rule: str, label: str, error: BaseException, place: Place) -> None:
        super().__init__(f"rule {rule} failed for {label}: {type(error).__name__}: {error}", place=place)


def lay_out(graph: TargetGraph) -> list[TargetActions]:
    """The actions of every target of the graph, dependencies first; reads attributes and providers only."""
    done: dict[str, TargetActions] = {}
    for target in graph.targets.values():
        done[target.label] = _TargetLayout(graph, target, done).run()
    return list(done.values())


class _TargetLayout:
    """One target on its way from plain values to actions; what attributes ask while they settle."""

    def __init__(self, graph: TargetGraph, target: Target, done: dict[str, TargetActions]) -> None:
        self._graph = graph
        self._target = target
        self._done = done
        self._attribute = ""

    def run(self) -> TargetActions:
        target = self._target
        workspace = self._graph.workspace
        rule = workspace.rules.rules[target.rule]
        settled: dict[str, Any] = {}
        workspace.disk.asked = set()
        try:
            for name, attribute in rule.attributes.items():
                self._attribute = name
                settled[name] = attribute.settle(target.values.get(name, attribute.default), self)
            self._attribute = ""
            plan = Plan(target.label, target.rule, self._done)
            t = Settled(
                target.label,
                settled,
                target.values,
                target.given(),
                lambda name: workspace.packages.place(target, name),
            )
            return plan.finished(rule.lay_out(t, plan), workspace.disk.asked)
        except AxError as error:
            if error.place is None:
                error.place = workspace.packages.place(target, self._attribute)
            raise
        except (Exception, SystemExit) as error:
            # A rule of the workspace is its author's to mend; in the standard ones it is a defect of ours.
            if (place := raised_in(workspace.root / "rules", error)) is None:
                raise
            raise RuleFailed(target.rule, target.label, error, place) from error

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
