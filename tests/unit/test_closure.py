"""Import closures: every byte a stage can depend on, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time

import pytest

from axbuild.codes import exit_code_of
from axbuild.engine.code.closure import Code, StageBroken, StageNotFound
from axbuild.engine.code.distributions import Installed, NoDistribution
from axbuild.engine.code.imports import Import, imports_of
from axbuild.workspace.stage import NamedCode, Stage


@pytest.fixture
def tree(tmp_path):
    """A package root with an `axbuild` package of the test's own, and a rules folder."""

    class Tree:
        root, rules = tmp_path, tmp_path / "rules"

        def write(self, files):
            for name, text in files.items():
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                for folder in path.parents:
                    if folder == tmp_path or "axbuild" not in folder.relative_to(tmp_path).parts:
                        break
                    (folder / "__init__.py").touch()

        def closure(self, ref, **more):
            return Code(tmp_path, self.rules, tmp_path / "state").closure(Stage(ref, **more))

        def names(self, ref):
            return sorted(self.closure(ref).modules)

    tree = Tree()
    tree.write({"rules/empty": "", "axbuild/errors.py": ""})
    return tree


def found(text, module="pkg.mod", is_package=False):
    return [(one.module, one.names) for one in imports_of(text.encode(), module, is_package)]


@pytest.mark.parametrize(
    ("text", "imports"),
    [
        ("import a.b, c as d", [("a.b", ()), ("c", ())]),
        ("from a.b import c as d, e", [("a.b", ("c", "e"))]),
        ("from a import *", [("a", ())]),
        ("from . import x", [("pkg", ("x",))]),
        ("from .y import x", [("pkg.y", ("x",))]),
        ("def f():\n    import a", [("a", ())]),
        ("class C:\n    import a", [("a", ())]),
        ("try:\n    import a\nexcept ImportError:\n    import b", [("a", ()), ("b", ())]),
        ("if x:\n    import a\nelse:\n    import b", [("a", ()), ("b", ())]),
        ("with x:\n    import a", [("a", ())]),
        ("match x:\n    case 1:\n        import a", [("a", ())]),
        ("if TYPE_CHECKING:\n    import a\nelse:\n    import b", [("b", ())]),
        ("if typing.TYPE_CHECKING:\n    import a", []),
        ("if not TYPE_CHECKING:\n    import a\nelse:\n    import b", [("a", ())]),
        ("if TYPE_CHECKING or x:\n    import a", [("a", ())]),
        ("import_module('a.b')", [("a.b", ())]),
        ("x = importlib.import_module('a')", [("a", ())]),
        ("__import__('a')", [("a", ())]),
        ("f = lambda: __import__('a')", [("a", ())]),
        ("def __getattr__(name):\n    import a", []),
        ("class C:\n    def __getattr__(self, name):\n        import a", [("a", ())]),
    ],
)
def test_imports_are_found_wherever_they_can_run(text, imports):
    assert found(text) == imports


def test_a_relative_import_starts_at_the_package():
    assert found("from . import x", "pkg.sub", is_package=True) == [("pkg.sub", ("x",))]
    assert found("from ..y import x", "pkg.sub.mod") == [("pkg.y", ("x",))]


def test_imports_inside_functions_are_marked():
    assert imports_of(b"import a\ndef f():\n    import b\n", "m", False) == [
        Import("a", (), False),
        Import("b", (), True),
    ]


def test_the_closure_is_transitive_and_holds_packages_and_submodules(tree):
    tree.write(
        {
            "axbuild/x/stage.py": "from axbuild.x import helper, CONSTANT\nfrom axbuild.y.deep import thing\n",
            "axbuild/x/helper.py": "def f():\n    from . import late\n",
            "axbuild/x/late.py": "import axbuild.errors\nimport axbuild.x.stage\n",
            "axbuild/y/deep.py": "if TYPE_CHECKING:\n    from axbuild.y import types_only\n",
            "axbuild/y/types_only.py": "",
            "axbuild/y/neighbour.py": "",
        }
    )
    assert tree.names("axbuild.x.stage:run") == [
        "axbuild",
        "axbuild.errors",
        "axbuild.x",
        "axbuild.x.helper",
        "axbuild.x.late",
        "axbuild.x.stage",
        "axbuild.y",
        "axbuild.y.deep",
    ]


def test_a_module_is_known_by_its_bytes(tree, tmp_path):
    tree.write({"axbuild/a.py": "A = 1\n"})
    path, digest = tree.closure("axbuild.a:run").modules["axbuild.a"]
    assert path == str(tmp_path / "axbuild/a.py")
    assert digest == hashlib.sha256(b"A = 1\n").hexdigest()


def test_an_edit_moves_the_digests_of_those_who_import_it_and_no_others(tree):
    tree.write({"axbuild/a.py": "import axbuild.shared", "axbuild/b.py": "", "axbuild/shared.py": "X = 1"})
    a, b = tree.closure("axbuild.a:f").code.digest, tree.closure("axbuild.b:f").code.digest
    tree.write({"axbuild/shared.py": "X = 1  # a comment counts"})
    assert tree.closure("axbuild.a:f").code.digest != a
    assert tree.closure("axbuild.b:f").code.digest == b


def test_a_new_submodule_takes_the_place_of_a_name(tree):
    tree.write({"axbuild/a.py": "from axbuild.p import thing", "axbuild/p/__init__.py": "thing = 1"})
    before = tree.closure("axbuild.a:f")
    tree.write({"axbuild/p/thing.py": ""})
    after = tree.closure("axbuild.a:f")
    assert set(after.modules) - set(before.modules) == {"axbuild.p.thing"}


def test_data_files_are_part_of_the_digest(tree):
    tree.write({"axbuild/a.py": "", "axbuild/chips.toml": "x = 1"})
    before = tree.closure("axbuild.a:f", data=("axbuild/chips.toml",))
    assert list(before.data) == ["axbuild/chips.toml"]
    tree.write({"axbuild/chips.toml": "x = 2"})
    assert tree.closure("axbuild.a:f", data=("axbuild/chips.toml",)).code.digest != before.code.digest
    assert tree.closure("axbuild.a:f").code.digest != before.code.digest


NAMED = NamedCode("axbuild/table.json", "model", "names.json")


@pytest.fixture
def table(tree):
    """A stage that loads `Conv` and `Pool` by name."""
    tree.write(
        {
            "axbuild/a.py": "",
            "axbuild/ops/conv.py": "import axbuild.ops.window",
            "axbuild/ops/pool.py": "",
            "axbuild/ops/window.py": "",
            "axbuild/table.json": json.dumps({"Conv": "axbuild.ops.conv:ConvOp", "Pool": "axbuild.ops.pool:PoolOp"}),
        }
    )

    def closure(*names, everything=False):
        code = Code(tree.root, None, tree.root / "state")
        return code.closure(Stage("axbuild.a:f", named=NAMED), None if everything else frozenset(names))

    return closure


def test_rows_that_are_named_bring_their_modules_and_what_these_import(table):
    assert set(table("Conv", "Unheard").modules) - set(table().modules) == {
        "axbuild.ops",
        "axbuild.ops.conv",
        "axbuild.ops.window",
    }
    assert table("Conv").loaded == ("axbuild.ops.conv",)
    assert table(everything=True).loaded == ("axbuild.ops.conv", "axbuild.ops.pool")


def test_the_code_holds_the_rows_that_are_named_and_not_the_table(table, tree):
    def write(rows):
        tree.write({"axbuild/table.json": json.dumps(rows)})

    rows = {"Conv": "axbuild.ops.conv:ConvOp", "Pool": "axbuild.ops.pool:PoolOp"}
    before = table("Conv", "Tanh").code
    assert "axbuild/table.json: Conv" in before.modules
    write(rows | {"Pool": "axbuild.ops.pool:OtherOp", "Sub": "axbuild.ops.conv:SubOp"})
    assert table("Conv", "Tanh").code == before
    write(rows | {"Tanh": "axbuild.ops.conv:TanhOp"})  # a module that is code already
    assert table("Conv", "Tanh").code.digest != before.digest
    write(rows | {"Conv": "axbuild.ops.conv:OtherOp"})
    assert table("Conv", "Tanh").code.digest != before.digest


def test_the_table_may_be_read(table, tree):
    path, digest = table("Conv").data["axbuild/table.json"]
    assert path == str(tree.root / "axbuild/table.json")
    assert digest == hashlib.sha256((tree.root / "axbuild/table.json").read_bytes()).hexdigest()


@pytest.mark.parametrize("text", ["", "{", "\xff"])
def test_a_table_that_is_no_json_is_named(table, tree, text):
    tree.write({"axbuild/table.json": text})
    with pytest.raises(StageNotFound, match=r"its table axbuild/table.json is no JSON"):
        table("Pool")


def test_a_row_whose_module_is_not_there_is_named(table, tree):
    tree.write({"axbuild/table.json": json.dumps({"Conv": "axbuild.ops.gone:ConvOp"})})
    assert table("Pool").loaded == ()
    with pytest.raises(StageNotFound, match=r"'Conv' in axbuild/table.json is 'axbuild.ops.gone:ConvOp'"):
        table("Conv")


def test_a_workspaces_stage_has_its_own_folder_in_its_closure(tree, tmp_path):
    tree.write(
        {
            "rules/keras_stages.py": "from .shared import x\nimport axbuild.errors\n",
            "rules/shared.py": "",
            "rules/other.py": "",
        }
    )
    closure = tree.closure("./keras_stages.py:convert")
    assert sorted(closure.modules) == [
        "_workspace_rules.keras_stages",
        "_workspace_rules.shared",
        "axbuild",
        "axbuild.errors",
    ]
    assert closure.modules["_workspace_rules.shared"][0] == str(tmp_path / "rules/shared.py")


def test_tools_are_the_distributions_with_what_they_require(tree):
    tree.write({"axbuild/a.py": "import os, json\n", "axbuild/b.py": "import onnx.helper\n"})
    python = {"python": ".".join(map(str, sys.version_info[:3]))}
    assert tree.closure("axbuild.a:f").code.tools == python
    closure = tree.closure("axbuild.b:f")
    import numpy
    import onnx

    assert closure.code.tools["onnx"] == onnx.__version__
    assert closure.code.tools["numpy"] == numpy.__version__
    assert "google" in closure.tops
    assert "pytest" not in closure.tops
    [preload] = closure.imports
    assert (preload.module, preload.names) == ("onnx.helper", ())


def test_a_tool_that_is_not_installed_is_recorded_as_absent(tree):
    tree.write({"axbuild/a.py": "try:\n    import no_such_module_x\nexcept ImportError:\n    pass\n"})
    assert tree.closure("axbuild.a:f").code.tools["no_such_module_x"] == "absent"


def site_packages(folder, **distributions):
    for name, (version, modules, requires) in distributions.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
        (info / "METADATA").write_text("\n".join(lines) + "\n\nRequires-Dist: not-a-header\n")
        (info / "RECORD").write_text("".join(f"{one},,\n" for one in [*modules, f"{info.name}/RECORD"]))
    return [str(folder)]


def test_modules_belong_to_what_the_record_lists(tmp_path):
    folders = site_packages(
        tmp_path,
        My_Lib=(
            "1.0",
            ["mylib/__init__.py", "_fast.cpython-311-x86_64-linux-gnu.so"],
            ["Other.Lib>=1; python_version>'3'"],
        ),
        other_lib=("2.0", ["single.py", "../../bin/tool"], ["extra-one; extra == 'x'", "my-lib"]),
        extra_one=("3.0", ["extra/__init__.py"], []),
    )
    tools = Installed(None, folders).tools_of({"_fast"})
    assert {name: version for name, version in tools.versions.items() if name != "python"} == {
        "my-lib": "1.0",
        "other-lib": "2.0",
    }
    assert tools.tops == ("_fast", "mylib", "single")


def test_what_was_read_of_site_packages_is_kept_until_it_changes(tmp_path):
    folders = site_packages(tmp_path, a=("1.0", ["a.py"], []))
    record = Installed(None, folders).record()
    again = Installed(record, folders)
    assert not again.fresh
    assert again.tools_of({"a"}).versions["a"] == "1.0"
    (tmp_path / "a-1.0.dist-info").rename(tmp_path / "a-1.1.dist-info")
    renewed = Installed(record, folders)
    assert renewed.fresh
    assert renewed.tools_of({"a"}).versions["a"] == "1.1"


def test_a_module_of_no_distribution_is_refused(tmp_path):
    folders = site_packages(tmp_path, a=("1.0", ["a.py"], []))
    (tmp_path / "loose.py").write_text("")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "editable.py").write_text("")
    (tmp_path / "x.pth").write_text(f"import sys\n{tmp_path / 'linked'}\n")
    for module in ("loose", "editable"):
        with pytest.raises(NoDistribution) as error:
            Installed(None, folders).tools_of({module})
        assert exit_code_of(error.value.code) == 2
        assert module in error.value.sentence


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("axbuild.nowhere:f", "no such module"),
        ("axbuild.a", "names no function"),
        ("elsewhere.a:f", "no such module"),
        ("./gone.py:f", "no such module"),
        ("./gone:f", "not a .py file"),
    ],
)
def test_a_stage_that_does_not_exist_is_the_users_error(tree, ref, said):
    tree.write({"axbuild/a.py": ""})
    with pytest.raises(StageNotFound, match=said) as error:
        tree.closure(ref)
    assert exit_code_of(error.value.code) == 2


def test_a_missing_data_file_is_named(tree):
    tree.write({"axbuild/a.py": ""})
    with pytest.raises(StageNotFound, match=r"'axbuild/no\.toml' does not exist"):
        tree.closure("axbuild.a:f", data=("axbuild/no.toml",))


def test_broken_code_is_an_error_with_a_place(tree):
    tree.write({"rules/bad.py": "x = 1\ndef f(:\n"})
    with pytest.raises(StageBroken) as error:
        tree.closure("./bad.py:f")
    assert str(error.value).startswith(f"{tree.rules}/bad.py:2: error AX558:")


def test_a_warm_closure_reads_no_module(tree, tmp_path, monkeypatch):
    tree.write({f"axbuild/m{number}.py": f"import axbuild.m{number + 1}" for number in range(60)})
    monkeypatch.setattr("axbuild.engine.code.closure.time.time_ns", lambda: time.perf_counter_ns() + 4 * 10**18)
    code = Code(tmp_path, None, tmp_path / "state")
    first = code.closure(Stage("axbuild.m0:f"))
    code.save()

    def read(*arguments):
        raise AssertionError("a module was read again")

    monkeypatch.setattr(Code, "_read", read)
    again = Code(tmp_path, None, tmp_path / "state").closure(Stage("axbuild.m0:f"))
    assert again.code == first.code
    assert again.modules == first.modules
    assert len(again.modules) == 61


def test_a_young_module_is_read_again_by_the_next_process(tree, tmp_path):
    tree.write({"axbuild/a.py": "X = 1"})
    stamps = (tmp_path / "axbuild/a.py").stat()
    code = Code(tmp_path, None, tmp_path / "state")
    before = code.closure(Stage("axbuild.a:f")).code.digest
    code.save()
    tree.write({"axbuild/a.py": "X = 2"})
    os.utime(tmp_path / "axbuild/a.py", ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    assert Code(tmp_path, None, tmp_path / "state").closure(Stage("axbuild.a:f")).code.digest != before


def test_the_closures_of_the_real_stages_stay_apart_from_the_build_wing():
    closure = Code().closure(Stage("axbuild.toolchain.frontend.optimize:optimize"))
    wings = {name.split(".")[1] for name in closure.modules if name.count(".") >= 1}
    assert wings == {"errors", "toolchain"}
