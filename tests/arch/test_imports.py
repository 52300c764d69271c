"""The walls of the house: which package may import which, where heavy dependencies live, how long a file may be."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
LONGEST = 500

BUILD_WING = ["store", "workspace", "graph", "engine", "cli"]
"""each may import those before it"""

MODEL_WING = {
    "graph": -1,
    "ort": -1,
    "kinds": 0,
    "ops": 1,
    "frontend": 2,
    "data": 2,
    "quant": 3,
    "npu": 4,
    "precision": 5,
    "axmodel": 5,
    "pulsar2": 6,
}
"""each may import those of a lower number"""

HOMES = {
    "click": {"cli"},
    "rich": {"cli", "report"},
    "diskcache": {"store"},
    "networkx": {"graph"},
    "jsonschema": {"workspace"},
    "rtoml": {"workspace"},
    "onnx": {"toolchain"},
    "onnx_ir": {"toolchain"},
    "onnxscript": {"toolchain"},
    "onnxruntime": {"toolchain", "engine"},
    "numpy": {"toolchain", "engine"},
    "PIL": {"toolchain"},
    "torch": set(),
    "pickle": set(),
    "marshal": set(),
    "shelve": set(),
}
"""third-party package -> the folders of axbuild/ that may import it"""

HEAVY = [
    "torch",
    "onnx",
    "numpy",
    "onnxruntime",
    "networkx",
    "jsonschema",
    "diskcache",
    "rich",
    "onnx_ir",
    "PIL",
    "click",
]


def python_files(*folders):
    return sorted(path for folder in folders for path in (TOP / folder).rglob("*.py") if ".venv" not in path.parts)


OURS = python_files("axbuild", "rules")
EVERYTHING = [*OURS, *python_files("tests", "benchmarks", "examples")]


def shown(path):
    return path.relative_to(TOP).as_posix()


@cache
def imports(path):
    """[(module, line)] of every import in a file, inside functions too; `from a import b` also names a.b."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def room(path):
    """("engine", "") or ("toolchain", "quant"): the part of the house a file of axbuild/ stands in."""
    parts = path.relative_to(TOP / "axbuild").parts
    return (parts[0] if len(parts) > 1 else "", parts[1] if len(parts) > 2 else "")


def faults(check):
    return [
        f"{shown(path)}:{line} imports {module}"
        for path in OURS
        if path.is_relative_to(TOP / "axbuild")
        for module, line in imports(path)
        if module.startswith("axbuild.") and not check(room(path), module.split(".")[1:])
    ]


def build_wing_import_is_allowed(place, target):
    if place[0] not in BUILD_WING:
        return True
    client = {"cli": ("codes", "version", "report"), "engine": ("codes",)}.get(place[0], ())
    return target[0] in ("errors", *client, *BUILD_WING[: BUILD_WING.index(place[0]) + 1])


def model_wing_import_is_allowed(place, target):
    if place[0] != "toolchain":
        return True
    if target[0] != "toolchain":
        return target[0] == "errors"
    return target[1] == place[1] or MODEL_WING[target[1]] < MODEL_WING.get(place[1], 0)


def test_the_build_wing_imports_only_the_rooms_below_it():
    assert faults(build_wing_import_is_allowed) == []


def test_the_model_wing_imports_only_the_rooms_below_it():
    assert faults(model_wing_import_is_allowed) == []


@pytest.mark.parametrize(
    ("place", "target", "allowed"),
    [
        (("store", ""), ["workspace", "label"], False),
        (("engine", ""), ["toolchain", "npu"], False),
        (("engine", ""), ["graph", "plan"], True),
        (("cli", ""), ["report", "table"], True),
        (("graph", ""), ["report", "table"], False),
        (("toolchain", "npu"), ["toolchain", "quant", "x"], True),
        (("toolchain", "quant"), ["toolchain", "npu", "x"], False),
        (("toolchain", "data"), ["toolchain", "frontend", "x"], False),
        (("toolchain", "data"), ["workspace", "label"], False),
        (("toolchain", "data"), ["errors", "AxError"], True),
    ],
)
def test_the_walls_stand_where_they_should(place, target, allowed):
    assert (build_wing_import_is_allowed(place, target) and model_wing_import_is_allowed(place, target)) is allowed


def test_rule_files_import_no_stage():
    """The chips' records and their reader are no stages: rules offer what they hold."""
    chips = ("axbuild.toolchain.npu.chips.records.", "axbuild.toolchain.npu.chips.table.")
    found = [
        f"{shown(path)}:{line} imports {module}"
        for path in python_files("rules")
        for module, line in imports(path)
        if module.startswith("axbuild.") and module.split(".")[1] not in ("workspace", "graph", "errors")
        if not f"{module}.".startswith(chips)
    ]
    assert found == []


def test_what_rules_read_of_the_chips_needs_nothing_else_of_the_toolchain():
    for name in ("records", "table"):
        path = TOP / f"axbuild/toolchain/npu/chips/{name}.py"
        own = [module for module, _ in imports(path) if module.startswith("axbuild.")]
        assert [m for m in own if not m.startswith(("axbuild.errors", "axbuild.toolchain.npu.chips.records"))] == []


def test_each_dependency_stays_in_its_home():
    found = []
    for path in OURS:
        home = room(path)[0] if path.is_relative_to(TOP / "axbuild") else "rules"
        for module, line in imports(path):
            package = module.partition(".")[0]
            if package in HOMES and home not in HOMES[package]:
                found.append(f"{shown(path)}:{line} imports {module}")
    assert found == []


@pytest.mark.parametrize(
    "modules",
    ["axbuild", "axbuild.errors", "axbuild.workspace.workspace", "axbuild.graph.query", "axbuild.graph.layout"],
)
def test_the_way_to_the_graph_imports_nothing_heavy(modules):
    code = f"import sys, {modules}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_packages_run_no_code_when_they_are_imported():
    full = [shown(path) for path in OURS if path.name == "__init__.py" and path.read_text().strip()]
    assert full == ["axbuild/__init__.py"]


@pytest.mark.parametrize("path", EVERYTHING, ids=shown)
def test_no_file_is_longer_than_can_be_held_in_the_head(path):
    assert len(path.read_text().splitlines()) <= LONGEST
