"""One run of a real Pulsar2: in a container that sees what it is given and no more, or as a command of this machine.

A container outlives the client that was killed, so the vendor's command runs there under a shell that ends it when
the client's end of its input is gone.
"""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from axbuild.errors import AxError, AxWarning, visible
from axbuild.progress import tell
from axbuild.toolchain.pulsar2.driver.log import STAGES, Log
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.write import written

TOLD_LINES = 3
"""of the log, behind an error that says nothing else"""
_NOT_STARTED = 125
"""how `docker run` ends when the daemon refuses; what the daemon says begins with docker's name in any case"""
_INSIDE = "/axbuild"
_WITH_CALLER = (
    'exec 3<&0; "$@" </dev/null & child=$!; { cat; kill -9 $child; } <&3 >/dev/null 2>&1 & exec 3<&-; wait $child'
)


class Pulsar2FailedError(AxError):
    code = "AX582"

    def __init__(self, status: int, log: Log, last: Iterable[str]) -> None:
        signal = -status if status < 0 else status - 128  # as shells put it
        how = f"was killed by signal {signal}" if signal > 0 else f"ended with status {status}"
        at = f" in {log.stage}" if log.stage else " before its first stage"
        said = f": {log.reason}" if log.reason else ""
        hint = "" if said else " / ".join(visible(line.strip()) for line in last if line.strip())
        super().__init__(f"Pulsar2 {how}{at}{said}", hint=hint)


class NoContainerError(AxError):
    """A container that docker did not begin."""

    code = "AX587"

    def __init__(self, gpu: str, last: Iterable[str]) -> None:
        said = [line.strip() for line in last if line.strip() and "docker run --help" not in line]
        why = f": {visible(said[-1].removeprefix('docker: '))}" if said else ""
        hint = f"fine-tuning on cuda:{gpu} takes a GPU of that number, and the NVIDIA container toolkit" if gpu else ""
        super().__init__(f"docker does not start a container for Pulsar2{why}", hint=hint)


class Pulsar2MissesError(AxError):
    code = "AX584"

    def __init__(self, name: str) -> None:
        super().__init__(f"Pulsar2 ended well and did not write {name}")


@dataclass(frozen=True)
class Pulsar2:
    """How it is called here. argv: the command, or docker's client; image: by its digest, "" for a command; user: who
    files shall belong to; environment: beside what every stage has."""

    argv: list[str]
    image: str
    user: str
    environment: dict[str, str]


class Pulsar2Run:
    """One run, in the folder of a stage whose outputs go to `out`; `made` is where Pulsar2 writes.

    Only what was given is to be seen in a container. Paths in a configuration are those that `give` returned.
    device: "cpu", or "cuda:N" for the GPU that Pulsar2 is to see, which is then cuda:0 for it, as it sees no other.
    """

    def __init__(self, call: Mapping[str, Any], out: Path, device: str = "cpu") -> None:
        self._tool, self._out, self._gpu = Pulsar2(**call), out, device.partition(":")[2]
        self._room = out.parent / "tmp"
        self.made = self._room / "output"
        self.made.mkdir(parents=True)
        self._given: dict[str, Path] = {}

    def give(self, name: str, path: Path) -> str:
        """Let Pulsar2 read a file or folder; what it is called there."""
        self._given[name] = path
        return f"{_INSIDE}/{name}" if self._tool.image else os.path.relpath(path, self.made)

    @property
    def packed(self) -> Path:
        """Where archives of calibration sets are made."""
        return self._room / "packed"

    def build(self, config: BuildConfig) -> Log:
        """Run `pulsar2 build`. The log is out/log.txt, its figures out/report.json; raises Pulsar2FailedError and
        NoContainerError."""
        output = f"{_INSIDE}/output" if self._tool.image else "."
        file = self._room / "config.json"
        file.write_text(written(replace(config, output_dir=output)), encoding="utf-8")
        log = self._run(["build", "--config", self.give("config.json", file)])
        (self._out / "report.json").write_text(json.dumps(log.record(), indent=2) + "\n", encoding="utf-8")
        for line in log.warnings:
            warnings.warn(AxWarning("AX585", f"Pulsar2: {line}"), stacklevel=2)
        return log

    def _run(self, arguments: list[str]) -> Log:
        log, last = Log(), deque[str](maxlen=TOLD_LINES)
        tool = self._tool
        with (
            (self._out / "log.txt").open("w", encoding="utf-8") as kept,
            subprocess.Popen(
                self._contained(arguments) if tool.image else [*tool.argv, *arguments],
                cwd=self.made,
                env=os.environ | tool.environment | self._sees,
                stdin=subprocess.PIPE if tool.image else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="backslashreplace",
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                kept.write(line)
                last.append(line)
                _hear(log, line)
            status = process.wait()
        refused = status == _NOT_STARTED or any(line.startswith("docker: ") for line in last)
        if status and refused and tool.image and not log.stages:
            raise NoContainerError(self._gpu, last)
        if status:
            raise Pulsar2FailedError(status, log, last)
        return log

    @property
    def _sees(self) -> dict[str, str]:
        """Of the GPUs, for a command of this machine."""
        return {"CUDA_VISIBLE_DEVICES": self._gpu} if self._gpu and not self._tool.image else {}

    def _contained(self, arguments: list[str]) -> list[str]:
        mounts = [_mount(path, name, ",readonly") for name, path in self._given.items()]
        return [
            *(*self._tool.argv, "run", "--rm", "--interactive", "--network", "none", "--user", self._tool.user),
            *(("--gpus", f"device={self._gpu}") if self._gpu else ()),
            *("--env", "HOME=/tmp", "--workdir", f"{_INSIDE}/output", "--entrypoint", "sh"),
            *(word for mount in (*mounts, _mount(self.made, "output")) for word in ("--mount", mount)),
            *(self._tool.image, "-c", _WITH_CALLER, "sh", "pulsar2", *arguments),
        ]


def _hear(log: Log, line: str) -> None:
    before = log.stage
    log.hear(line)
    if log.stage != before:
        tell(log.stage, list(STAGES).index(log.stage), len(STAGES))


def _mount(path: Path, name: str, more: str = "") -> str:
    source = f"source={path.resolve()}".replace('"', '""')  # docker reads it as a line of CSV
    return f'type=bind,"{source}",target={_INSIDE}/{name}{more}'
