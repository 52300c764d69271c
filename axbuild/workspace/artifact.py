"""What actions read and write: references, made while the graph is laid out and resolved while it runs.

An artifact is one blob or a tree (an ordered map of names to blobs).
"""

from __future__ import annotations

from axbuild.dataclass import dataclass

ActionId = tuple[str, str]
"""(canonical target label, action name unique in that target)"""


@dataclass(frozen=True)
class SourceFiles:
    """Files of the workspace: (name inside the tree, path relative to the workspace root), sorted by name.

    A single file (`tree` false) has one entry.
    """

    files: tuple[tuple[str, str], ...]
    tree: bool = False


@dataclass(frozen=True)
class Remote:
    """One file by its SHA-256, fetched from `url` where the store does not hold it; called `name`."""

    name: str
    url: str
    digest: str


@dataclass(frozen=True)
class Output:
    """A declared output of an action; a name ending in "/" is a tree."""

    action: ActionId
    name: str


@dataclass(frozen=True)
class Result:
    """The tree of everything an expansion's `result` names, known only when its children have run."""

    action: ActionId


@dataclass(frozen=True)
class Entry:
    """One file out of a tree artifact; with a name that ends in "/", a folder of it as a tree of its own."""

    tree: Artifact
    name: str


@dataclass(frozen=True)
class Tree:
    """A tree put together from other artifacts: ((prefix, artifact), ...) in the order given.

    A single artifact stands under the file name `prefix`; the files of a tree artifact stand under
    `prefix`/, or at the root where the prefix is "". Two files of one name are an error of the rule.
    """

    entries: tuple[tuple[str, Artifact], ...]


Artifact = SourceFiles | Remote | Output | Result | Entry | Tree


def is_tree(artifact: Artifact) -> bool:
    """Whether an artifact is an ordered map of names to blobs rather than one blob."""
    if isinstance(artifact, SourceFiles):
        return artifact.tree
    return artifact.name.endswith("/") if isinstance(artifact, Output | Entry) else not isinstance(artifact, Remote)


def file_name(artifact: Artifact) -> str:
    """The file name of a single artifact; "" for a tree."""
    if is_tree(artifact):
        return ""
    if isinstance(artifact, SourceFiles):
        return artifact.files[0][0]
    if isinstance(artifact, Remote):
        return artifact.name
    return artifact.name.rpartition("/")[2] if isinstance(artifact, Output | Entry) else ""


def as_tree(artifact: Artifact) -> Artifact:
    """The artifact as a tree: itself, or a folder that holds the one file under its own name."""
    if is_tree(artifact):
        return artifact
    if isinstance(artifact, SourceFiles):
        return SourceFiles(artifact.files, tree=True)
    return Tree(((file_name(artifact), artifact),))
