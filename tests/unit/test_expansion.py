import json

import pytest

from axbuild.engine.run.expansion import BadExpansion, read_expansion
from axbuild.graph.actions import Action
from axbuild.workspace.artifact import Entry, Output, Result, SourceFiles
from axbuild.workspace.stage import Stage

COMPILE = Stage("m.compile:compile", outputs=("program", "parts/"))
MORE = Stage("m.more:more", expands=True)
STAGES = {stage.ref: stage for stage in (COMPILE, MORE)}
PARTITION = Output(("//m:x", "partition"), "partition/")
ONE = SourceFiles((("one", "m/one"),))
PARENT = Action(
    ("//m:x", "split"),
    Stage("m.split:split", expands=True, outputs=("dealt/",)),
    {},
    {"partition": PARTITION, "many": (ONE, PARTITION), "single": ONE},
)


def child(name="c", **changed):
    return {"name": name, "stage": COMPILE.ref, "params": {"batch": 1}, "inputs": {"p": "input:partition"}} | changed


def read(children, result=None):
    data = json.dumps({"children": children, "result": result or {}}).encode()
    return read_expansion(PARENT, data, STAGES)


def test_children_become_actions_below_their_parent():
    expansion = read(
        [
            child("a", inputs={"p": "input:partition/x.onnx"}),
            child("b", inputs={"q": ["child:a/program", "input:partition"]}),
        ],
        {"a/program": "child:a/program", "rest": "child:b/parts/one", "whole": "child:b/parts/"},
    )
    first, second = expansion.children
    assert first == Action(("//m:x", "split/a"), COMPILE, {"batch": 1}, {"p": Entry(PARTITION, "x.onnx")})
    assert second.inputs == {"q": (Output(("//m:x", "split/a"), "program"), PARTITION)}
    assert expansion.result == {
        "a/program": Output(("//m:x", "split/a"), "program"),
        "rest": Entry(Output(("//m:x", "split/b"), "parts/"), "one"),
        "whole": Output(("//m:x", "split/b"), "parts/"),
    }


def test_an_input_may_be_a_folder_of_a_tree():
    parts = {"p": "input:partition/a/", "q": "child:b/parts/c/d/", "whole": "child:b/parts/"}
    made = read([child(inputs=parts), child("b"), child("m", stage=MORE.ref)], {"some": "child:m/b4/"})
    output = Output(("//m:x", "split/b"), "parts/")
    assert made.children[0].inputs == {"p": Entry(PARTITION, "a/"), "q": Entry(output, "c/d/"), "whole": output}
    assert made.result == {"some": Entry(Result(("//m:x", "split/m")), "b4/")}


def test_a_list_input_is_handed_on_whole():
    (made,) = read([child(inputs={"all": "input:many"})]).children
    assert made.inputs == {"all": (ONE, PARTITION)}


def test_one_of_a_list_is_named_as_in_the_folder_of_a_stage():
    (made,) = read([child(inputs={"one": "input:many.0000", "file": "input:many.0001/x"})]).children
    assert made.inputs == {"one": ONE, "file": Entry(PARTITION, "x")}


def test_children_may_read_what_the_expansion_itself_wrote():
    own = Output(("//m:x", "split"), "dealt/")
    (made,) = read([child(inputs={"all": "output:dealt/", "some": "output:dealt/0/1/"})]).children
    assert made.inputs == {"all": own, "some": Entry(own, "0/1/")}


def test_a_child_that_expands_is_read_by_its_result():
    expansion = read([child("m", stage=MORE.ref)], {"all": "child:m", "one": "child:m/b4/program"})
    inner = Result(("//m:x", "split/m"))
    assert expansion.result == {"all": inner, "one": Entry(inner, "b4/program")}


@pytest.mark.parametrize(
    ("children", "result", "told"),
    [
        ([child(stage="os:system")], {}, "no loaded rule declares the stage 'os:system' of child 'c'"),
        ([child(stage=["x"])], {}, "no loaded rule declares the stage ['x'] of child 'c'"),
        ([child(), child()], {}, "two children are called 'c'"),
        ([child("a/b")], {}, "the child name 'a/b' holds a '/'"),
        ([child("..")], {}, "the name '..' is no path inside a folder"),
        ([{"name": "c"}], {}, "a child has exactly the fields name, stage, params and inputs"),
        ([child(params=[])], {}, "'params' must be an object"),
        (
            [child(inputs={"not a name": "input:partition"})],
            {},
            "the role 'not a name' of child 'c' is no argument name",
        ),
        ([child(inputs={"p": "input:other"})], {}, "'input:other': the expansion has no input 'other'"),
        ([child(inputs={"p": "input:partition/../x"})], {}, "the name '../x' is no path inside a folder"),
        ([child(inputs={"p": "input:partition/../x/"})], {}, "the name '../x' is no path inside a folder"),
        ([child(inputs={"p": "input:partition//"})], {}, "the name '' is no path inside a folder"),
        ([child(inputs={"p": "input:partition/x//"})], {}, "the name 'x/' is no path inside a folder"),
        ([child(inputs={"p": "child:c/parts/./"})], {}, "the name '.' is no path inside a folder"),
        ([child(inputs={"p": "input:single/x"})], {}, "'input:single/x': the input 'single' is a single file"),
        ([child(inputs={"p": "input:many/x"})], {}, "'input:many/x': the input 'many' is a list"),
        ([child(inputs={"p": "input:many.0002"})], {}, "'input:many.0002': the expansion has no input 'many.0002'"),
        ([child(inputs={"p": "input:many.x"})], {}, "'input:many.x': the expansion has no input 'many.x'"),
        (
            [child(inputs={"p": "input:single.0000"})],
            {},
            "'input:single.0000': the expansion has no input 'single.0000'",
        ),
        ([child(inputs={"p": "output:other"})], {}, "'output:other': stage 'split' has no output 'other'"),
        ([child(inputs={"p": "output:dealt/../x"})], {}, "the name '../x' is no path inside a folder"),
        (
            [child(inputs={"p": "/etc/passwd"})],
            {},
            "'/etc/passwd' is neither input:<role>, output:<name> nor child:<name>/<output>",
        ),
        ([child(inputs={"p": 3})], {}, "3 is neither input:<role>, output:<name> nor child:<name>/<output>"),
        ([child(inputs={"p": "child:d/program"})], {}, "'child:d/program': there is no child 'd'"),
        ([child(inputs={"p": "child:c/program"})], {}, "these children wait for each other: split/c"),
        ([child()], {"x": "child:c/nothing"}, "'child:c/nothing': stage 'compile' has no output 'nothing'"),
        ([child()], {"x": "child:c"}, "'child:c': stage 'compile' has no output ''"),
        ([child()], {"/x": "child:c/program"}, "the name '/x' is no path inside a folder"),
        ([child()], {"a/../../x": "child:c/program"}, "the name 'a/../../x' is no path inside a folder"),
    ],
)
def test_what_is_not_allowed_is_named(children, result, told):
    with pytest.raises(BadExpansion) as caught:
        read(children, result)
    prefix = "//m:x: expansion.json of 'split' (m.split:split) is not valid: "
    assert caught.value.sentence == prefix + told


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b'{"children": [], "result": []}', b'{"result": {}}'])
def test_a_file_of_another_form_is_refused(data):
    with pytest.raises(BadExpansion):
        read_expansion(PARENT, data, STAGES)


def test_numbers_that_no_key_can_hold_are_refused():
    with pytest.raises(BadExpansion, match="NaN is no JSON number"):
        read([child(params={"x": float("nan")})])
