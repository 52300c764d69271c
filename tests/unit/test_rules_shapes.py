"""What the rules lay out for further input shapes, and what they refuse."""

from __future__ import annotations

import pytest

from axbuild.errors import AxError
from axbuild.workspace.artifact import Output
from rules_world import AXMODEL, CHAIN, CHECK, TWO_INPUTS, layer

BATCHES = "".join(
    f'[[npu_subgraph]]\nname = "{name}"\nquant = ":quant"\nbatch = {batch}\n{shapes}'
    for name, batch, shapes in (("a", 1, ""), ("b", 2, ""), ("c", 1, "shapes = { x = [1, 3, 9, 9] }\n"))
)


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


def extra(groups):
    return AXMODEL + f"src_extra_shapes = {groups}\n"


def test_a_group_starts_at_the_source_and_takes_the_scheme(lay):
    actions, targets = lay(CHAIN + extra("[{ x = [1, 3, 9, 9] }]") + "npu_perf = true\n" + CHECK)
    again = actions["axmodel", "optimize_shape_1"]
    assert again.inputs["model"] == actions["float", "optimize"].inputs["model"]
    assert again.params["shapes"] == {"x": [1, 3, 9, 9]}
    assert again.params["front"] == actions["float", "optimize"].params
    assert actions["axmodel", "quantize_shape_1"].inputs["scheme"] == Output(
        ("//m:quant", "calibrate"), "scheme.msgpack"
    )
    assert {"axmodel", "check"} == {target for target, name in actions if name.endswith("_shape_1")}
    assert {"compiler_shape_1/", "compiler_shape_1/partition.json", "compiler_shape_1/debug/"} < set(
        targets["axmodel"].outputs
    )
    assert list(targets["check"].outputs) == ["verdict.json", "verdict_shape_1.json"]
    assert len(targets["check"].verdicts) == 2


def test_what_the_models_own_shape_is_built_from_is_the_same_with_groups(lay):
    plain, _ = lay(CHAIN + AXMODEL)
    grouped, _ = lay(CHAIN + extra("[{ x = [1, 3, 9, 9] }]"))
    own = {id_: action for id_, action in grouped.items() if not id_[1].endswith("_shape_1")}
    assert own.keys() == plain.keys()
    assert all(own[id_].inputs == plain[id_].inputs for id_ in plain if id_[1] != "fuse")
    assert all(own[id_].params == plain[id_].params for id_ in plain)


def test_pictures_are_decoded_at_the_other_size_and_arrays_fitted(lay):
    actions, _ = lay(TWO_INPUTS + extra("[{ a = [1, 3, 9, 9] }]") + CHECK)
    assert actions["check", "decode_a_shape_1"].params["part"] is True
    assert actions["check", "fit_b_shape_1"].params == {"input": "b", "apart": []}
    about = actions["check", "compare_shape_1"].params["part"]
    assert (
        about == "shape group 1 (a 1x3x9x9; on the pictures at that size and on the arrays repeated or cut off to it)"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (extra("[{}]"), "src_extra_shapes has a group that names no input"),
        (extra("[{ x = [1, 3, 9, 9] }, { x = [1, 3, 9, 9] }]"), "src_extra_shapes has the same shapes twice"),
        (BATCHES + '[[axmodel]]\nname = "m"\nsubgraphs = [":c"]\n',
         "no subgraphs are of the model's own shape"),
        (BATCHES + '[[axmodel]]\nname = "m"\nsubgraphs = [":a", ":b", ":c"]\n',
         "the subgraphs of shapes { x = [1, 3, 9, 9] } are of batch 1, and the others 1, 2"),
        (BATCHES + '[[axmodel]]\nname = "m"\nsubgraphs = [":a"]\nsrc_extra_shapes = [{ x = [1] }]\n',
         "src_extra_shapes has no effect beside 'subgraphs'"),
    ],
)  # fmt: skip
def test_groups_that_make_no_sense_are_refused(lay, text, sentence):
    with pytest.raises(AxError) as caught:
        lay(CHAIN + text)
    assert sentence in caught.value.sentence
