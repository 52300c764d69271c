"""Tables that stand for others, made of the text of a file beside the BUILD file."""

import json
import warnings

import pytest

from axbuild.engine.noop.meaning import fingerprints
from axbuild.errors import AxError, AxWarning, Place
from axbuild.workspace.disk import MemoryDisk
from axbuild.workspace.ignore import Ignore
from axbuild.workspace.package_cache import PackageCache
from axbuild.workspace.packages import Packages
from axbuild.workspace.rule import Choice, Int, Label, String, TextFile, rule
from axbuild.workspace.schema import schema_of


@rule
class model:  # noqa: N801 - as users write it
    """A model."""

    src = String("Where it comes from.", required=True, vendor="input")
    size = Int("How large.", default=3, vendor="model.size")

    def actions(self, t, plan):
        return None


@rule
class verdict:  # noqa: N801 - as users write it
    """A check."""

    model = Label("What is checked.", required=True)
    level = Choice("How.", ("close", "equal"), default="close")

    def actions(self, t, plan):
        return None


class TooOldError(AxError):
    code = "AX999"


@rule
class chain:  # noqa: N801 - as users write it
    """A model and its check, as a file of another tool describes them."""

    config = TextFile("The file.", required=True)
    src = String("The model, in place of the file's own.")

    def expand(self, t, text):
        if text.startswith("old"):
            raise TooOldError("it is of last year", place=Place(t.config, 1, "old"), hint="write a new one")
        said = json.loads(text)
        own = {"src": t.src} if t.given("src") else {}
        name = t.label.rpartition(":")[2]
        return [
            ("model", {"name": name, **said, **own}),
            ("verdict", {"name": f"{name}_check", "model": f":{name}"}),
        ]


RULES = {"model": model, "verdict": verdict, "chain": chain}
BUILD = """
[[chain]]
name = "net"
config = "conf/net.json"
"""
CONFIG = '{\n  "src": "a.onnx",\n  "size": 5\n}\n'


def packages(build=BUILD, config=CONFIG, cache=None):
    files = {"m/BUILD.toml": build}
    if config is not None:
        files["m/conf/net.json"] = config
    return Packages(MemoryDisk(files), Ignore(), RULES, {}, cache)


def refusal(build=BUILD, config=CONFIG):
    with pytest.raises(AxError) as raised:
        packages(build, config).targets("m")
    return str(raised.value)


def test_a_table_stands_for_the_targets_that_its_file_describes():
    targets = packages().targets("m")
    assert {name: (one.rule, one.values, one.labels) for name, one in targets.items()} == {
        "net": ("model", {"src": "a.onnx", "size": 5}, ()),
        "net_check": ("verdict", {"model": "//m:net"}, ("//m:net",)),
    }


def test_an_attribute_of_the_table_stands_over_the_file():
    assert packages(BUILD + 'src = "b.onnx"\n').targets("m")["net"].values == {"src": "b.onnx", "size": 5}


def test_defaults_of_the_package_hold_for_what_the_file_leaves_out():
    found = packages(BUILD + "[defaults.model]\nsize = 9\n", '{"src": "a.onnx"}').targets("m")["net"]
    assert (found.values, found.given()) == ({"src": "a.onnx", "size": 9}, {"src"})


def test_what_is_said_in_the_file_has_its_place_there_and_the_rest_in_the_build_file():
    known = packages(BUILD + 'src = "b.onnx"\n')
    net = known.targets("m")["net"]
    assert str(known.place(net, "size")) == "m/conf/net.json:3"
    assert known.place(net, "size").text == '"size": 5'
    assert str(known.place(net, "src")) == "m/BUILD.toml:5"
    assert str(known.place(net)) == "m/BUILD.toml:2"


@pytest.mark.parametrize(
    ("build", "config", "message"),
    [
        (
            BUILD,
            None,
            "m/BUILD.toml:4: error AX109: there is no 'conf/net.json' in //m\n  4 | config = \"conf/net.json\"",
        ),
        (
            BUILD.replace("conf/", "../"),
            CONFIG,
            "m/BUILD.toml:4: error AX110: '../net.json' leaves the package //m\n  4 | config = \"../net.json\"\n"
            "  hint: declare a filegroup in that folder's package and name its label",
        ),
        (
            BUILD,
            "old",
            "m/conf/net.json:1: error AX999: it is of last year\n  1 | old\n"
            "  hint: write a new one; it is asked for at m/BUILD.toml:2",
        ),
        (
            BUILD,
            CONFIG.replace("5", '"5"'),
            'm/conf/net.json:3: error AX106: size takes a whole number, got "5"\n  3 | "size": "5"\n'
            "  hint: it is asked for at m/BUILD.toml:2",
        ),
        (
            BUILD + '\n[[model]]\nname = "net_check"\nsrc = "x"\n',
            CONFIG,
            "m/BUILD.toml:7: error AX108: //m:net_check is declared already, at m/BUILD.toml:3\n"
            '  7 | name = "net_check"',
        ),
        (BUILD + "x = 1\n", CONFIG, "m/BUILD.toml:5: error AX104: chain has no attribute 'x'\n  5 | x = 1"),
    ],
)
def test_a_mistake_names_both_places(build, config, message):
    assert refusal(build, config) == message


def test_what_goes_wrong_inside_the_rule_is_told_with_its_line():
    message = refusal(config="no json")
    assert "test_made_tables.py:" in message
    assert "error AX113: rule chain failed for //m:net: JSONDecodeError: Expecting value" in message


def test_targets_of_a_file_that_is_wrong_are_lost_and_no_others():
    found = packages(BUILD + '\n[[model]]\nname = "other"\nsrc = "x"\n', "old").read("m")
    assert list(found.targets) == ["other"]
    assert (found.whole, found.broken) == (False, {"net": 0})


def test_a_kept_package_is_forgotten_when_the_file_changed(tmp_path):
    def loaded(config):
        cache = PackageCache(tmp_path / "packages.msgpack", "rules", {})
        found = packages(config=config, cache=cache)
        size = found.targets("m")["net"].values["size"]
        found.save()
        return size, found.read("m").texts

    assert loaded(CONFIG) == (5, ("m/conf/net.json",))
    assert loaded(CONFIG) == (5, ("m/conf/net.json",))
    assert loaded(CONFIG.replace("5", "6")) == (6, ("m/conf/net.json",))
    with pytest.raises(AxError, match="AX109"):
        loaded(None)


class Placed(dict):
    """Attributes with lines, as `BuildTable` says."""

    def __init__(self, values, **lines):
        super().__init__(values)
        self.lines = lines


@rule
class pair:  # noqa: N801 - as users write it
    """Two models of one file."""

    config = TextFile("The file.", required=True)

    def expand(self, t, text):
        for word in text.split("\n"):
            if word.startswith("odd"):
                warnings.warn(AxWarning("AX999", f"{t.config}: {word}"), stacklevel=1)
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.startswith("size ")]
        return [
            ("model", Placed({"name": f"{t.label[-1]}{line[5]}", "src": "a", "size": int(line[5])}, size=number))
            for number, line in lines
        ]


PAIR = {"model": model, "pair": pair}
PAIRED = '[[pair]]\nname = "p"\nconfig = "p.txt"\n'


def paired(text, cache=None):
    return Packages(MemoryDisk({"m/BUILD.toml": PAIRED, "m/p.txt": text}), Ignore(), PAIR, {}, cache)


def test_a_rule_that_knows_its_lines_tells_two_entries_apart():
    known = paired("size 1\n\nsize 2\n")
    first, second = known.targets("m").values()
    assert [str(known.place(one, "size")) for one in (first, second)] == ["m/p.txt:1", "m/p.txt:3"]
    assert str(known.place(second, "size[0].what")) == "m/p.txt:3"
    assert str(known.place(second, "src")) == "m/BUILD.toml:1", "a line that it does not know is not guessed"


def test_what_a_rule_warns_of_comes_with_the_first_target_from_the_cache_too(tmp_path):
    def told(text):
        cache = PackageCache(tmp_path / "packages.msgpack", "rules", {})
        found = paired(text, cache)
        said = {name: one.warnings for name, one in found.targets("m").items()}
        found.save()
        return said

    expected = {"p1": (("AX999", "m/p.txt: odd one"), ("AX999", "m/p.txt: odd two")), "p2": ()}
    assert told("size 1\nsize 2\nodd one\nodd two") == expected
    assert told("size 1\nsize 2\nodd one\nodd two") == expected
    assert told("size 1\nsize 2\n") == {"p1": (), "p2": ()}


def test_a_warning_that_came_or_went_is_a_change_of_its_target():
    plain, odd = (fingerprints(paired(f"size 1\n{line}").targets("m")) for line in ("", "odd"))
    assert plain != odd
    assert fingerprints(paired("size 1\nodd").targets("m")) == odd


def test_an_editor_completes_the_table_like_any_other():
    table = schema_of(RULES)["properties"]["chain"]["items"]
    assert list(table["properties"]) == ["name", "config", "src"]


def test_a_rule_that_expands_says_which_file_it_reads():
    with pytest.raises(TypeError, match="rule none expands the text of one attribute, and declares 0 of kind TextFile"):
        rule(type("none", (), {"expand": lambda self, t, text: []}))
