"""Rule files: which are loaded, under which names, and what is said about a broken one."""

import os
import py_compile
import subprocess
import sys

import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.workspace.rulepack import load_rules

RULE = '''
from axbuild.workspace.rule import Int, Stage, rule

from .shared import COMMON

HALF = Stage("./half_stages.py:half", outputs=("half.txt",), float=True)


@rule
class half:
    """Halves a file."""

    times = Int("How often.", default=COMMON)

    def actions(self, t, plan):
        return None
'''


@pytest.fixture
def folder(tmp_path):
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "half.py").write_text(RULE)
    (rules / "shared.py").write_text("COMMON = 7\n")
    (rules / "half_stages.py").write_text("import a_heavy_thing_that_is_not_installed\n")
    (rules / "_private.py").write_text("1 / 0\n")
    return rules


def failure(folder):
    with pytest.raises(AxError) as raised:
        load_rules(folder)
    assert exit_code_of(raised.value.code) == 2
    return str(raised.value)


def test_own_rules_stand_beside_the_standard_ones(folder):
    pack = load_rules(folder)
    assert {"half", "float_model", "calibration_set", "quant_model", "npu_subgraph", "axmodel", "check"} < set(
        pack.rules
    )
    assert pack.rules["half"].about == "Halves a file."
    assert pack.rules["half"].attributes["times"].default == 7
    assert pack.stages["./half_stages.py:half"].float
    assert pack.stages["axbuild.toolchain.quant.merge:merge"].outputs == ("statistics.msgpack",)


def test_loading_writes_nothing_into_a_watched_folder(folder):
    before = sorted(folder.iterdir())
    load_rules(folder)
    assert sorted(folder.iterdir()) == before


def test_an_edit_of_any_rule_file_changes_the_digest_and_the_rules(folder):
    first = load_rules(folder)
    assert load_rules(folder).digest == first.digest
    (folder / "shared.py").write_text("COMMON = 8\n")
    second = load_rules(folder)
    assert second.digest != first.digest
    assert second.rules["half"].attributes["times"].default == 8


def test_stale_bytecode_beside_a_rule_file_is_never_run(folder):
    shared = folder / "shared.py"
    py_compile.compile(str(shared), doraise=True)
    stat = shared.stat()
    shared.write_text("COMMON = 9\n")  # as long as before, and dated as before: bytecode by time stamps looks fresh
    os.utime(shared, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert load_rules(folder).rules["half"].attributes["times"].default == 9


def test_without_own_rules_only_the_standard_ones_are_there(tmp_path):
    assert load_rules(None).digest == load_rules(tmp_path / "rules").digest


def test_own_rules_take_what_standard_ones_give(folder):
    text = "from axbuild.rules import FloatModel\nfrom axbuild.workspace.rule import Label\n" + RULE
    (folder / "half.py").write_text(text.replace("times =", "model = Label('m', provides=FloatModel)\n    times ="))
    rules = load_rules(folder).rules
    assert rules["half"].attributes["model"].provides == (rules["float_model"].gives,)


def test_what_standard_rules_do_not_give_cannot_be_imported(folder):
    (folder / "half.py").write_text("from axbuild.rules import FlotModel\n")
    assert "cannot be loaded: ImportError: cannot import name 'FlotModel' from 'axbuild.rules'" in failure(folder)


def test_a_module_in_a_folder_below_is_hashed_and_watched(folder):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "times.py").write_text("COMMON = 8\n")
    (folder / "shared.py").write_text("from .deep.er.times import COMMON\n")
    first = load_rules(folder)
    assert first.rules["half"].attributes["times"].default == 8
    (folder / "deep" / "er" / "times.py").write_text("COMMON = 9\n")
    second = load_rules(folder)
    assert second.rules["half"].attributes["times"].default == 9
    assert first.digest != second.digest
    assert {folder / "deep", folder / "deep" / "er", folder / "deep" / "er" / "times.py"} < set(second.seen)
    assert not list(folder.rglob("*.pyc"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("COMMON = int(open('../count.txt').read())", "opens {}/count.txt, which no build watches"),
        ("from pathlib import Path\nCOMMON = int(Path('../count.txt').read_text())", "opens {}/count.txt, which"),
        ("import json\nCOMMON = json.load(open('/etc/x'))", "opens /etc/x, which no build watches"),
        ("import os\nCOMMON = len(os.listdir('/'))", "lists /, which no build watches"),
        ("import os\nCOMMON = int(os.environ.get('COUNT', 7))", "reads the environment, which no build watches"),
        ("import os\nCOMMON = int(os.getenv('COUNT', 7))", "reads the environment, which no build watches"),
        ("from os import environ\nCOMMON = len(environ)", "reads the environment, which no build watches"),
        ("try:\n    open('/etc/x')\nexcept Exception:\n    COMMON = 7", "opens /etc/x, which no build watches"),
        ("import sys\nsys.path.append(ROOT)\nfrom elsewhere import COMMON", "imports elsewhere/__init__.py, which is"),
    ],
)
def test_what_a_rule_file_rests_on_unwatched_is_refused_with_the_line(folder, tmp_path, monkeypatch, line, said):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "__init__.py").write_text("COMMON = 7\n")
    (tmp_path / "count.txt").write_text("7")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (folder / "shared.py").write_text(line.replace("ROOT", repr(str(tmp_path))) + "\n")
    told = failure(folder)
    assert "error AX113: cannot be loaded: it " + said.format(tmp_path.parent) in told
    assert told.startswith(f"rules/shared.py:{1 + line.count(chr(10)) - 2 * line.startswith('try')}: ")
    assert "hint: declare a file as a Source attribute" in told


def test_what_an_installed_module_reads_is_its_own_business(folder, monkeypatch):
    monkeypatch.delitem(sys.modules, "sysconfig", raising=False)
    (folder / "shared.py").write_text("import sysconfig\nCOMMON = 7\n")
    assert load_rules(folder).rules["half"].attributes["times"].default == 7


def test_nothing_called_rules_becomes_importable(folder):
    load_rules(folder)
    assert not [name for name in sys.modules if name == "half" or name.startswith("rules.")]


def test_a_rule_named_like_a_standard_one_is_refused(folder):
    (folder / "half.py").write_text(RULE.replace("class half", "class quant_model"))
    assert failure(folder) == "rules/half.py: error AX113: rule 'quant_model' is declared already"


def test_broken_rule_files_are_named_with_the_line(folder):
    (folder / "half.py").write_text("x = 1\ndef f(:\n")
    assert failure(folder) == "rules/half.py:2: error AX113: not valid Python: invalid syntax\n  2 | def f(:"
    (folder / "half.py").write_text("x = 1\ny = {}['gone']\n")
    assert failure(folder) == "rules/half.py:2: error AX113: cannot be loaded: KeyError: 'gone'\n  2 | y = {}['gone']"
    (folder / "half.py").write_text("import sys\nsys.exit(0)\n")
    assert failure(folder) == "rules/half.py:2: error AX113: cannot be loaded: SystemExit: 0\n  2 | sys.exit(0)"
    (folder / "half.py").write_text("import nothing_like_this\n")
    assert failure(folder) == (
        "rules/half.py:1: error AX113: cannot be loaded: ModuleNotFoundError: No module named 'nothing_like_this'\n"
        "  1 | import nothing_like_this"
    )


def test_attributes_of_a_base_class_come_last(folder):
    base = "class Common:\n    size = Int('How large.', default=1)\n\n\n@rule\nclass half(Common):"
    (folder / "half.py").write_text(RULE.replace("@rule\nclass half:", base))
    assert list(load_rules(folder).rules["half"].attributes) == ["times", "size"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("times =", "name ="), "rule half cannot have an attribute called 'name': every target has one already"),
        (("times =", "given ="), "rule half cannot have an attribute called 'given': every target has one already"),
        (("def actions", "def action"), "rule half takes one method: actions(self, t, plan), or expand(self, t, text)"),
    ],
)
def test_a_class_that_cannot_be_a_rule_is_named(folder, change, sentence):
    (folder / "half.py").write_text(RULE.replace(*change))
    message = failure(folder)
    assert message.startswith("rules/half.py:")
    assert f"error AX113: cannot be loaded: TypeError: {sentence}" in message


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("half", "stage 'half' must read package.module:function or ./file.py:function"),
        ("a.b:", "stage 'a.b:' must read package.module:function or ./file.py:function"),
        ("./gone.py:f", "stage ./gone.py:f: there is no gone.py beside this file"),
    ],
)
def test_a_stage_that_cannot_be_found_is_named(folder, ref, sentence):
    (folder / "half.py").write_text(RULE.replace("./half_stages.py:half", ref))
    assert failure(folder) == f"rules/half.py: error AX113: {sentence}"


def test_two_declarations_of_one_stage_must_agree(folder):
    (folder / "other.py").write_text(RULE.replace("class half", "class other").replace(", float=True", ""))
    assert failure(folder) == (
        "rules/other.py: error AX113: stage ./half_stages.py:half is declared already, with other properties"
    )


def test_the_standard_rules_load_without_a_heavy_module():
    code = (
        "import sys; from axbuild.workspace.rulepack import load_rules; load_rules(None); import axbuild.graph.layout\n"
        "heavy = 'numpy onnx onnxruntime onnx_ir torch networkx jsonschema diskcache rich click PIL'.split()\n"
        "ours = sorted(name for name in sys.modules if name.startswith('axbuild.toolchain.npu.'))\n"
        "print([name for name in heavy if name in sys.modules], *ours)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[] " + " ".join(
        f"axbuild.toolchain.npu.chips{name}" for name in ("", ".table")
    )
