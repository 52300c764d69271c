"""Verbs that rule files declare: listed, completed, and imported only when they run."""

import pytest
from click.shell_completion import ShellComplete

from axbuild.cli import verbs
from axbuild.cli.app import axbuild, run
from axbuild.workspace.rulepack import load_rules
from axbuild.workspace.verb import BUILT_IN, Argument, Verb

RULES = """
from axbuild.workspace.verb import Argument, Verb

COUNT = Verb(
    "count",
    "Count the bytes of files.",
    "./count_stages.py:count",
    (
        Argument("files", "What to count.", "file", many=True),
        Argument("--at-least", "Fail below so many.", "number", default=0),
        Argument("--loud", "Shout.", "flag"),
    ),
)
"""
STAGES = """
from axbuild.errors import AxError


def count(files, at_least, loud):
    size = sum(file.stat().st_size for file in files)
    if size == 0:
        raise AxError("nothing there", code="AX109")
    print(f"{size} BYTES" if loud else f"{size} bytes")
    return 1 if size < at_least else None
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    (tmp_path / "axbuild.toml").write_text("")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/count.py").write_text(RULES)
    (tmp_path / "rules/count_stages.py").write_text(STAGES)
    (tmp_path / "a").write_text("123")
    (tmp_path / "b").write_text("4567")
    (tmp_path / "empty").write_text("")
    monkeypatch.chdir(tmp_path)
    verbs.declared.cache_clear()
    yield tmp_path
    verbs.declared.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a", "b"], 0, "7 bytes\n"),
        (["a", "--loud"], 0, "3 BYTES\n"),
        (["a", "--at-least", "4"], 1, "3 bytes\n"),
    ],
)
def test_a_verb_of_a_rule_file_runs_its_function(workspace, capsys, arguments, code, said):
    assert run(["count", *arguments]) == code
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["empty"], "error AX109: nothing there"),
        ([], "Missing argument 'FILES...'"),
        (["none"], "File 'none' does not exist."),
        (["a", "--at-least", "x"], "'x' is not a valid integer"),
    ],
)
def test_mistakes_exit_2_as_with_any_verb(workspace, capsys, arguments, told):
    assert run(["count", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_it_is_listed_with_its_help_completed_and_suggested_without_being_imported(workspace, capsys):
    (workspace / "rules/count_stages.py").write_text("1 / 0\n")
    assert run(["--help"]) == 0
    assert "\n  count       Count the bytes of files.\n" in capsys.readouterr().out
    assert run(["count", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "FILES  What to count." in shown
    assert "--at-least INTEGER" in shown
    completion = ShellComplete(axbuild, {}, "axbuild", "_AXBUILD_COMPLETE")
    assert [item.value for item in completion.get_completions([], "cou")] == ["count"]
    assert [item.value for item in completion.get_completions(["count"], "--at")] == ["--at-least"]
    assert run(["conut"]) == 2
    assert "did you mean 'count'?" in capsys.readouterr().err


def test_outside_a_workspace_the_verbs_of_the_standard_rules_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    verbs.declared.cache_clear()
    assert run(["--help"]) == 0
    assert "\n  inspect " in capsys.readouterr().out


def test_a_broken_rule_file_takes_no_help_away_and_is_told(workspace, capsys):
    (workspace / "rules/count.py").write_text("1 / 0\n")
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in [*BUILT_IN, "inspect"] if f"\n  {name} " not in shown] == []
    assert "rules/count.py:1: error AX113: cannot be loaded: ZeroDivisionError" in shown
    assert run(["count", "a"]) == 2
    assert "error AX113" in capsys.readouterr().err
    assert run(["version"]) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('"count",', '"build",'), "rules/count.py: error AX113: verb 'build' is axbuild's own"),
        (('"count",', '"inspect",'), "rules/count.py: error AX113: verb 'inspect' is declared already"),
        (('"count",', '"Count it",'), "ValueError: 'Count it' is no name of a verb"),
        (("./count_stages.py:count", "./gone.py:count"), "verb ./gone.py:count: there is no gone.py beside this file"),
        (("./count_stages.py:count", "count"), "verb 'count' must read package.module:function or ./file.py:function"),
        (('"--loud"', '"loud"'), "ValueError: the flag 'loud' must begin with --"),
        (('"number"', '"rest"'), "ValueError: an argument of the verb 'count' takes all, and there are others"),
    ],
)
def test_a_verb_that_cannot_be_one_is_named(workspace, change, told):
    (workspace / "rules/count.py").write_text(RULES.replace(*change))
    with pytest.raises(Exception, match="AX113") as raised:
        load_rules(workspace / "rules")
    assert told in str(raised.value)


def test_a_verb_without_its_function_says_so_when_it_runs(workspace, capsys):
    (workspace / "rules/count.py").write_text(RULES.replace(".py:count", ".py:counted"))
    assert run(["count", "a"]) == 2
    assert "verb 'count': ./count_stages.py has no function 'counted'" in capsys.readouterr().err


def test_arguments_reach_the_function_by_name():
    assert [Argument(name, "").role for name in ("file", "--as-json")] == ["file", "as_json"]
    assert Verb("x", "", "a.b:c").module == "a.b"


def test_the_rest_of_a_line_is_handed_on_as_it_was_typed(workspace, capsys):
    (workspace / "rules/say.py").write_text(
        "from axbuild.workspace.verb import Argument, Verb\n"
        'SAY = Verb("say", "Say it.", "./say_stages.py:say", (Argument("words", "What.", "rest"),))\n'
    )
    (workspace / "rules/say_stages.py").write_text("def say(words):\n    print(words)\n")
    verbs.declared.cache_clear()
    typed = ["build", "-h", "--x", "1", "2", "--y=-1", "--", "--help", "a b"]
    assert run(["say", *typed]) == 0
    assert run(["say"]) == 0
    assert capsys.readouterr().out == f"{tuple(typed)}\n()\n"
