"""`axbuild pulsar2`: its commands, and what it says where there is none."""

import re

import pytest

from axbuild.cli.app import run


def test_the_version_stands_in_the_vendors_two_lines_and_owns_up_to_whose_it_is(capsys):
    assert run(["pulsar2", "version"]) == 0
    version, commit, whose = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"version: \d+\.\d+\.\d+", version)
    assert re.fullmatch(r"commit: [0-9a-f]{8}", commit)
    assert whose.startswith("axbuild's own toolchain")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_the_commands(capsys, flag):
    assert run(["pulsar2", flag]) == 0
    shown = capsys.readouterr().out
    assert "\n  build " in shown
    assert "\n  version " in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "error AX540: pulsar2 takes a command\n  hint: the commands are build"),
        (["biuld", "--input", "x"], "error AX540: pulsar2 has no command 'biuld'\n  hint: did you mean 'build'?"),
    ],
)
def test_a_line_without_a_command_exits_2(capsys, arguments, told):
    assert run(["pulsar2", *arguments]) == 2
    assert told in capsys.readouterr().err
