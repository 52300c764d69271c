"""The target graph: what a request names and everything it depends on, dependencies first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from axbuild.errors import AxError, Place
from axbuild.workspace.label import Pattern, parse_patterns, split
from axbuild.workspace.packages import NoPackage, Packages, Target
from axbuild.workspace.workspace import Workspace

_SHOWN_LABELS = 20


class NoTarget(AxError):
    code = "AX202"


class Cycle(AxError):
    code = "AX203"

    def __init__(self, path: list[str], place: Place) -> None:
        super().__init__(f"{path[0]} depends on itself: {_trail(path)}", place=place)


class NothingMatches(AxError):
    code = "AX205"


@dataclass(frozen=True)
class TargetGraph:
    """requested: labels in the order of the patterns. targets: those and all they need, dependencies first."""

    workspace: Workspace
    requested: tuple[str, ...]
    targets: dict[str, Target]


def load(workspace: Workspace, patterns: Iterable[str], package: str = "") -> TargetGraph:
    """Read the packages that the patterns need; relative ones are read from the folder `package`.

    Errors: bad labels, BUILD files that do not fit their rules, labels without a target, cycles.
    """
    packages = workspace.packages
    requested = expand(packages, parse_patterns(patterns, package))
    targets = _closure(packages, requested)
    packages.save()
    return TargetGraph(workspace, requested, targets)


def expand(packages: Packages, patterns: tuple[Pattern, ...]) -> tuple[str, ...]:
    """The labels that patterns name: each one adds or, with "-", takes away from those before it."""
    found: dict[str, None] = {}
    for pattern in patterns:
        if pattern.negative:
            found = {label: None for label in found if not pattern.matches(label)}
        else:
            found.update(dict.fromkeys(_matching(packages, pattern)))
    if not found:
        if not any(not pattern.negative for pattern in patterns):
            raise NothingMatches("no target is named", hint="name one, such as //mobilenet:axmodel, or all with //...")
        raise NothingMatches(f"nothing is left of {' '.join(pattern.text for pattern in patterns)}")
    return tuple(found)


def _matching(packages: Packages, pattern: Pattern) -> list[str]:
    if not pattern.recursive and pattern.name:
        label = f"//{pattern.package}:{pattern.name}"
        return [_target(packages, label, None, ()).label]
    names = packages.below(pattern.package) if pattern.recursive else [pattern.package]
    labels = [target.label for name in names for target in packages.targets(name).values()]
    if not labels:
        raise NothingMatches(f"{pattern.text} matches no target")
    return labels


def _closure(packages: Packages, requested: tuple[str, ...]) -> dict[str, Target]:
    """Depth first, without recursion: a chain of targets may be longer than Python's stack."""
    done: dict[str, Target] = {}
    open_labels: dict[str, None] = {}
    for root in requested:
        if root in done:
            continue
        first = _target(packages, root, None, ())
        open_labels[root] = None
        stack = [(first, iter(first.labels))]
        while stack:
            target, rest = stack[-1]
            label = next(rest, None)
            if label is None:
                stack.pop()
                del open_labels[target.label]
                done[target.label] = target
            elif label in open_labels:
                trail = [*open_labels, label]
                raise Cycle(trail[trail.index(label) :], place_of(packages, target, label))
            elif label not in done:
                following = _target(packages, label, target, open_labels)
                open_labels[label] = None
                stack.append((following, iter(following.labels)))
    return done


def _target(packages: Packages, label: str, reader: Target | None, path: Iterable[str]) -> Target:
    package, name = split(label)
    try:
        known = packages.targets(package)
    except NoPackage as error:
        raise _missing(packages, f"{label}: {error.sentence}", label, reader, path, error.hint) from None
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '//{package}:{close[0]}'?" if close else _targets_of(package, known)
        raise _missing(packages, label, label, reader, path, hint)
    return known[name]


def _missing(
    packages: Packages, what: str, label: str, reader: Target | None, path: Iterable[str], hint: str
) -> NoTarget:
    trail = f" (needed by {_trail(list(path))})" if reader else ""
    place = place_of(packages, reader, label) if reader else None
    return NoTarget(f"there is no target {what}{trail}", place=place, hint=hint)


def _trail(path: list[str]) -> str:
    shown = path if len(path) <= _SHOWN_LABELS else [*path[: _SHOWN_LABELS - 3], "...", *path[-2:]]
    return " -> ".join(shown)


def _targets_of(package: str, known: dict[str, Target]) -> str:
    return f"//{package} has {', '.join(sorted(known))}" if known else f"//{package} has no targets"


def place_of(packages: Packages, target: Target, label: str) -> Place:
    """The line where a target names a label."""
    rule = packages.rules[target.rule]
    for name, value in target.values.items():
        if label in rule.attributes[name].labels(value):
            return packages.place(target, name)
    return packages.place(target)
