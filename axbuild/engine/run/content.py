"""Artifacts while a build runs: which actions one still waits for, and what it holds once they are done.

Both walk the same way: through outputs, results of expansions, entries and put-together trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from axbuild.dataclass import dataclass
from axbuild.engine.code.key import Shape
from axbuild.errors import AxError
from axbuild.workspace.artifact import ActionId, Artifact, Entry, Output, Remote, Result, SourceFiles, Tree, is_tree


@dataclass(frozen=True)
class File:
    """One file by its SHA-256; `source` is its path relative to the workspace when it is no blob of the store, `url`
    where it is fetched from when the store lacks it."""

    digest: str
    source: str = ""
    url: str = ""


Held = TypeVar("Held")

Content = File | dict[str, File]
"""A single file, or a tree: name inside the tree -> file."""


class NoSuchEntry(AxError):
    code = "AX504"

    def __init__(self, name: str, owner: str, found: Mapping[str, object]) -> None:
        names = ", ".join(sorted(found)[:5]) or "nothing"
        kind = "folder" if name.endswith("/") else "file"
        super().__init__(f"{owner} has no {kind} '{name}'; it holds {names}")


class SameName(AxError):
    code = "AX505"

    def __init__(self, name: str) -> None:
        super().__init__(f"two files of one tree are called '{name}'")


class Finished(Protocol):
    """What is known of an action that is done."""

    @property
    def outputs(self) -> Mapping[str, Shape]: ...

    @property
    def result(self) -> Mapping[str, Artifact]: ...


class Contents:
    """Resolves artifacts against the actions that are done; `digest_of` reads sources."""

    def __init__(self, done: Mapping[ActionId, Finished], digest_of: Callable[[str], str]) -> None:
        self._done = done
        self._digest_of = digest_of

    def pending(self, artifact: Artifact) -> Iterator[ActionId]:
        """Actions that must be done before more is known; empty when the content can be told."""
        match artifact:
            case Output(action):
                if action not in self._done:
                    yield action
            case Result(action):
                if action not in self._done:
                    yield action
                else:
                    for part in self._done[action].result.values():
                        yield from self.pending(part)
            case Entry(Result(action), name) if action in self._done:
                for part in self._parts(action, name).values():
                    yield from self.pending(part)
            case Entry(tree, _):
                yield from self.pending(tree)
            case Tree(entries):
                for _, part in entries:
                    yield from self.pending(part)
            case SourceFiles() | Remote():
                return

    def content(self, artifact: Artifact) -> Content:
        """What an artifact holds; every action it needs must be done."""
        match artifact:
            case SourceFiles(files, tree):
                if not tree:
                    return self._source(files[0][1])
                return {name: self._source(path) for name, path in files}
            case Remote(_, url, digest):
                return File(digest, url=url)
            case Output(action, name):
                outputs = self._done[action].outputs
                if name not in outputs:
                    raise NoSuchEntry(name, said(artifact), outputs)
                return _stored(outputs[name])
            case Result(action):
                return self._joined((name, self.content(part)) for name, part in self._done[action].result.items())
            case Entry(Result(action), name):
                parts = self._parts(action, name)
                if not is_tree(artifact):
                    return self.content(parts[""])
                return self._joined((inside, self.content(part)) for inside, part in parts.items())
            case Entry(tree, name):
                inside = self.content(tree)
                taken = _taken({} if isinstance(inside, File) else inside, name, tree)
                return taken if is_tree(artifact) else taken[""]
            case Tree(entries):
                return self._joined((prefix, self.content(part)) for prefix, part in entries)

    def _parts(self, action: ActionId, name: str) -> dict[str, Artifact]:
        return _taken(self._done[action].result, name, Result(action))

    def _source(self, path: str) -> File:
        return File(self._digest_of(path), path)

    def _joined(self, parts: Iterator[tuple[str, Content]]) -> dict[str, File]:
        files: dict[str, File] = {}
        for prefix, part in parts:
            named = {prefix: part} if isinstance(part, File) else {_under(prefix, n): f for n, f in part.items()}
            for name, file in named.items():
                if name in files:
                    raise SameName(name)
                files[name] = file
        return files


def _taken(held: Mapping[str, Held], name: str, owner: Artifact) -> dict[str, Held]:
    """What an entry takes of a tree, by names inside the entry: the one file under "", or a folder's files."""
    if name.endswith("/"):
        found = {inside.removeprefix(name): one for inside, one in held.items() if inside.startswith(name)}
    else:
        found = {"": held[name]} if name in held else {}
    if not found:
        raise NoSuchEntry(name, said(owner), held)
    return found


def _under(prefix: str, name: str) -> str:
    return f"{prefix.rstrip('/')}/{name}" if prefix else name


def _stored(shape: Shape) -> Content:
    return File(shape) if isinstance(shape, str) else {name: File(digest) for name, digest in shape.items()}


def shape_of(content: Content) -> Shape:
    """The part of a content that stands in a key."""
    return content.digest if isinstance(content, File) else {name: file.digest for name, file in content.items()}


def files_of(content: Content) -> Iterator[File]:
    if isinstance(content, File):
        yield content
    else:
        yield from content.values()


def said(artifact: Artifact) -> str:
    """An artifact in a user's words: a path of the workspace, or an output of an action."""
    match artifact:
        case SourceFiles(files, tree):
            return f"{len(files)} files" if tree else files[0][1]
        case Remote(name):
            return name
        case Output((label, action), name):
            return f"{name} of {label} {action}"
        case Result((label, action)):
            return f"the results of {label} {action}"
        case Entry(holder, name):
            return f"{name} in {said(holder)}"
        case Tree():
            return "files put together"


def known_names(role: str, artifact: Artifact) -> dict[str, str]:
    """role, or role/file -> what the user knows it by (for `why`)."""
    if isinstance(artifact, SourceFiles) and artifact.tree:
        folders = {path.removesuffix(f"/{name}") for name, path in artifact.files[:1]}
        # The folder stands for files that are not there any more.
        return {f"{role}/{name}": path for name, path in artifact.files} | dict.fromkeys([role], "".join(folders))
    if isinstance(artifact, Tree):
        return {}
    return {role: said(artifact)}
