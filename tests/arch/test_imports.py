"""The walls of the house: which room may import which, where heavy dependencies live, how long a file may be."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs/architecture.md"
LONGEST = 500

BUILD_WING = (
    ("store",),
    ("workspace",),
    ("graph",),
    ("engine/code", "engine/records"),
    ("engine/workers",),
    ("engine/run",),
    ("engine/noop",),
    ("engine",),
    ("report",),
    ("cli",),
)
"""floors, the lowest first: a room may import itself and any on a lower floor; a file beside rooms is the roof's"""

MODEL_WING = (
    ("toolchain",),
    ("toolchain/kinds",),
    ("toolchain/ops",),
    ("toolchain/rewrites", "toolchain/data"),
    ("toolchain/frontend",),
    ("toolchain/quant",),
    ("toolchain/tune", "toolchain/qdq"),
    ("toolchain/smooth", "toolchain/search", "toolchain/rounding", "toolchain/shapes"),
    ("toolchain/npu/chips", "toolchain/npu/net", "toolchain/npu/options", "toolchain/npu/program"),
    ("toolchain/npu/lower",),
    ("toolchain/npu/simulator",),
    ("toolchain/npu/plan", "toolchain/npu/layout"),
    ("toolchain/npu/compile", "toolchain/npu/profile"),
    ("toolchain/precision", "toolchain/axmodel"),
    ("toolchain/analysis",),
    ("toolchain/pulsar2",),
)
"""the same; of npu, a file beside rooms is a room of its own"""

FLOOR = {room: (wing, floor) for wing in (BUILD_WING, MODEL_WING) for floor, rooms in enumerate(wing) for room in rooms}
SHARED = {"errors", "progress"}
"""what both wings read"""
READERS = {
    "codes": {"engine", "engine/run", "report", "cli"},
    "version": {"", "engine", "cli"},
    "dataclass": {room for rooms in BUILD_WING for room in rooms} | {"report"},
}
"""what stages must not read, since it is no part of what they compute"""

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
    "yaml": {"toolchain"},
    "torch": {"toolchain"},
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
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(TOP).parts[: -node.level] if node.level else ()
            whole = ".".join((*package, *filter(None, [node.module])))
            found += [(f"{whole}.{alias.name}", node.lineno) for alias in node.names]
    return found


def room(module):
    """The part of the house that a module of axbuild stands in: "engine/run", "toolchain/npu/net", "store"; "" for
    axbuild itself."""
    parts = module.split(".")[1:]
    deep = {"engine": 2, "toolchain": 3 if parts[1:2] == ["npu"] else 2}.get(parts[0], 1) if parts else 0
    while deep > 1 and "/".join(parts[:deep]) not in FLOOR and not (TOP / "axbuild" / "/".join(parts[:deep])).is_dir():
        deep -= 1
    return "/".join(parts[:deep])


def module_of(path):
    return ".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__")


def imports_across():
    """(file:line, room, room it imports from) of every import of axbuild that leaves its room."""
    for path in python_files("axbuild"):
        here = room(module_of(path))
        for module, line in imports(path):
            there = room(module)
            if module.startswith("axbuild.") and there != here:
                yield f"{shown(path)}:{line} imports {module}", here, there


def is_allowed(here, there):
    if there in SHARED or here in READERS.get(there, ()):
        return True
    if here in ("", "rules"):  # what axbuild offers to its users is imported on first use
        return there in FLOOR
    if here not in FLOOR or there not in FLOOR:
        return False
    (wing, floor), (other, lower) = FLOOR[here], FLOOR[there]
    return lower < floor if wing is other else here == "report"


def test_every_room_has_its_floor():
    rooms = {room(module_of(path)) for path in python_files("axbuild") if path.read_text()}
    assert rooms - FLOOR.keys() == {"", *SHARED, "codes", "dataclass", "version", "rules"}


def test_every_room_imports_only_rooms_below_it():
    assert [line for line, here, there in imports_across() if not is_allowed(here, there)] == []


@pytest.mark.parametrize(
    ("here", "there", "allowed"),
    [
        ("store", "workspace", False),
        ("engine/run", "toolchain/npu/plan", False),
        ("engine/run", "graph", True),
        ("engine/run", "engine/noop", False),
        ("engine/records", "engine/code", False),
        ("engine", "engine/noop", True),
        ("engine/code", "engine", False),
        ("cli", "report", True),
        ("cli", "toolchain/axmodel", False),
        ("graph", "report", False),
        ("report", "toolchain/ops", True),
        ("toolchain/npu/plan", "toolchain/quant", True),
        ("toolchain/npu/lower", "toolchain/npu/layout", False),
        ("toolchain/quant", "toolchain/npu/chips", False),
        ("toolchain/data", "toolchain/frontend", False),
        ("toolchain/data", "workspace", False),
        ("toolchain/data", "errors", True),
        ("toolchain/data", "progress", True),
        ("toolchain/data", "codes", False),
        ("workspace", "codes", False),
        ("toolchain/brand_new", "toolchain/ops", False),
    ],
)
def test_the_walls_stand_where_they_should(here, there, allowed):
    assert is_allowed(here, there) is allowed


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("axbuild", ""),
        ("axbuild.errors", "errors"),
        ("axbuild.engine.build.build", "engine"),
        ("axbuild.engine.run.world.LocalWorld", "engine/run"),
        ("axbuild.toolchain.graph.read", "toolchain"),
        ("axbuild.toolchain.npu.net.read", "toolchain/npu/net"),
        ("axbuild.toolchain.npu.layout.emit", "toolchain/npu/layout"),
    ],
)
def test_a_module_stands_in_a_room(module, expected):
    assert room(module) == expected


def test_relative_imports_are_seen():
    assert "rules._nouns.QuantModel" in [module for module, _ in imports(TOP / "rules/axmodel.py")]


def test_the_page_of_the_house_names_every_room_and_counts_the_arrows():
    arrows = {(here, there) for _, here, there in imports_across() if here in FLOOR and there in FLOOR}
    rooms = {room(module_of(path)) for path in python_files("axbuild")} & FLOOR.keys()
    text = PAGE.read_text()
    assert f"{len(rooms)} rooms and {len(arrows)} arrows" in text
    assert [name for name in sorted(rooms) if f"`{name}`" not in text] == []


RUN_BY_VERBS = {
    "_freezing.py",
    "_importing.py",
    "_inspecting.py",
    "_pulsar2.py",
    "_pulsar2_build.py",
    "_pulsar2_paths.py",
    "_pulsar2_run.py",
    "_pulsar2_told.py",
    "_pulsar2_tree.py",
    "_pulsar2_workspace.py",
    "_running.py",
}


def test_rule_files_import_no_stage():
    """The chips' records and their reader are no stages: rules offer what they hold; nor is what a configuration of the
    vendor's stands for. What a verb runs is imported when the verb runs, and joins both wings."""
    no_stages = (
        "axbuild.toolchain.npu.chips.records.",
        "axbuild.toolchain.npu.chips.table.",
        "axbuild.toolchain.pulsar2.expand.",
        "axbuild.toolchain.pulsar2.read.",
    )
    found = [
        f"{shown(path)}:{line} imports {module}"
        for path in python_files("rules")
        for module, line in imports(path)
        if path.name not in RUN_BY_VERBS
        if module.startswith("axbuild.") and module.split(".")[1] not in ("workspace", "graph", "errors", "dataclass")
        if not f"{module}.".startswith(no_stages)
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
        home = path.relative_to(TOP / "axbuild").parts[0] if path.is_relative_to(TOP / "axbuild") else "rules"
        for module, line in imports(path):
            package = module.partition(".")[0]
            if package in HOMES and home not in HOMES[package]:
                found.append(f"{shown(path)}:{line} imports {module}")
    assert found == []


def test_only_fine_tuning_imports_torch():
    importing = {room(module_of(p)) for p in python_files("axbuild") for name, _ in imports(p) if name == "torch"}
    assert importing == {"toolchain/tune"}


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
