"""The keys of the example's actions as a copy of the code makes them, before and after an edit of that code.

Nothing runs. An expansion's children are not known then, so each stage that no rule lays out stands for itself. Left
out of every key is the content of its inputs: a key that differs here has moved by its own code, tools, parameters
or platform, and not because an action before it made something else. What a stage loads by name is what a model
of `OPERATORS` needs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGETS = ["//digits:check"]
OPERATORS = ["Add", "Clip", "Conv", "Gemm", "GlobalAveragePool", "NonMaxSuppression", "Reshape"]

SCRIPT = """
import json, sys
from pathlib import Path
from axbuild.engine.code.closure import Code
from axbuild.engine.code.key import key_of
from axbuild.graph.layout import lay_out
from axbuild.graph.targets import load
from axbuild.workspace.workspace import Workspace

folder, operators, *targets = json.loads(sys.argv[1])
workspace = Workspace.find(Path(folder))
named = frozenset(operators)
code = Code(rules=workspace.root / "rules")
actions = {
    f"{label} {name}": (action.stage, action.params)
    for target in lay_out(load(workspace, targets, ""))
    for action in target.actions
    for label, name in [action.id]
}
laid_out = {stage for stage, _ in actions.values()}
actions |= {stage.ref: (stage, {}) for stage in workspace.rules.stages.values() if stage not in laid_out}
print(json.dumps({
    name: key_of(stage.ref, code.closure(stage, named).code, params, {}, "here" if stage.float else None).digest
    for name, (stage, params) in actions.items()
}))
"""


class KeyWorld:
    """A copy of the code in `folder`, and the example's workspace, which is only read."""

    def __init__(self, folder: Path) -> None:
        self.code = folder / "code"
        for name in ("axbuild", "rules"):
            source = REPOSITORY / name
            shutil.copytree(source, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AXBUILD_")}
        self._environment = clean | {"PYTHONPATH": str(self.code), "AXBUILD_CACHE_DIR": str(folder / "cache")}
        self.before = self.keys()

    def keys(self) -> dict[str, str]:
        """Action, or stage that no rule lays out -> its key without the content of its inputs."""
        asked = json.dumps([str(REPOSITORY / "examples/zoo"), OPERATORS, *TARGETS])
        command = [sys.executable, "-P", "-c", SCRIPT, asked]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def moved_by(self, file: str, edit: Callable[[str], str]) -> set[str]:
        """The names of all whose key an edit of one file of the code moves; a file that is not there is an empty one.

        The edit is undone afterwards.
        """
        path = self.code / file
        text = path.read_text() if path.exists() else None
        edited = edit(text or "")
        assert edited != text, f"the edit changes nothing in {file}"
        path.write_text(edited)
        try:
            after = self.keys()
        finally:
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        return {name for name in self.before.keys() | after.keys() if self.before.get(name) != after.get(name)}
