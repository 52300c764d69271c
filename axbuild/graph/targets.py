"""The target graph: what a request names and everything it depends on, dependencies first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from axbuild.dataclass import dataclass, field
from axbuild.errors import AxError, Place
from axbuild.graph.losses import Losses
from axbuild.workspace.attributes import closest
from axbuild.workspace.label import Pattern, parse_patterns, split
from axbuild.workspace.packages import NoPackage, Package, Packages, Target
from axbuild.workspace.workspace import Workspace

_SHOWN_LABELS = 20


class NoTarget(AxError):
    code = "AX202"


class Cycle(AxError):
    code = "AX203"

    def __init__(self, path: list[str], places: list[Place]) -> None:
        """places[i]: where path[i] names path[i + 1]."""
        steps = [path[0], *(f"{label} ({place})" for label, place in zip(path[1:], places, strict=True))]
        super().__init__(f"{path[0]} depends on itself: {_trail(steps)}", place=places[-1])


class NothingMatches(AxError):
    code = "AX205"


@dataclass(frozen=True)
class TargetGraph:
    """requested: labels in the order of the patterns. targets: those and all they need, dependencies first.

    Neither holds what is lost to a mistake. unbuilt: how many labels that were asked for are lost.
    """

    workspace: Workspace
    requested: tuple[str, ...]
    targets: dict[str, Target]
    losses: Losses = field(default_factory=Losses)
    unbuilt: int = 0


def load(workspace: Workspace, patterns: Iterable[str], package: str = "") -> TargetGraph:
    """Read the packages that the patterns need; relative ones are read from the folder `package`.

    Errors: bad labels, BUILD files that do not fit their rules, labels without a target, cycles; all there are.
    """
    graph = survey(workspace, patterns, package)
    graph.losses.raise_all()
    return graph


def survey(workspace: Workspace, patterns: Iterable[str], package: str = "") -> TargetGraph:
    """As `load`, and what is wrong stands in `losses`; raises only for patterns that are none."""
    packages = workspace.packages
    walk = _Walk(packages)
    requested = walk.expand(parse_patterns(patterns, package))
    walk.close(requested)
    packages.save()
    sound = tuple(label for label in requested if label in walk.done)
    return TargetGraph(workspace, sound, walk.done, walk.losses, len(requested) - len(sound))


def expand(packages: Packages, patterns: tuple[Pattern, ...]) -> tuple[str, ...]:
    """The labels that patterns name: each one adds or, with "-", takes away from those before it."""
    walk = _Walk(packages)
    found = walk.expand(patterns)
    walk.losses.raise_all()
    return found


class _Walk:
    """From patterns to targets and all they need. Goes on behind a mistake."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages
        self._told: dict[str, int] = {}
        self.done: dict[str, Target] = {}
        self.losses = Losses()

    def expand(self, patterns: tuple[Pattern, ...]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for number, pattern in enumerate(patterns):
            if pattern.negative:
                found = {label: None for label in found if not pattern.matches(label)}
            else:
                found.update(dict.fromkeys(self._matching(pattern, patterns[number + 1 :])))
        if not found and not self.losses:
            if not any(not pattern.negative for pattern in patterns):
                hint = "name one, such as //mobilenet:axmodel, or all with //..."
                raise NothingMatches("no target is named", hint=hint)
            raise NothingMatches(f"nothing is left of {' '.join(pattern.text for pattern in patterns)}")
        return tuple(found)

    def _matching(self, pattern: Pattern, later: tuple[Pattern, ...]) -> Iterator[str]:
        """The labels of a pattern. A package that a later one takes away as a whole is not even read."""
        if not pattern.recursive and pattern.name:
            yield f"//{pattern.package}:{pattern.name}"
            return
        names = self._packages.below(pattern.package) if pattern.recursive else [pattern.package]
        gone = [other for other in later if other.negative and not other.name]
        kept = [name for name in names if not any(other.matches(f"//{name}:") for other in gone)]
        none = True
        for name in kept:
            package = self._read(name)
            none = none and package is not None and package.whole and not package.targets and not package.broken
            if package is not None:
                yield from (f"//{name}:{target}" for target in (*package.targets, *sorted(package.broken)))
        if none and not (names and not kept):
            self.losses.add(NothingMatches(f"{pattern.text} matches no target"))

    def _read(self, name: str) -> Package | None:
        """A package, its mistakes told once; None where there is none, which is told too."""
        try:
            package = self._packages.read(name)
        except NoPackage as error:
            self.losses.add(error)
            return None
        if name not in self._told and package.faults:
            numbers = [self.losses.add(fault) for fault in package.faults]
            self._told[name] = numbers[0]
            for target, place in package.broken.items():
                self.losses.lose(f"//{name}:{target}", numbers[place])
        return package

    def close(self, requested: tuple[str, ...]) -> None:
        """Depth first, without recursion: a chain of targets may be longer than Python's stack."""
        open_labels: dict[str, None] = {}
        for root in requested:
            first = None if root in self.done else self._target(root, None, ())
            if first is None:
                continue
            open_labels[root] = None
            stack = [(first, iter(first.labels))]
            while stack:
                target, rest = stack[-1]
                label = next(rest, None)
                if label is None:
                    stack.pop()
                    del open_labels[target.label]
                    if not self.losses.follow(target.label, target.labels):
                        self.done[target.label] = target
                elif label in open_labels:
                    self.losses.add(self._cycle([*open_labels, label]), target.label)
                elif label not in self.done and label not in self.losses:
                    following = self._target(label, target, open_labels)
                    if following is not None:
                        open_labels[label] = None
                        stack.append((following, iter(following.labels)))

    def _cycle(self, trail: list[str]) -> Cycle:
        path = trail[trail.index(trail[-1]) :]
        readers = [self._target(label, None, ()) for label in path[:-1]]
        edges = zip(readers, path[1:], strict=True)
        return Cycle(path, [place_of(self._packages, reader, label) for reader, label in edges if reader is not None])

    def _target(self, label: str, reader: Target | None, path: Iterable[str]) -> Target | None:
        """The target behind a label; None where it is lost, and `reader` with it."""
        name, own = split(label)
        try:
            package = self._packages.read(name)
        except NoPackage as error:
            what = f"{label}: {error.sentence}"
            self._missing(what, label, reader, path, _as_target(self._packages, name) or error.hint)
            return None
        self._read(name)
        if own in package.targets:
            return package.targets[own]
        if label not in self.losses and not package.whole:
            self.losses.lose(label, self._told[name])
        if label not in self.losses:
            close = closest(own, [*package.targets, *package.broken])
            hint = f"did you mean '//{name}:{close}'?" if close else _targets_of(name, package)
            self._missing(label, label, reader, path, hint)
        return None

    def _missing(self, what: str, label: str, reader: Target | None, path: Iterable[str], hint: str) -> None:
        trail = f" (needed by {_trail(list(path))})" if reader else ""
        place = place_of(self._packages, reader, label) if reader else None
        error = NoTarget(f"there is no target {what}{trail}", place=place, hint=hint)
        self.losses.add(error, reader.label if reader else "")


def _as_target(packages: Packages, package: str) -> str:
    """A hint for `//mobilenet/axmodel`, which is no package: its last part may be a target of the one above."""
    above, _, name = package.rpartition("/")
    known = packages.read(above).targets if packages.exists(above) else {}
    return f"did you mean '//{above}:{name}'?" if name in known else ""


def _trail(path: list[str]) -> str:
    shown = path if len(path) <= _SHOWN_LABELS else [*path[: _SHOWN_LABELS - 3], "...", *path[-2:]]
    return " -> ".join(shown)


def _targets_of(name: str, package: Package) -> str:
    known = sorted([*package.targets, *package.broken])
    return f"//{name} has {', '.join(known)}" if known else f"//{name} has no targets"


def place_of(packages: Packages, target: Target, label: str) -> Place:
    """The line where a target names a label."""
    rule = packages.rules[target.rule]
    for name, value in target.values.items():
        if label in rule.attributes[name].labels(value):
            return packages.place(target, name)
    return packages.place(target)
