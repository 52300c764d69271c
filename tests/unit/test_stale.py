"""Outputs of targets that are gone: told by `info`, removed by `clean --stale`."""

import json

import pytest

from axbuild.cli.app import run

RULE = '''
from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Source, rule


@rule
class copied:
    """Files that are handed over as they are."""

    gives = Files
    src = Source("Those.", required=True)

    def actions(self, t, plan):
        plan.output("files/", t.src)
        return Files(t.src)
'''
ONE = '[[copied]]\nname = "one"\nsrc = "1.txt"\n'
TWO = f'{ONE}\n[[copied]]\nname = "two"\nsrc = ["2.txt", "deep"]\n'


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Packages a, a/two and b, with the targets one and two each; outputs of //a:two and //a/two share a folder."""
    (tmp_path / "axbuild.toml").write_text("")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/copied.py").write_text(RULE)
    for package in ("a", "a/two", "b"):
        (tmp_path / package / "deep").mkdir(parents=True)
        (tmp_path / package / "BUILD.toml").write_text(TWO)
        for name in ("1.txt", "2.txt", "deep/3.txt"):
            (tmp_path / package / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    assert run(["build", "//..."]) == 0
    return tmp_path


def outputs(root):
    found = (path.relative_to(root / "axbuild-out") for path in (root / "axbuild-out").rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parts[0] != ".axbuild"}


def told(capsys):
    return capsys.readouterr().out.splitlines()


def test_clean_stale_removes_the_outputs_of_targets_that_are_gone_and_nothing_else(built, capsys):
    before = outputs(built)
    (built / "a/BUILD.toml").write_text(ONE)
    (built / "b/BUILD.toml").unlink()
    (built / "axbuild-out/b/two/mine").write_text("mine")
    capsys.readouterr()
    assert run(["clean", "--stale"]) == 0
    assert told(capsys) == [f"removed the outputs of {label}" for label in ("//a:two", "//b:one", "//b:two")]
    two = ("two/files/2.txt", "two/files/deep/3.txt")
    gone = {"b/one/files", *(f"{package}/{name}" for package in ("a", "b") for name in two)}
    assert outputs(built) == before - gone | {"b/two/mine"}
    assert run(["clean", "--stale"]) == 0
    assert told(capsys) == ["axbuild-out holds nothing of targets that are gone"]
    assert run(["build", "//..."]) == 0
    assert outputs(built) == before - gone | {"b/two/mine"}


def test_info_counts_the_targets_that_are_gone(built, capsys):
    def facts():
        capsys.readouterr()
        assert run(["info", "--json"]) == 0
        return json.loads(capsys.readouterr().out)["stale_outputs"]

    assert facts() == []
    (built / "b/BUILD.toml").write_text(ONE)
    assert facts() == ["//b:two"]
    assert run(["info"]) == 0
    assert "stale outputs:   of 1 target that is gone; `axbuild clean --stale` removes them" in told(capsys)
    (built / "b/BUILD.toml").unlink()
    assert run(["info"]) == 0
    assert "stale outputs:   of 2 targets that are gone; `axbuild clean --stale` removes them" in told(capsys)


@pytest.mark.parametrize("text", ["[[copied", '[[copied]]\nname = "two"\n', '[[copid]]\nname = "two"\n'])
def test_a_target_that_only_has_a_mistake_is_not_gone(built, capsys, text):
    (built / "b/BUILD.toml").write_text(text)
    before = outputs(built)
    assert run(["clean", "--stale"]) == 0
    assert {name for name in before - outputs(built) if name.startswith("b/two")} == set()


def test_stale_outputs_behind_a_linked_folder_go_too(built, capsys):
    (built / "axbuild-out").rename(built.parent / "elsewhere")
    (built / "axbuild-out").symlink_to(built.parent / "elsewhere")
    (built / "b/BUILD.toml").write_text(ONE)
    assert run(["clean", "--stale"]) == 0
    assert not (built.parent / "elsewhere/b/two").exists()
    assert (built / "axbuild-out").is_symlink()
    assert run(["clean"]) == 0
    assert list((built.parent / "elsewhere").iterdir()) == []
    assert (built / "axbuild-out").is_symlink()


def test_clean_takes_one_of_its_options(built, capsys):
    assert run(["clean", "--stale", "--cache"]) == 2
    assert "--stale and --cache contradict each other" in capsys.readouterr().err
