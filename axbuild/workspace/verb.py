"""How a command of `axbuild` is declared: by axbuild itself in the table below, or by a rule file."""

from __future__ import annotations

import re
from typing import Literal

from axbuild.dataclass import dataclass

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Argument:
    """What a user types behind a verb: in its place, or as an option where the name begins with "--".

    kind: what the function gets: "text", "number" (an int), "file" (the Path of a file that exists), "flag" (options
    only) or "rest": all that stands behind the verb as it was typed, -h included, for a command line with rules of its
    own; it is a verb's only argument. An option that is not given is its `default`; what stands in its place must be
    given unless it has one.
    many: any number of them, as a tuple.
    """

    name: str
    about: str
    kind: Literal["text", "number", "file", "flag", "rest"] = "text"
    default: str | int | bool | None = None
    many: bool = False

    def __post_init__(self) -> None:
        if self.kind == "flag" and not self.is_option:
            raise ValueError(f"the flag '{self.name}' must begin with --")

    @property
    def is_option(self) -> bool:
        return self.name.startswith("--")

    @property
    def role(self) -> str:
        """The keyword under which the function gets it: `--as-json` is as_json."""
        return self.name.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Verb:
    """A command: `INSPECT = Verb("inspect", "Show ...", "package.module:function", (Argument("file", ...),))`.

    ref: imported only when the verb runs; "./file_stages.py:function" stands beside a workspace's own rule file. The
    function gets each argument by name, prints what it has to say and returns the exit code, or None for 0; what
    a user did wrong it raises as an AxError.
    """

    name: str
    about: str
    ref: str
    arguments: tuple[Argument, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name}' is no name of a verb: it takes lower-case letters, digits and _")
        if self.takes_rest and len(self.arguments) > 1:
            raise ValueError(f"an argument of the verb '{self.name}' takes all, and there are others")

    @property
    def takes_rest(self) -> bool:
        return any(one.kind == "rest" for one in self.arguments)

    @property
    def module(self) -> str:
        return self.ref.partition(":")[0]

    @property
    def function(self) -> str:
        return self.ref.partition(":")[2]


def _own(name: str, about: str) -> Verb:
    return Verb(name, about, f"axbuild.cli.{name}:command")


BUILT_IN = {
    verb.name: verb
    for verb in (
        _own("build", "Build targets, reusing every result that is still valid."),
        _own("test", "Build targets that have a verdict, and say which passed."),
        _own("query", "List targets, what they depend on, or what depends on them."),
        _own("why", "Say why each action of a target ran, or since when it is valid."),
        _own("builds", "List the last builds."),
        _own("diff", "Say what moved between two builds."),
        _own("explain", "Say what an error code means."),
        _own("help", "Show the page of a command or of a rule."),
        _own("info", "Show the workspace, its cache and settings, or a rule's attributes."),
        _own("cache", "Show what the cache holds, keep it small, check it."),
        _own("clean", "Remove outputs, or the whole cache."),
        _own("completion", "Print the shell's completion script."),
        _own("version", "Print the version."),
    )
}
"""axbuild's own, whose refs are commands of click; no rule file may take one of these names"""
