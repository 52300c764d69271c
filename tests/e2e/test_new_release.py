"""A release of axbuild that computes nothing otherwise runs nothing again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from zoo_workspace import Zoo, copy_package, copy_zoo

ENTRY = '    "AX500": ('
SELU = """
import numpy as np

from axbuild.toolchain.ops.activation import ActivationOp


class SeluOp(ActivationOp):
    onnx = "Selu"

    def curve(self, node):
        return np.tanh
"""


def edit(path: Path, change: Callable[[str], str]) -> None:
    before = path.read_text()
    after = change(before)
    assert after != before
    path.write_text(after)


def test_an_error_code_an_operator_a_chips_figure_and_a_number_execute_nothing(tmp_path: Path) -> None:
    zoo = Zoo(copy_zoo(tmp_path / "workspace"), tmp_path / "cache", copy_package(tmp_path / "package"))
    zoo.build("//...")
    package = tmp_path / "package/axbuild"
    ops = package / "toolchain/ops"
    edit(package / "codes.py", lambda text: text.replace(ENTRY, f'    "AX499": (USER_ERROR, "news"),\n{ENTRY}'))
    edit(package / "version.py", lambda text: '__version__ = "99.0.0"\n')
    edit(package / "toolchain/npu/chips/ax615.toml", lambda text: text.replace("clock_mhz = 600", "clock_mhz = 700"))
    (ops / "selu.py").write_text(SELU)
    edit(
        ops / "registry.json", lambda text: json.dumps(json.loads(text) | {"Selu": "axbuild.toolchain.ops.selu:SeluOp"})
    )
    outcome = zoo.build("//...")
    assert outcome.executed == []
    assert set(outcome.counts) == {"up_to_date"}
    assert zoo.run("explain", "AX499").out.startswith("AX499: news")
    assert zoo.run("version").out == "axbuild 99.0.0\n"


def test_a_lost_list_of_operators_is_made_again(tmp_path: Path) -> None:
    zoo = Zoo(copy_zoo(tmp_path / "workspace"), tmp_path / "cache")
    zoo.build("//digits:axmodel")
    listed = (zoo.root / "axbuild-out/digits/axmodel/frontend/operators.json").read_bytes()
    lost = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.read_bytes() == listed]
    assert len(lost) == 1
    lost[0].chmod(0o600)
    lost[0].unlink()
    edit(zoo.root / "digits/BUILD.toml", lambda text: text.replace('name = "quant"', 'name = "quant"\nmethod = "MSE"'))
    outcome = zoo.build("//digits:axmodel")
    assert outcome.code == 0
    assert outcome.executed[:3] == ["optimize", "calibrate", "quantize"]
