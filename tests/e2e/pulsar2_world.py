"""How the stand-in of Pulsar2 is called."""

from __future__ import annotations

import shlex
import sys

from zoo_workspace import REPOSITORY


def standin(*options: str) -> str:
    """A command, as `[toolchain] pulsar2` takes one."""
    paths = f"{REPOSITORY}:{REPOSITORY / 'tests'}"
    script = str(REPOSITORY / "tests/pulsar2_standin.py")
    return shlex.join(["env", f"PYTHONPATH={paths}", sys.executable, script, *options])
