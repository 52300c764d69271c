"""axbuild.toml, the environment and the command line; where errors point in TOML files."""

import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.workspace.disk import MemoryDisk
from axbuild.workspace.settings import KNOWN, read_settings
from axbuild.workspace.toml_text import TomlText
from axbuild.workspace.workspace import NoWorkspace, Workspace


def settings(text="", overrides=None, configs=(), environ=None):
    return read_settings(MemoryDisk({"axbuild.toml": text}), overrides or {}, configs, environ or {})


def test_an_empty_file_gives_the_defaults():
    found = settings()
    assert (found.cache_dir, found.share_float, found.jobs) == ("cache", False, 0)
    assert found.resources == {"cpu": 0, "memory_gb": 0, "gpu": 0}
    assert (found.optimize_seconds, found.optimize_memory_gb) == (3600, 0)
    assert found.defaults == {}


def test_command_line_over_environment_over_configuration_over_file():
    text = "[build]\njobs = 1\n[config.ci.build]\njobs = 2\n"
    assert settings(text).jobs == 1
    assert settings(text, configs=["ci"]).jobs == 2
    assert settings(text, configs=["ci"], environ={"AXBUILD_BUILD_JOBS": "3"}).jobs == 3
    assert settings(text, {"build.jobs": 4}, ["ci"], {"AXBUILD_BUILD_JOBS": "3"}).jobs == 4


def test_what_the_file_itself_says_is_known_apart_from_what_stands_over_it():
    text = "[build]\njobs = 1\n[resources]\ncpu = 2\n[config.ci.build]\njobs = 3\n[defaults.check]\nlevel = 'equal'\n"
    found = settings(text, {"resources.gpu": 1}, ["ci"], {"AXBUILD_RESOURCES_CPU": "4"})
    assert (found.jobs, found.resources["cpu"]) == (3, 4)
    assert found.written == {"build.jobs": 1, "resources.cpu": 2}


def test_the_environment_is_read_by_type():
    found = settings(environ={"AXBUILD_CACHE_DIR": "/var/ax", "AXBUILD_CACHE_SHARE_FLOAT": "true", "HOME": "/root"})
    assert (found.cache_dir, found.share_float) == ("/var/ax", True)


def test_limits_of_the_cache_have_defaults_and_are_numbers():
    assert (settings().cache_size_gb, settings().cache_max_age_days, settings().cache_read_from) == (20.0, 30.0, "")
    found = settings("[cache]\nsize_gb = 5\nread_from = '/ci'\n", environ={"AXBUILD_CACHE_MAX_AGE_DAYS": "0.5"})
    assert (found.cache_size_gb, found.cache_max_age_days, found.cache_read_from) == (5.0, 0.5, "/ci")
    with pytest.raises(AxError, match="AXBUILD_CACHE_SIZE_GB takes a number"):
        settings(environ={"AXBUILD_CACHE_SIZE_GB": "much"})


def test_defaults_of_rules_are_kept_and_a_configuration_adds_to_them():
    text = "[defaults.check]\nlevel = 'equal'\n[config.ci.defaults.check]\nrtol = 1e-4\n"
    assert settings(text).defaults == {"check": {"level": "equal"}}
    assert settings(text, configs=["ci"]).defaults == {"check": {"level": "equal", "rtol": 1e-4}}


MISTAKES = [
    ("[build]\njobs = 2\njob = 3\n",
     "axbuild.toml:3: error AX102: unknown setting 'build.job'\n  3 | job = 3\n  hint: did you mean 'build.jobs'?"),
    ("[biuld]\njobs = 2\n",
     "axbuild.toml:1: error AX102: unknown section 'biuld'\n  1 | [biuld]\n  hint: did you mean 'build'?"),
    ("jobs = 2\n", "axbuild.toml:1: error AX102: unknown section 'jobs'\n  1 | jobs = 2"),
    ("[build]\n\njobs = 'all'\n",
     "axbuild.toml:3: error AX103: build.jobs takes a whole number of at least 0, got \"all\"\n  3 | jobs = 'all'"),
    ("build = 2\n", "axbuild.toml:1: error AX103: build takes a table\n  1 | build = 2"),
    ("[config.ci.build]\njob = 2\n",
     "axbuild.toml:2: error AX102: unknown setting 'build.job'\n  2 | job = 2\n  hint: did you mean 'build.jobs'?"),
    ("[build]\njobs = = 2\n",
     "axbuild.toml:2: error AX101: not valid TOML: extra `=`, expected nothing (column 8)\n  2 | jobs = = 2"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_in_the_file_names_its_line(text, message):
    with pytest.raises(AxError) as raised:
        settings(text)
    assert str(raised.value) == message
    assert exit_code_of(raised.value.code) == 2


def test_an_unknown_environment_variable_is_an_error():
    with pytest.raises(AxError) as raised:
        settings(environ={"AXBUILD_BUILD_JOB": "3"})
    assert str(raised.value) == (
        "error AX102: unknown environment variable 'AXBUILD_BUILD_JOB'\n  hint: did you mean 'AXBUILD_BUILD_JOBS'?"
    )


def test_a_wrong_environment_variable_is_named():
    with pytest.raises(AxError) as raised:
        settings(environ={"AXBUILD_BUILD_JOBS": "many"})
    assert str(raised.value) == (
        'error AX103: environment variable AXBUILD_BUILD_JOBS takes a whole number of at least 0, got "many"'
    )


def test_an_unknown_configuration_is_named():
    with pytest.raises(AxError) as raised:
        settings("[config.ci.build]\njobs = 2\n", configs=["cii"])
    assert str(raised.value) == "error AX102: unknown configuration 'cii'\n  hint: did you mean 'ci'?"


def test_an_unknown_override_is_an_error():
    with pytest.raises(AxError, match=r"unknown setting 'build\.job'"):
        settings(overrides={"build.job": 1})


def test_every_setting_says_what_it_is_for():
    assert all(known.about.endswith(".") for known in KNOWN.values())


def test_the_workspace_is_the_nearest_folder_with_a_settings_file(tmp_path):
    inner = tmp_path / "outer" / "inner" / "pkg"
    inner.mkdir(parents=True)
    (tmp_path / "outer" / "axbuild.toml").touch()
    assert Workspace.find(inner, environ={}).root == (tmp_path / "outer").resolve()
    (tmp_path / "outer" / "inner" / "axbuild.toml").touch()
    workspace = Workspace.find(inner, environ={})
    assert workspace.root == (tmp_path / "outer" / "inner").resolve()
    assert workspace.package_of(inner) == "pkg"
    assert workspace.package_of(workspace.root) == ""


def test_outside_a_workspace_the_error_says_what_to_do(tmp_path):
    with pytest.raises(NoWorkspace) as raised:
        Workspace.find(tmp_path, environ={})
    assert str(raised.value) == (
        f"error AX100: neither {tmp_path} nor a folder above it holds axbuild.toml\n"
        "  hint: run inside a workspace, or make one with an empty axbuild.toml in its top folder"
    )


def test_the_cache_may_lie_outside_the_workspace(tmp_path):
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "axbuild.toml").write_text("[cache]\ndir = '../shared'\n")
    workspace = Workspace.find(tmp_path / "ws", environ={})
    assert workspace.cache_dir == (tmp_path / "shared").resolve()
    assert workspace.state_dir.parent == (tmp_path / "shared" / "workspaces").resolve()


TRICKY = '''# [[rule]] in a comment
[[rule]]
name = "a" # = "b"
text = """
[[rule]]
name = 'not here'
"""
[[rule]]
"na me" = 1
list = [
  { name = "deep" },
  "]",
]
after = 'x'
[rule.sub]
key = 2
[[rule.items]]
one = 1
[[rule.items]]
two.deep = 2
[other]
x = """a\\"""b"""
y = ''' + "'''c'''" + '''
z = 1
'''  # fmt: skip


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("rule", 0), 2),
        (("rule", 0, "name"), 3),
        (("rule", 0, "text"), 4),
        (("rule", 1), 8),
        (("rule", 1, "na me"), 9),
        (("rule", 1, "list", 0, "name"), 10),
        (("rule", 1, "after"), 14),
        (("rule", 1, "sub", "key"), 16),
        (("rule", 1, "items", 0, "one"), 18),
        (("rule", 1, "items", 1, "two", "deep"), 20),
        (("other", "y"), 23),
        (("other", "z"), 24),
        (("rule",), 2),
        (("nothing",), 0),
    ],
)
def test_the_line_of_a_value_is_found_behind_strings_and_brackets(path, line):
    assert TomlText.of("f.toml", TRICKY).place(path).line == line


@pytest.mark.parametrize("setting", ["", ".", "..", "axbuild-out", "axbuild-out/cache"])
def test_the_cache_never_stands_around_the_workspace_or_among_outputs(tmp_path, setting):
    (tmp_path / "axbuild.toml").write_text(f"[cache]\ndir = '{setting}'\n")
    with pytest.raises(AxError, match=r"AX103: cache\.dir takes a folder of its own"):
        Workspace.find(tmp_path)


def test_a_folder_that_holds_other_files_is_not_taken_for_the_cache(tmp_path):
    (tmp_path / "axbuild.toml").write_text("[cache]\ndir = 'pictures'\n")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / ".gitkeep").touch()
    assert Workspace.find(tmp_path).cache_dir == pictures
    (pictures / "workspaces").mkdir()  # what a query makes
    assert Workspace.find(tmp_path).cache_dir == pictures
    (pictures / "a.png").touch()
    with pytest.raises(AxError, match=r"AX103: cache.dir takes .* and .*/pictures holds other files, such as 'a.png'"):
        Workspace.find(tmp_path)
    (pictures / "cas").mkdir()  # what a store makes first
    assert Workspace.find(tmp_path).cache_dir == pictures


def test_a_whole_number_beyond_64_bits_is_no_toml():
    with pytest.raises(AxError) as caught:
        TomlText.of("BUILD.toml", "[[a]]\nx = 1\ny = [1, 99999999999999999999]\n")
    assert str(caught.value) == (
        "BUILD.toml:3: error AX101: not valid TOML: a whole number must fit in 64 bits\n"
        "  3 | y = [1, 99999999999999999999]"
    )
    assert TomlText.of("BUILD.toml", "x = [9223372036854775807, -9223372036854775808]").data["x"][0] == 2**63 - 1


def test_a_line_is_shown_as_a_terminal_can_show_it():
    with pytest.raises(AxError) as caught:
        TomlText.of("BUILD.toml", f"x = 'a\x1b[31m{'b' * 1000}\n")
    assert caught.value.place.text == "x = 'a\\x1b[31m" + "b" * 149 + "..."


def test_text_that_is_not_utf8_is_told_with_its_line():
    with pytest.raises(AxError, match="cannot be read: byte 8, in line 2, is not UTF-8"):
        TomlText.read(MemoryDisk({"BUILD.toml": b"x = 1\n# \xfc\n"}), "BUILD.toml")


def test_a_dotted_header_has_a_line():
    assert TomlText.of("BUILD.toml", "y = 1\n[[x.z]]\nname = 'n'\n").place(("x",)).line == 2
