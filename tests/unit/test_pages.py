"""Generated pages: the committed ones are current, the example is a working BUILD file, the schema accepts both."""

import json
import re

import jsonschema
import pytest
import rtoml
from onnx import helper

from axbuild.graph.layout import lay_out
from axbuild.graph.targets import load
from axbuild.report.pages import PAGES, main
from axbuild.workspace.rulepack import load_rules, standard_folder
from axbuild.workspace.workspace import Workspace

EXAMPLE, REFERENCE, SCHEMA, _, OPERATORS, *_ = PAGES
TOP = standard_folder().parent
OPTIONAL = re.compile(r"#: (.*?)(?:  # an example.*)?\n")
OTHERWISE = ("subgraphs", "input_sample_dir")
"""attributes that take the place of one that the example has"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_committed_page_is_what_the_rules_say(page):
    assert page.path.read_text() == page.render(), "run `make docs`"


def test_the_check_names_a_stale_page(capsys):
    assert main(["--check"]) == 0
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def laid_out(tmp_path, text):
    (tmp_path / "axbuild.toml").touch()
    (tmp_path / "BUILD.toml").write_text(text)
    empty = helper.make_model(helper.make_graph([], "g", [], []))
    for name in ("mobilenetv2.onnx", "quant_axmodel.onnx"):
        (tmp_path / name).write_bytes(empty.SerializeToString())
    (tmp_path / "imagenet-32-images.tar").touch()
    data = {"tensor_name": "DEFAULT", "calibration_dataset": "imagenet-32-images.tar"}
    config = {"input": "mobilenetv2.onnx", "quant": {"input_configs": [data]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "quant.lock").touch()
    (tmp_path / "quant.lock.scheme").touch()
    (tmp_path / "pictures").mkdir(exist_ok=True)
    (tmp_path / "pictures" / "a.png").touch()
    return lay_out(load(Workspace.find(tmp_path, environ={}), ["//..."]))


def test_the_example_is_a_build_file_with_every_rule_and_attribute(tmp_path):
    text = EXAMPLE.render()
    rules = load_rules(None).rules
    assert {target.rule for target in laid_out(tmp_path, text)} == {name for name in rules if not rules[name].expansion}
    for rule in rules.values():
        section = text.partition(f"[[{rule.name}]]")[2].partition("\n[[")[0]
        for name in rule.attributes:
            assert re.search(rf"^(#: )?{name} = ", section, re.MULTILINE), (rule.name, name)


def test_every_optional_line_of_the_example_may_be_written(tmp_path):
    text = EXAMPLE.render()
    choices = [match.span() for match in OPTIONAL.finditer(text) if not match[1].startswith(OTHERWISE)]
    assert len(choices) > 15
    for start, end in choices:
        line = OPTIONAL.fullmatch(text, start, end)[1]
        whole = text[:start] + line + "\n" + text[end:]
        if line.startswith("cosine"):
            whole = whole.replace('level = "close"', 'level = "cosine"')
        laid_out(tmp_path, whole)


def test_the_schema_is_one_and_accepts_the_example_and_the_zoo():
    schema = json.loads(SCHEMA.render())
    jsonschema.Draft202012Validator.check_schema(schema)
    standard = set(schema["properties"])
    builds = [TOP / EXAMPLE.name, *sorted((TOP / "examples").glob("*/*/BUILD.toml"))]
    assert len(builds) >= 15
    for path in builds:
        tables = rtoml.loads(path.read_text())
        own_rules = {name: table for name, table in tables.items() if name in standard}
        jsonschema.validate(own_rules, schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "text",
    [
        '[[quant_modle]]\nname = "a"\n',
        '[[check]]\nlevel = "equal"\n',
        '[[check]]\nname = "a"\nlevle = "equal"\n',
        '[[check]]\nname = "a"\nlevel = "even"\n',
        '[[axmodel]]\nname = "a"\nstatic_batch_sizes = [0]\n',
        '[[axmodel]]\nname = "a"\ninput_processors = [{ src_dtype = "U9" }]\n',
        '[[float_model]]\nname = "a"\ninput_shapes = { x = [1.5] }\n',
        "[defaults.chekc]\n",
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(text):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(rtoml.loads(text), json.loads(SCHEMA.render()), jsonschema.Draft202012Validator)


def test_the_reference_has_a_row_for_every_attribute():
    text = REFERENCE.render()
    for rule in load_rules(None).rules.values():
        section = text.partition(f"## {rule.name}\n")[2].partition("\n## ")[0]
        for name, attribute in rule.attributes.items():
            assert f"| `{name}` |" in section
            assert attribute.about.replace("|", "\\|") in section


def test_the_operator_page_states_the_very_sentences_of_the_errors():
    from axbuild.report.operators import _link
    from axbuild.toolchain.ops.registry import all_ops

    text = OPERATORS.render()
    assert all(f"| {_link(name)} |" in text for name in all_ops())
    assert all(limit.sentence in text for op in all_ops().values() for limit in op.limits)
