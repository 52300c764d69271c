"""Tools outside axbuild: how one is called on this machine, and what it is, for the keys of the stages that run it.

A tool is asked for its version once a build. What it says stands in keys beside the digest of the image, or of the
files of its command: never where those lie.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.engine.workers.launch import environment
from axbuild.errors import AxError
from axbuild.store.statcache import StatCache

_DOCKER = "docker:"
_PATIENCE_SECONDS = 120
_OF_DOCKER = ("HOME", "XDG_RUNTIME_DIR")
"""beside DOCKER_*, what says which daemon a docker client speaks to"""


@dataclass(frozen=True)
class ExternalTool:
    """identity: what stands in keys. call: how a stage calls it, of no part in any."""

    identity: str
    call: dict[str, Any]


class ToolNotNamed(AxError):
    code = "AX580"

    def __init__(self, name: str) -> None:
        hint = f'write {name} = "docker:IMAGE", or a command, under [toolchain] in axbuild.toml'
        super().__init__(f"{name} is asked for, and nothing says how it is called", hint=hint)


class ToolMissing(AxError):
    code = "AX581"

    def __init__(self, name: str, what: str, hint: str = "") -> None:
        super().__init__(f"{name} cannot be run: {what}", hint=hint)


class ToolMute(AxError):
    code = "AX586"

    def __init__(self, name: str, status: int, said: str) -> None:
        hint = said.strip().rpartition("\n")[2]
        super().__init__(f"`{name} version` ended with status {status}, so that its results cannot be kept", hint=hint)


class ExternalTools:
    """The tools that `[toolchain]` names. root: where a command's relative paths begin."""

    def __init__(self, named: Mapping[str, str], root: Path, stat: StatCache) -> None:
        self._named, self._root, self._stat = named, root, stat
        self._known: dict[str, ExternalTool] = {}

    def tool(self, name: str) -> ExternalTool:
        """Raises ToolNotNamed, ToolMissing and ToolMute."""
        if name not in self._known:
            self._known[name] = self._found(name)
        return self._known[name]

    def _found(self, name: str) -> ExternalTool:
        said = self._named.get(name, "")
        if not said:
            raise ToolNotNamed(name)
        if said.startswith(_DOCKER):
            return _in_docker(name, said.removeprefix(_DOCKER))
        words = [self._rooted(word) for word in shlex.split(said)]
        program = shutil.which(words[0])
        if program is None:
            raise ToolMissing(name, f"there is no command '{words[0]}'", "see `pulsar2` under [toolchain]")
        words[0] = program
        version = _answer(name, [*words, "version"], environment())
        files = [self._stat.digest_of(os.path.realpath(word)) for word in words if Path(word).is_file()]
        call = {"argv": words, "image": "", "user": "", "environment": {}}
        return ExternalTool(", ".join((version, *files)), call)

    def _rooted(self, word: str) -> str:
        beside = self._root / word
        return str(beside) if "/" in word and beside.exists() else word


def _in_docker(name: str, image: str) -> ExternalTool:
    docker = shutil.which("docker")
    if docker is None:
        raise ToolMissing(name, f"there is no command 'docker' to run the image '{image}' by")
    told = {key: value for key, value in os.environ.items() if key in _OF_DOCKER or key.startswith("DOCKER_")}
    surroundings = environment() | told
    asked = _run(name, [docker, "image", "inspect", "--format", "{{.Id}}", image], surroundings)
    digest = asked.stdout.strip()
    if asked.returncode or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        said = asked.stderr.strip().rpartition("\n")[2]
        raise ToolMissing(name, f"docker has no image '{image}'" + (f" ({said})" if said else ""))
    # By its digest: a name that is given to another image meanwhile changes nothing.
    ask = [docker, "run", "--rm", "--network", "none", "--entrypoint", name, digest, "version"]
    version = _answer(name, ask, surroundings)
    call = {"argv": [docker], "image": digest, "user": _caller_inside(name, docker, surroundings), "environment": told}
    return ExternalTool(f"{version}, {digest}", call)


def _caller_inside(name: str, docker: str, surroundings: Mapping[str, str]) -> str:
    """Whose files of a container belong to the caller: his own number, but its root under a daemon that he runs himself
    without privileges, which has its data in a folder of his."""
    asked = _run(name, [docker, "info", "--format", "{{.DockerRootDir}}"], surroundings)
    try:
        owner = Path(asked.stdout.strip() or "/").stat().st_uid
    except OSError:  # of a daemon that does not show it
        owner = 0
    return "0:0" if owner == os.getuid() else f"{os.getuid()}:{os.getgid()}"


def _answer(name: str, command: Sequence[str], surroundings: Mapping[str, str]) -> str:
    done = _run(name, command, surroundings)
    if done.returncode:
        raise ToolMute(name, done.returncode, done.stderr or done.stdout)
    return " ".join(done.stdout.split())


def _run(name: str, command: Sequence[str], surroundings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except OSError as error:
        raise ToolMissing(name, f"'{command[0]}' does not start ({(error.strerror or str(error)).lower()})") from None
    except subprocess.TimeoutExpired:
        raise ToolMissing(name, f"'{command[0]}' does not answer within {_PATIENCE_SECONDS} s") from None
