"""What a zygote keeps of what it imported."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from axbuild.engine.workers.preload import Preload


def test_a_library_that_cannot_be_imported_leaves_no_half_of_it_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that needs what it does not declare; its part has seen it unfinished."""
    folder = tmp_path / "halved"
    folder.mkdir()
    (folder / "__init__.py").write_text("import halved.part\nimport undeclared\nREADY = True\n")
    (folder / "part.py").write_text("import halved\n\ndef ready():\n    return halved.READY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    preload = Preload()
    preload.closures[0] = {
        "imports": [("halved", (), ("halved",))],
        "tops": ["halved", "undeclared"],
        "module": "stage",
        "modules": {},
        "data": {},
    }
    preload.view(0)
    assert not [name for name in sys.modules if name.partition(".")[0] == "halved"]
    (tmp_path / "undeclared.py").touch()
    assert importlib.import_module("halved.part").ready()
