"""BUILD.toml files: targets out of tables, and every mistake with its file, line and way out."""

import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.workspace.disk import BROKEN_LINK, MemoryDisk, RealDisk
from axbuild.workspace.ignore import Ignore, read_ignore
from axbuild.workspace.package_cache import PackageCache
from axbuild.workspace.packages import Packages
from axbuild.workspace.rule import Choice, Int, Label, String, rule


@rule
class model:  # noqa: N801 - as users write it
    """A model."""

    src = String("Where it comes from.", required=True)
    size = Int("How large.", default=3)

    def actions(self, t, plan):
        return None


@rule
class quant_model:  # noqa: N801 - as users write it
    """A quantised model."""

    model = Label("The model to quantise.", required=True)
    method = Choice("How.", ("MinMax", "KL"), default="MinMax")

    def actions(self, t, plan):
        return None


RULES = {"model": model, "quant_model": quant_model}


def packages(files, defaults=None, cache=None):
    disk = MemoryDisk(files)
    return Packages(disk, read_ignore(disk, ("cache",)), RULES, defaults or {}, cache)


def load(text, **files):
    return packages({"m/BUILD.toml": text, **files}).targets("m")


GOOD = """
[[quant_model]]
name = "quant"
model = ":float"

[[model]]
name = "float"
src = "a.onnx"
"""


def test_each_table_is_a_target_of_the_rule_it_is_named_for():
    targets = load(GOOD)
    assert [(target.label, target.rule) for target in targets.values()] == [
        ("//m:quant", "quant_model"),
        ("//m:float", "model"),
    ]
    assert targets["quant"].values == {"model": "//m:float"}
    assert targets["quant"].labels == ("//m:float",)
    assert targets["float"].labels == ()


def test_defaults_come_from_the_file_then_from_the_settings():
    build = "[defaults.model]\nsize = 5\n[[model]]\nname = 'a'\nsrc = 'x'\n[[model]]\nname = 'b'\nsrc = 'y'\nsize = 7\n"
    settings = "[defaults.model]\nsize = 1\nsrc = 'z'\n"
    files = {"m/BUILD.toml": build, "n/BUILD.toml": "[[model]]\nname = 'c'\n", "axbuild.toml": settings}
    found = packages(files, {"model": {"size": 1, "src": "z"}})
    assert found.targets("m")["a"].values == {"src": "x", "size": 5}
    assert found.targets("m")["b"].values == {"src": "y", "size": 7}
    assert found.targets("n")["c"].values == {"size": 1, "src": "z"}
    assert found.targets("m")["a"].given() == {"src"}
    assert found.targets("n")["c"].given() == set()
    place = found.place
    assert str(place(found.targets("m")["a"], "size")) == "m/BUILD.toml:2"
    assert str(place(found.targets("m")["b"], "size")) == "m/BUILD.toml:9"
    assert str(place(found.targets("n")["c"], "src")) == "axbuild.toml:3"
    assert str(place(found.targets("m")["a"])) == "m/BUILD.toml:3"


MISTAKES = {
    "unknown rule": (
        '[[quant_modle]]\nname = "quant"\n',
        "m/BUILD.toml:1: error AX105: there is no rule 'quant_modle'\n"
        "  1 | [[quant_modle]]\n  hint: did you mean 'quant_model'?",
    ),
    "unknown attribute": (
        '[[quant_model]]\nname = "quant"\nmodel = ":float"\nmethd = "KL"\n',
        "m/BUILD.toml:4: error AX104: quant_model has no attribute 'methd'\n"
        "  4 | methd = \"KL\"\n  hint: did you mean 'method'?",
    ),
    "wrong type": (
        '[[model]]\nname = "a"\nsrc = 5\n',
        "m/BUILD.toml:3: error AX106: src takes a string, got 5\n  3 | src = 5",
    ),
    "wrong choice in the second table": (
        '[[quant_model]]\nname = "a"\nmodel = ":b"\n\n[[quant_model]]\nname = "b"\nmodel = ":a"\nmethod = "Kl"\n',
        'm/BUILD.toml:8: error AX106: method takes "MinMax" or "KL", got "Kl"\n  8 | method = "Kl"\n'
        "  hint: did you mean 'KL'?",
    ),
    "bad label": (
        '[[quant_model]]\nname = "quant"\nmodel = "float"\n',
        "m/BUILD.toml:3: error AX200: 'float' is not a label: it must begin with // or :\n"
        "  3 | model = \"float\"\n  hint: write ':float' for a target of this package",
    ),
    "missing attribute": (
        '[[quant_model]]\nname = "quant"\n',
        "m/BUILD.toml:1: error AX107: this quant_model lacks its attribute 'model'\n"
        "  1 | [[quant_model]]\n  hint: The model to quantise.",
    ),
    "missing name": (
        '\n[[model]]\nsrc = "a"\n',
        "m/BUILD.toml:2: error AX107: this model lacks its attribute 'name'\n"
        "  2 | [[model]]\n  hint: the target's name: its label is //package:name",
    ),
    "bad name": (
        '[[model]]\nname = "a b"\nsrc = "a"\n',
        'm/BUILD.toml:2: error AX106: name takes letters, digits and _ . + -, got "a b"\n  2 | name = "a b"',
    ),
    "name twice": (
        '[[model]]\nname = "a"\nsrc = "x"\n[[quant_model]]\nname = "a"\nmodel = ":b"\n',
        'm/BUILD.toml:5: error AX108: //m:a is declared already, at m/BUILD.toml:2\n  5 | name = "a"',
    ),
    "single table": (
        '[model]\nname = "a"\nsrc = "x"\n',
        "m/BUILD.toml:1: error AX101: not valid TOML: a target is declared by a [[model]] header of its own\n"
        "  1 | [model]",
    ),
    "invalid TOML": (
        '[[model]]\nname = "a"\nsrc = yes\n',
        "m/BUILD.toml:3: error AX101: not valid TOML: "
        "string values must be quoted, expected literal string (column 7)\n"
        "  3 | src = yes",
    ),
    "attribute twice": (
        '[[model]]\nname = "a"\nsrc = "x"\nsrc = "y"\n',
        'm/BUILD.toml:4: error AX101: not valid TOML: duplicate key (column 1)\n  4 | src = "y"',
    ),
    "default of an unknown rule": (
        "[defaults.modle]\nsize = 5\n",
        "m/BUILD.toml:1: error AX105: there is no rule 'modle'\n"
        "  1 | [defaults.modle]\n  hint: did you mean 'model'?",
    ),
    "unknown default": (
        "[defaults.model]\nsiz = 5\n",
        "m/BUILD.toml:2: error AX104: model has no attribute 'siz'\n  2 | siz = 5\n  hint: did you mean 'size'?",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_names_its_line_and_a_way_out(text, message):
    with pytest.raises(AxError) as raised:
        load(text)
    assert str(raised.value) == message
    assert exit_code_of(raised.value.code) == 2


def test_a_mistake_in_the_settings_defaults_names_the_settings_file():
    files = {"axbuild.toml": "[defaults.model]\nsize = 'big'\n", "m/BUILD.toml": ""}
    with pytest.raises(AxError) as raised:
        packages(files, {"model": {"size": "big"}})
    assert str(raised.value) == (
        "axbuild.toml:2: error AX106: size takes a whole number, got \"big\"\n  2 | size = 'big'"
    )


def test_a_file_that_is_not_utf8_is_named():
    with pytest.raises(AxError) as raised:
        packages({"m/BUILD.toml": b"# \xff\n"}).targets("m")
    assert str(raised.value) == "m/BUILD.toml: error AX117: cannot be read: byte 2, in line 1, is not UTF-8"


def test_what_the_system_refuses_to_show_is_named(tmp_path, monkeypatch):
    def refuse(path, *mode, **how):
        raise PermissionError(13, "Permission denied", path)

    disk = RealDisk(str(tmp_path))
    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(AxError) as folder:
        disk.listing("m")
    assert str(folder.value) == "m: error AX117: cannot be read: permission denied"
    monkeypatch.setattr("builtins.open", refuse)
    for read in (disk.read, lambda path: disk.ask(path, list)):
        with pytest.raises(AxError) as file:
            read("m/BUILD.toml")
        assert str(file.value) == "m/BUILD.toml: error AX117: cannot be read: permission denied"
        assert exit_code_of(file.value.code) == 2


def test_a_link_that_leads_to_itself_is_a_broken_one(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert RealDisk(str(tmp_path)).listing("") == {"loop": BROKEN_LINK}


def test_a_package_without_a_file_is_named_with_its_neighbour():
    with pytest.raises(AxError) as raised:
        packages({"mobilenet/BUILD.toml": ""}).targets("mobilnet")
    assert str(raised.value) == (
        "error AX201: there is no package //mobilnet: mobilnet/BUILD.toml does not exist\n"
        "  hint: did you mean '//mobilenet'?"
    )


def test_a_folder_whose_name_cannot_be_in_a_label_is_refused():
    with pytest.raises(AxError, match=r"my models/BUILD\.toml: error AX200: '//my models' is not a label"):
        packages({"my models/BUILD.toml": GOOD}).targets("my models")


def test_walks_leave_out_ignored_hidden_and_foreign_folders():
    packages_here = ["", "a/", "a/b/", "old/", "x/old/", "x/skip/", "x/cache/", "inner/", "inner/deep/"]
    files = {f"{folder}BUILD.toml": "" for folder in [*packages_here, "cache/", "axbuild-out/", ".git/"]}
    files["inner/axbuild.toml"] = ""
    files[".axbuildignore"] = "# kept elsewhere\nold\n/x/skip/\n"
    found = packages(files)
    assert found.below("") == ["", "a", "a/b", "x/cache"]
    assert found.below("a") == ["a", "a/b"]
    assert found.exists("x/old")


def test_ignore_patterns_match_names_anywhere_and_paths_from_the_root():
    ignore = Ignore(("cache",), ("*.bak", "build/", "/data/raw/**", "a/*/c", "[!x]1"))
    assert [path for path in ("x.bak", "a/x.bak", "x.bak2") if ignore.file(path)] == ["x.bak", "a/x.bak"]
    assert ignore.folder("m/build")
    assert not ignore.file("m/build")
    assert ignore.file("data/raw/deep/x")
    assert not ignore.file("m/data/raw/x")
    assert ignore.folder("a/b/c")
    assert not ignore.folder("a/b/d/c")
    assert ignore.file("y1")
    assert not ignore.file("x1")
    assert ignore.folder("cache")
    assert not ignore.folder("m/cache")
    assert ignore.folder("m/.venv")


def test_an_ignore_line_that_takes_back_is_refused():
    with pytest.raises(AxError) as raised:
        packages({".axbuildignore": "old\n!old/kept\n", "BUILD.toml": ""})
    assert str(raised.value) == (
        ".axbuildignore:2: error AX116: a pattern cannot take back what another one ignores\n"
        "  2 | !old/kept\n  hint: drop the '!' and name less above"
    )


class Unparsed(Packages):
    """Packages that must come out of the cache."""

    def _parse(self, package, text):
        raise AssertionError(f"{package} was parsed")


def cached(path, kind=Packages, text=GOOD, digest="rules", defaults=None):
    cache = PackageCache(path, digest, defaults or {})
    found = kind(MemoryDisk({"m/BUILD.toml": text}), Ignore(), RULES, {}, cache)
    targets = found.targets("m")
    found.save()
    return targets


def test_a_parsed_package_is_kept(tmp_path):
    path = tmp_path / "state" / "packages.msgpack"
    parsed = cached(path)
    assert cached(path, Unparsed) == parsed


@pytest.mark.parametrize("change", [{"text": GOOD + "# a comment\n"}, {"digest": "other"}, {"defaults": {"model": {}}}])
def test_a_kept_package_is_forgotten_when_what_it_came_from_changed(tmp_path, change):
    path = tmp_path / "packages.msgpack"
    cached(path)
    with pytest.raises(AssertionError, match="m was parsed"):
        cached(path, Unparsed, **change)


def test_a_damaged_cache_is_parsed_again(tmp_path):
    path = tmp_path / "packages.msgpack"
    parsed = cached(path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x41]) + whole[position + 1 :])
        assert cached(path) == parsed
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert cached(path) == parsed


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path):
    (tmp_path / "file").touch()
    assert set(cached(tmp_path / "file" / "packages.msgpack")) == {"quant", "float"}


def test_a_mistake_is_found_again_on_the_next_build(tmp_path):
    for _ in range(2):
        with pytest.raises(AxError, match="AX105"):
            cached(tmp_path / "packages.msgpack", text="[[modle]]\nname = 'a'\n")


def packages_of(root):
    return Packages(RealDisk(str(root)), Ignore(), RULES, {}).below("")


def test_packages_behind_a_link_out_of_the_workspace_are_found_once(tmp_path):
    for folder in ("ws/a", "out/net", "out/deep/net", "out/far"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "BUILD.toml").write_text("")
    (tmp_path / "ws/models").symlink_to("../out")
    (tmp_path / "ws/again").symlink_to(tmp_path / "ws/a")
    (tmp_path / "ws/a/self").symlink_to(".")
    (tmp_path / "ws/z").symlink_to("../out/net")
    (tmp_path / "out/deep/loop").symlink_to("..")
    assert packages_of(tmp_path / "ws") == ["a", "models/deep/net", "models/far", "models/net"]


def test_a_link_around_the_workspace_is_named(tmp_path):
    (tmp_path / "ws/a").mkdir(parents=True)
    (tmp_path / "ws/a/up").symlink_to("../..")
    with pytest.raises(AxError) as error:
        packages_of(tmp_path / "ws")
    assert str(error.value) == (
        "error AX110: the link 'a/up' leads back to a folder that it lies in\n"
        "  hint: remove it, or list it in .axbuildignore"
    )
