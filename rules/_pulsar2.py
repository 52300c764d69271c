"""What `axbuild pulsar2` runs: one of the vendor's commands, on the rest of the line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import axbuild
from axbuild.errors import AxError
from axbuild.workspace.attributes import did_you_mean

Arguments = tuple[str, ...]

COMMANDS = {
    "build": "Build a compiled model of a float one: --input, --output_dir, --config and what they leave open.",
    "run": "Run a model on files of raw bytes: --model, --input_dir, --output_dir.",
    "version": "Print the version.",
}


class NoCommandError(AxError):
    code = "AX540"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"pulsar2 has no command '{name}'" if name else "pulsar2 takes a command",
            hint=did_you_mean(name, COMMANDS) or f"the commands are {', '.join(COMMANDS)}",
        )


def pulsar2(arguments: Arguments) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", ())
    match name:
        case "build":
            from ._pulsar2_build import build

            return build(rest)
        case "run":
            from ._pulsar2_run import run

            return run(rest)
        case "version":
            return version()
        case "-h" | "--help":
            return usage()
    raise NoCommandError(name)


def usage() -> int:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {about}" for name, about in COMMANDS.items()]
    print("\n".join(["usage: pulsar2 COMMAND ...", "", *lines, "", "pulsar2 COMMAND -h lists its options."]))
    return 0


def version() -> int:
    """In the vendor's two lines, which scripts take apart; the commit is a digest of the code that runs."""
    from axbuild.version import __version__

    print(f"version: {__version__}")
    print(f"commit: {_digest()[:8]}")
    print("axbuild's own toolchain, which follows the vendor's command line")
    return 0


def _digest() -> str:
    package, found = Path(axbuild.__file__).parent, hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
