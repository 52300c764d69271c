"""Many mistakes in one workspace: all are told in one run, and with --keep_going everything else is built."""

from __future__ import annotations

import json

import pytest

from tiny_workspace import Tiny

GOOD = '[[text]]\nname = "t"\nsrc = "t.txt"\n'


@pytest.fixture
def tiny(tmp_path) -> Tiny:
    return Tiny(tmp_path / "w")


def wreck(tiny: Tiny, good: int) -> None:
    for number in range(good):
        tiny.write(f"good/p{number}/BUILD.toml", GOOD)
        tiny.write(f"good/p{number}/t.txt", f"text {number}")
    tiny.write("bad/toml/BUILD.toml", "[[text]\n")
    tiny.write("bad/label/BUILD.toml", '[[shout]]\nname = "s"\nof = "//good/p0:nothing"\n')
    tiny.write("bad/attribute/BUILD.toml", '[[text]]\nname = "t"\nsrcs = 5\n[[text]]\nname = "u"\nsrc = "u.txt"\n')
    tiny.write("bad/attribute/u.txt", "fine")
    tiny.write("bad/source/BUILD.toml", '[[text]]\nname = "t"\nsrc = "none.txt"\n')
    tiny.write("bad/behind/BUILD.toml", '[[shout]]\nname = "s"\nof = "//bad/toml:any"\n')


def test_everything_but_the_mistakes_is_built_with_keep_going(tiny) -> None:
    wreck(tiny, good=100)
    done = tiny.build("//good/...", "//bad/...", "--keep_going")
    assert done.code == 2
    assert done.executed == ["strip"] * 101
    assert (tiny.root / "axbuild-out/bad/attribute/u/text").read_text() == "fine"
    assert "failed: 101 built, 0 reused, 4 mistakes keep 4 targets from being built in " in done.out


def test_all_mistakes_are_told_at_once_and_those_that_hide_others_first(tiny) -> None:
    wreck(tiny, good=1)
    done = tiny.build("//...")
    assert done.code == 2
    assert done.executed == []
    assert [line for line in done.err.splitlines() if ": error " in line] == [
        "bad/toml/BUILD.toml:1: error AX101: not valid TOML: unclosed array table, expected `]` (column 8)",
        "bad/attribute/BUILD.toml:3: error AX104: text has no attribute 'srcs'",
        "bad/label/BUILD.toml:3: error AX202: there is no target //good/p0:nothing (needed by //bad/label:s)",
        "bad/source/BUILD.toml:3: error AX109: there is no 'none.txt' in //bad/source",
    ]
    assert done.out == "failed: nothing built; 4 mistakes keep 4 targets from being built\n"
    assert [error["code"] for error in done.of("build_finished")[0]["errors"]] == ["AX101", "AX104", "AX202", "AX109"]


def test_the_mistake_that_most_targets_wait_for_is_told_first(tiny) -> None:
    tiny.write("a/BUILD.toml", '[[text]]\nname = "t"\nsrc = "none.txt"\n')
    needs = "".join(f'[[shout]]\nname = "s{n}"\nof = "//z:t"\n' for n in range(3))
    tiny.write("z/BUILD.toml", f'[[text]]\nname = "t"\n{needs}')
    done = tiny.build("//a/...", "//z/...")
    assert [line.partition(" error ")[0] for line in done.err.splitlines() if " error " in line] == [
        "z/BUILD.toml:1:",
        "a/BUILD.toml:3:",
    ]


def test_packages_that_are_taken_away_need_not_parse(tiny) -> None:
    wreck(tiny, good=2)
    done = tiny.build("//...", "-//bad/...")
    assert done.code == 0, done.err
    assert "p/both" in json.dumps(done.of("build_finished")[0]["outputs"])


def test_a_cycle_and_what_it_holds_up_do_not_keep_the_rest(tiny) -> None:
    tiny.write(
        "c/BUILD.toml",
        '[[shout]]\nname = "a"\nof = ":b"\n[[shout]]\nname = "b"\nof = ":a"\n[[text]]\nname = "t"\nsrc = "t.txt"\n',
    )
    tiny.write("c/t.txt", "text")
    done = tiny.build("//c/...", "-k")
    assert done.code == 2
    assert done.executed == ["strip"]
    assert "//c:a depends on itself: //c:a -> //c:b (c/BUILD.toml:3) -> //c:a (c/BUILD.toml:6)" in done.err


def test_all_that_is_wrong_with_one_target_is_told(tiny) -> None:
    tiny.write("d/BUILD.toml", '[[limit]]\nname = "l"\nmost = "many"\nleast = 3\n')
    done = tiny.build("//d/...")
    assert [line for line in done.err.splitlines() if " error " in line] == [
        'd/BUILD.toml:3: error AX106: most takes a whole number, got "many"',
        "d/BUILD.toml:1: error AX107: this limit lacks its attribute 'of'",
        "d/BUILD.toml:4: error AX104: limit has no attribute 'least'",
    ]


def test_other_commands_tell_all_mistakes_too(tiny) -> None:
    wreck(tiny, good=1)
    done = tiny.run("query", "deps(//bad/...)")
    assert done.code == 2
    assert done.err.count(": error AX") == 3


def test_a_long_list_of_mistakes_is_cut_and_verbose_tells_all(tiny) -> None:
    tiny.write("e/BUILD.toml", "".join(f'[[text]]\nname = "t{n}"\nsrc = "none{n}.txt"\n' for n in range(25)))
    done = tiny.build("//e/...")
    assert done.err.count(": error AX109") == 20
    assert done.err.splitlines()[-1] == "and 5 more mistakes, which --verbose tells too"
    assert tiny.build("//e/...", "--verbose").err.count(": error AX109") == 25


def test_a_label_written_as_a_path_is_understood(tiny) -> None:
    done = tiny.build("//p/both")
    assert done.code == 2
    assert "hint: did you mean '//p:both'?" in done.err


def test_a_defect_of_a_standard_rule_among_mistakes_ends_with_3(tiny) -> None:
    tiny.write("f/BUILD.toml", '[[filegroup]]\nname = "g"\nsrcs = ["g.txt"]\n[[text]]\nname = "t"\nsrc = "none"\n')
    tiny.write("f/g.txt", "text")
    tamper = (
        "import json\n\nimport axbuild.workspace.references as references\n\nreferences.Source.settle = json.loads\n"
    )
    tiny.write("rules/tamper.py", tamper)
    done = tiny.build("//f/...")
    assert done.code == 3
    assert "error AX900: rule filegroup failed for //f:g: TypeError: loads() takes 1 positional argument" in done.err
    assert "hint: this is a defect of axbuild; please report the line above" in done.err


def test_a_source_that_is_a_pointer_of_git_lfs_is_told_before_anything_runs(tiny) -> None:
    tiny.write("p/b.txt", f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n")
    done = tiny.build()
    assert done.code == 2
    assert "p/b.txt: error AX510: this is not the file itself" in done.err
    assert "hint: it is a Git LFS pointer, not the file itself: run `git lfs pull`" in done.err


def test_why_says_where_the_parameter_that_moved_is_written(tiny) -> None:
    tiny.build("//p:loud")
    tiny.edit("p/BUILD.toml", 'of = ":a"', 'of = ":a"\nmark = "?"')
    tiny.build("//p:loud")
    assert '  parameter mark: "!" -> "?" at p/BUILD.toml:13 (//p:loud shout)' in tiny.why("//p:loud").splitlines()


def test_paths_are_told_from_where_one_stands(tiny) -> None:
    for _ in range(2):  # the second answer is a snapshot's
        for folder, expected in (("", "  axbuild-out/p/a/text"), ("p", "  ../axbuild-out/p/a/text")):
            assert expected in tiny.run("build", "//p:a", cwd=folder).out.splitlines()
