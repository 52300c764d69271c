"""A package whose BUILD file a test writes: the standard rules lay out its actions."""

from __future__ import annotations

from pathlib import Path

from onnx import helper

from axbuild.graph.layout import lay_out
from axbuild.graph.targets import load
from axbuild.workspace.workspace import Workspace
from net_workspace import AXMODEL as AXMODEL

CHAIN = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "calib"
src = "samples.tar"
tensor_format = "RGB"
mean = [127.5]
std = [127.5, 127.5, 127.0]

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"
"""
CHECK = """
[[check]]
name = "check"
axmodel = ":axmodel"
level = "close"
"""
TWO_INPUTS = (
    CHAIN.replace('calibration = ":calib"', 'calibration = { a = ":calib", b = ":arrays" }')
    + """
[[calibration_set]]
name = "arrays"
src = "a.npy"
format = "Numpy"
size = -1
"""
)


def empty_model():
    return helper.make_model(helper.make_graph([], "g", [], [])).SerializeToString()


def layer(tmp_path: Path):
    """text -> ((target, action) -> action, target -> what it lays out)"""

    def build(text):
        (tmp_path / "m").mkdir(exist_ok=True)
        (tmp_path / "axbuild.toml").touch()
        for name in ("net.onnx", "net.pb"):
            (tmp_path / "m" / name).write_bytes(empty_model())
        for name in ("samples.tar", "a.npy"):
            (tmp_path / "m" / name).write_bytes(b"x")
        (tmp_path / "m" / "BUILD.toml").write_text(text)
        laid = lay_out(load(Workspace.find(tmp_path, environ={}), ["//m:all"]))
        targets = {target.label.partition(":")[2]: target for target in laid}
        actions = {(name, action.id[1]): action for name, target in targets.items() for action in target.actions}
        return actions, targets

    return build
