"""The target graph and its layout: patterns, cycles and missing labels with their path, provider types, plans."""

import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.graph import query
from axbuild.graph.layout import lay_out
from axbuild.graph.plan import Plan, plain
from axbuild.graph.targets import load
from axbuild.workspace.artifact import Entry, Output, Result, SourceFiles, Tree, as_tree, file_name, is_tree
from axbuild.workspace.stage import Stage
from axbuild.workspace.workspace import Workspace

OWN_RULES = '''
from dataclasses import dataclass

from axbuild.workspace.rule import Int, Label, Labels, Source, Stage, rule

COPY = Stage("./tool_stages.py:copy", outputs=("copy.txt",))


@dataclass(frozen=True)
class Made:
    file: object


@rule
class make:
    """Copies a file."""

    gives = Made
    src = Source("The file.")
    needs = Labels("Targets before this one.", provides=Made)
    times = Int("How often.", default=1)

    def actions(self, t, plan):
        inputs = [t.src] if t.src else []
        made = plan.run(COPY, files=[*inputs, *(need.file for need in t.needs)], params=t.only("times"))
        plan.output("copy.txt", made)
        return Made(made.only)


@rule
class twice:
    """Makes the mistake of naming two actions alike."""

    def actions(self, t, plan):
        plan.run(COPY)
        plan.run(COPY)
'''


BROKEN_RULE = '''
from axbuild.workspace.rule import rule

@rule
class broken:
    """Asks for an attribute that it has not."""
    def actions(self, t, plan):
        plan.output(t.nothing, None)
'''


@pytest.fixture
def workspace_of(tmp_path):
    def make(**builds):
        (tmp_path / "axbuild.toml").touch()
        (tmp_path / "rules").mkdir(exist_ok=True)
        (tmp_path / "rules" / "own.py").write_text(OWN_RULES)
        (tmp_path / "rules" / "tool_stages.py").write_text("import nothing_that_exists\n")
        for name, text in builds.items():
            folder = tmp_path if name == "root" else tmp_path / name.replace("__", "/")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "BUILD.toml").write_text(text)
        return Workspace.find(tmp_path, environ={})

    return make


def targets(*names, **needs):
    """BUILD.toml text of `make` targets with the labels each needs."""
    return "".join(f"[[make]]\nname = '{name}'\nneeds = {needs.get(name, [])}\n" for name in names)


def failure(workspace, *patterns, package=""):
    with pytest.raises(AxError) as raised:
        lay_out(load(workspace, patterns, package))
    assert exit_code_of(raised.value.code) == 2
    return str(raised.value)


def test_dependencies_come_first_and_only_needed_packages_are_read(workspace_of):
    workspace = workspace_of(
        a=targets("x", x=["//b:y", ":z"]) + targets("z"), b=targets("y", y=["//a:z"]), c="broken ="
    )
    graph = load(workspace, ["//a:x"])
    assert list(graph.targets) == ["//a:z", "//b:y", "//a:x"]
    assert graph.requested == ("//a:x",)


def test_patterns_add_and_subtract_in_order(workspace_of):
    workspace = workspace_of(root=targets("r"), a=targets("x", "y"), a__sub=targets("x"), b=targets("y"))
    assert load(workspace, ["//..."]).requested == ("//:r", "//a:x", "//a:y", "//a/sub:x", "//b:y")
    assert load(workspace, ["//...", "-//a/..."]).requested == ("//:r", "//b:y")
    assert load(workspace, ["//...", "--", "-//a:all", "//a:y"]).requested == ("//:r", "//a/sub:x", "//b:y", "//a:y")
    assert load(workspace, ["sub:all", ":x"], "a").requested == ("//a/sub:x", "//a:x")


def test_what_is_subtracted_is_still_built_where_it_is_needed(workspace_of):
    graph = load(workspace_of(a=targets("x", x=[":y"]) + targets("y")), ["//...", "-//a:y"])
    assert graph.requested == ("//a:x",)
    assert list(graph.targets) == ["//a:y", "//a:x"]


def test_a_missing_target_is_named_with_the_path_to_it(workspace_of):
    workspace = workspace_of(a=targets("x", x=["//b:y"]), b=targets("y", y=["//c:flaot"]), c=targets("float"))
    assert failure(workspace, "//a:x") == (
        "b/BUILD.toml:3: error AX202: there is no target //c:flaot (needed by //a:x -> //b:y)\n"
        "  3 | needs = ['//c:flaot']\n"
        "  hint: did you mean '//c:float'?"
    )


def test_a_missing_target_without_a_likeness_lists_what_there_is(workspace_of):
    assert failure(workspace_of(c=targets("float", "calib")), "//c:quant") == (
        "error AX202: there is no target //c:quant\n  hint: //c has calib, float"
    )
    assert failure(workspace_of(c=""), "//c:quant") == (
        "error AX202: there is no target //c:quant\n  hint: //c has no targets"
    )


def test_a_missing_package_is_named_with_the_path_to_it(workspace_of):
    workspace = workspace_of(a=targets("x", x=["//mobilnet:quant"]), mobilenet=targets("quant"))
    assert failure(workspace, "//a:x") == (
        "a/BUILD.toml:3: error AX202: there is no target //mobilnet:quant: there is no package //mobilnet: "
        "mobilnet/BUILD.toml does not exist (needed by //a:x)\n"
        "  3 | needs = ['//mobilnet:quant']\n"
        "  hint: did you mean '//mobilenet'?"
    )


def test_of_a_long_cycle_the_ends_are_named(workspace_of):
    names = [f"t{i}" for i in range(40)]
    needs = {name: [f":{other}"] for name, other in zip(names, [*names[1:], "t0"], strict=True)}
    told = failure(workspace_of(a=targets(*names, **needs)), "//a:t0").splitlines()[0]
    assert "//a:t16 (a/BUILD.toml:48) -> ... -> //a:t39 (a/BUILD.toml:117) -> //a:t0 (a/BUILD.toml:120)" in told
    assert told.count("->") == 19


def test_a_cycle_is_named_whole(workspace_of):
    workspace = workspace_of(
        a=targets("top", "x", top=[":x"], x=["//b:y"]), b=targets("y", y=["//b:z"]) + targets("z", z=["//a:x"])
    )
    assert failure(workspace, "//a:top") == (
        "b/BUILD.toml:6: error AX203: //a:x depends on itself: "
        "//a:x -> //b:y (a/BUILD.toml:6) -> //b:z (b/BUILD.toml:3) -> //a:x (b/BUILD.toml:6)\n"
        "  6 | needs = ['//a:x']"
    )
    assert "//a:self depends on itself: //a:self -> //a:self" in failure(
        workspace_of(a=targets("self", self=[":self"])), "//a:self"
    )


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        ([], "error AX205: no target is named\n  hint: name one, such as //mobilenet:axmodel, or all with //..."),
        (
            ["-//a:x"],
            "error AX205: no target is named\n  hint: name one, such as //mobilenet:axmodel, or all with //...",
        ),
        (["//...", "-//a/..."], "error AX205: nothing is left of //... -//a/..."),
        (["//b/..."], "error AX205: //b/... matches no target"),
        (
            ["//a/x:all"],
            "error AX201: there is no package //a/x: a/x/BUILD.toml does not exist\n  hint: did you mean '//a'?",
        ),
    ],
)
def test_patterns_that_name_nothing_are_refused(workspace_of, patterns, message):
    assert failure(workspace_of(a=targets("x")), *patterns) == message


def test_a_chain_longer_than_the_stack_is_walked(workspace_of):
    length = 3000
    chain = {f"t{i}": [f":t{i + 1}"] for i in range(length - 1)}
    graph = load(workspace_of(a=targets(*(f"t{i}" for i in range(length)), **chain)), ["//a:t0"])
    assert next(iter(graph.targets)) == f"//a:t{length - 1}"
    assert len(graph.targets) == length


def test_queries_answer_with_what_is_needed_first(workspace_of):
    workspace = workspace_of(a=targets("x", "y", x=[":y", "//b:z"], y=["//b:z"]), b=targets("z", "alone"))
    assert query.labels(workspace, ["//b:all"]) == ("//b:z", "//b:alone")
    assert query.deps(workspace, ["//a:x"]) == ("//b:z", "//a:y", "//a:x")
    assert query.rdeps(workspace, ["//b:z"]) == ("//b:z", "//a:y", "//a:x")
    assert query.rdeps(workspace, ["//b:z"], universe=["//a:y"]) == ("//b:z", "//a:y")
    assert query.rdeps(workspace, ["//b:alone"], universe=["//a:x"]) == ("//b:alone",)


def test_a_target_is_laid_out_as_actions_with_named_inputs(workspace_of):
    workspace = workspace_of(a=targets("y") + "[[make]]\nname = 'x'\nsrc = 'in.txt'\nneeds = [':y']\ntimes = 2\n")
    (workspace.root / "a" / "in.txt").write_text("hello")
    below, above = lay_out(load(workspace, ["//a:x"]))
    assert (below.label, above.label, above.rule) == ("//a:y", "//a:x", "make")
    (action,) = above.actions
    assert action.id == ("//a:x", "copy")
    assert action.stage.ref == "./tool_stages.py:copy"
    assert action.params == {"times": 2}
    assert action.inputs == {"files": (SourceFiles((("in.txt", "a/in.txt"),)), Output(("//a:y", "copy"), "copy.txt"))}
    assert above.outputs == {"copy.txt": Output(("//a:x", "copy"), "copy.txt")}


def test_a_label_of_something_else_is_refused_with_what_would_fit(workspace_of):
    workspace = workspace_of(a="[[filegroup]]\nname = 'f'\nsrcs = ['BUILD.toml']\n" + targets("x", x=[":f"]))
    assert failure(workspace, "//a:x") == (
        "a/BUILD.toml:6: error AX204: needs takes Made, and //a:f (filegroup) gives Files\n"
        "  6 | needs = [':f']\n"
        "  hint: Made is what make targets give"
    )


def test_an_alias_hands_on_provider_and_outputs(workspace_of):
    workspace = workspace_of(a="[[alias]]\nname = 'x'\nactual = ':y'\n" + targets("y", "z", z=[":x"]))
    laid = {target.label: target for target in lay_out(load(workspace, ["//a:all"]))}
    assert laid["//a:x"].actions == ()
    assert laid["//a:x"].outputs == laid["//a:y"].outputs
    assert laid["//a:z"].actions[0].inputs == {"files": (Output(("//a:y", "copy"), "copy.txt"),)}


def test_two_actions_of_one_name_are_the_rules_mistake(workspace_of):
    assert failure(workspace_of(a="[[twice]]\nname = 'x'\n"), "//a:x") == (
        "a/BUILD.toml:1: error AX206: the rule of //a:x lays out two actions called 'copy'\n  1 | [[twice]]"
    )


STAGE = Stage("m:f", outputs=("a.txt", "tree/"))
ONE = Stage("m:one", outputs=("only.txt",))
MORE = Stage("m:more", expands=True)


def test_a_plan_collects_what_the_rule_lays_out():
    plan = Plan("//a:x", "r", {})
    first = plan.run(STAGE, name="first", params={"sizes": (1, 2)})
    second = plan.run(ONE, source=first["tree/"], parts=[first["a.txt"], first["tree/"]])
    more = plan.expand(MORE, tree=second)
    plan.preflight(ONE, name="early", x=second)
    plan.output("o/", more.result)
    plan.verdict(second)
    done = plan.finished("provider")
    assert [(action.id[1], action.preflight) for action in done.actions] == [
        ("first", False),
        ("one", False),
        ("more", False),
        ("early", True),
    ]
    assert done.actions[0].params == {"sizes": [1, 2]}
    assert done.actions[1].inputs == {
        "source": Output(("//a:x", "first"), "tree/"),
        "parts": (Output(("//a:x", "first"), "a.txt"), Output(("//a:x", "first"), "tree/")),
    }
    assert done.actions[2].inputs == {"tree": Output(("//a:x", "one"), "only.txt")}
    assert done.outputs == {"o/": Result(("//a:x", "more"))}
    assert done.verdicts == (Output(("//a:x", "one"), "only.txt"),)


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (lambda plan: plan.run(STAGE)["b.txt"], "asks m:f for 'b.txt'; its outputs are: a.txt, tree/"),
        (lambda plan: plan.run(STAGE).only, "takes the only output of m:f, which has 2"),
        (lambda plan: plan.run(STAGE).result, "takes the result of m:f, which does not expand"),
        (lambda plan: plan.expand(STAGE), "expands m:f, which is not declared with expands=True"),
        (lambda plan: plan.run(STAGE, x="a.txt"), "passes str as input 'x', which is no artifact"),
        (lambda plan: plan.run(STAGE, x=["a.txt"]), "passes str as input 'x', which is no artifact"),
        (lambda plan: plan.output("x", "a.txt"), "passes str as output 'x', which is no artifact"),
        (lambda plan: [plan.output("x", plan.run(ONE)), plan.output("x", plan.run(STAGE)["a.txt"])],
         "hands over two outputs called 'x'"),
        (lambda plan: plan.run(STAGE, params={"x": object()}), "passes object as a parameter, which JSON cannot hold"),
        (lambda plan: plan.run(STAGE, params={"x": float("nan")}), "passes nan as a parameter, which JSON cannot hold"),
    ],
)  # fmt: skip
def test_a_rules_mistake_is_named(mistake, sentence):
    with pytest.raises(AxError) as raised:
        mistake(Plan("//a:x", "r", {}))
    assert str(raised.value) == f"error AX206: the rule of //a:x {sentence}"


def test_parameters_become_plain_json():
    assert plain({"a": (1, {"b": (2.5, None)}), "c": True}) == {"a": [1, {"b": [2.5, None]}], "c": True}


def test_single_artifacts_can_stand_in_a_tree():
    output = Output(("//a:x", "one"), "deep/only.txt")
    assert as_tree(output) == Tree((("only.txt", output),))
    assert as_tree(SourceFiles((("a", "m/a"),))) == SourceFiles((("a", "m/a"),), tree=True)
    tree = Output(("//a:x", "f"), "tree/")
    assert as_tree(tree) is tree
    assert is_tree(Result(("//a:x", "more")))
    assert not is_tree(Entry(tree, "a/b"))
    assert file_name(Entry(tree, "a/b")) == "b"
    assert file_name(tree) == ""


def test_an_exception_in_a_rule_of_the_workspace_is_its_authors_with_the_line(workspace_of, tmp_path):
    workspace = workspace_of(a="[[broken]]\nname = 'x'\n")
    (tmp_path / "rules" / "broken.py").write_text(BROKEN_RULE)
    told = failure(workspace, "//a:x")
    assert told.startswith("rules/broken.py:8: error AX206: rule broken failed for //a:x: AttributeError: ")
    assert told.endswith("  8 | plan.output(t.nothing, None)")
