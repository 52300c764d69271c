"""Layer rules: which operators their words select, which of them wins, and what is said of them in front."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantised import Net, loaded, quantised

from axbuild.errors import AxNote, AxWarning
from axbuild.toolchain.graph import origins_of
from axbuild.toolchain.quant.precision import LayerConfig, Selection
from axbuild.toolchain.quant.select import SelectParams, select
from axbuild.toolchain.quant.selectors import LayerConfigError
from frontend_world import optimized

WHOLE = {"start_tensor_names": ("DEFAULT",), "end_tensor_names": ("DEFAULT",)}


def residual():
    """a = Conv(x), r = Relu(a), b = Conv(r), s = Add(b, r), y = Conv(s)"""
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3)
    n.add("Relu", ["a"], "r")
    n.conv("r", "b", 4, 4)
    n.add("Add", ["b", "r"], "s")
    n.conv("s", "y", 4, 4)
    return n.model("y")


def silu_net():
    """Two SiLUs as exporters write them, a Mul and a Sigmoid of their own, a LayerNormalization in its own pieces."""
    n = Net(1, 4, 8)
    n.add("MatMul", ["x", n.weight("w", 8, 8)], "m")
    for source, made in (("m", "first"), ("first", "second")):
        n.add("Sigmoid", [source], f"{made}_gate")
        n.add("Mul", [source, f"{made}_gate"], made)
    n.add("Sigmoid", ["second"], "alone")
    n.add("Mul", ["alone", "x"], "scaled")
    n.add("ReduceMean", ["scaled", n.constant("axes", np.array([-1]))], "mean")
    n.add("Sub", ["scaled", "mean"], "d")
    n.add("Mul", ["d", "d"], "square")
    n.add("ReduceMean", ["square", "axes"], "variance")
    n.add("Add", ["variance", n.constant("e", 1e-5)], "above")
    n.add("Sqrt", ["above"], "root")
    n.add("Div", ["d", "root"], "y")
    return n.model("y")


@pytest.fixture(scope="module")
def patterns(tmp_path_factory) -> ir.Graph:
    return loaded(optimized(silu_net(), tmp_path_factory.mktemp("patterns"))).graph


def names(graph, *rules: LayerConfig) -> list[list[str]]:
    return [[node.name for match in matches for node in match.nodes] for matches in Selection.of(graph, rules).matches]


@pytest.mark.parametrize(
    ("rule", "selected"),
    [
        ({"layer_name": "b"}, ["b"]),
        ({"layer_names": ("y", "a")}, ["y", "a"]),
        ({"op_type": "Add"}, ["s"]),
        ({"op_types": ("Relu", "Add")}, ["r", "s"]),
        ({"op_type": "AxQuantizedConv"}, ["a", "b", "y"]),
        ({"op_type": "relu"}, ["r"]),
        ({"start_tensor_names": ("r",), "end_tensor_names": ("s",)}, ["b", "s"]),
        ({"start_tensor_names": ("DEFAULT",), "end_tensor_names": ("r",)}, ["a", "r"]),
        ({"start_tensor_names": ("s",), "end_tensor_names": ("DEFAULT",)}, ["y"]),
        (WHOLE, ["a", "r", "b", "s", "y"]),
    ],
)
def test_each_selector_selects_just_its_operators(rule, selected):
    assert names(loaded(residual()).graph, LayerConfig(**rule, data_type="U16")) == [selected]


@pytest.mark.parametrize(
    ("rule", "wide"),
    [
        ({"layer_name": "b"}, {"b"}),
        ({"layer_names": ("y", "a")}, {"y", "a"}),
        ({"op_type": "Add"}, {"s"}),
        ({"op_types": ("Conv",)}, {"a", "b", "y"}),
        ({"start_tensor_names": ("r",), "end_tensor_names": ("s",)}, {"b", "s"}),
        (WHOLE, {"a", "b", "s", "y"}),
    ],
)
def test_just_the_selected_operators_read_16_bits(rule, wide):
    samples = [{"x": np.random.default_rng(seed).normal(size=(1, 3, 8, 8)).astype(np.float32)} for seed in range(4)]
    records = quantised(residual(), samples, rules=[LayerConfig(**rule, data_type="U16")]).records
    inputs = {"a": "x", "b": "r", "s": "b", "y": "s"}
    assert {node for node, tensor in inputs.items() if records[node][tensor]["bit_width"] == 16} == wide


@pytest.mark.parametrize("spelling", ["Silu", "SiLU", "Swish", "AxSwish"])
def test_a_pattern_is_selected_by_its_names(patterns, spelling):
    ((match,),) = Selection.of(patterns, [LayerConfig(op_type=spelling, data_type="U16")]).matches
    assert [(node.op_type, origins_of(node)) for node in match.nodes] == [
        ("Swish", ["first", "first_gate"]), ("Swish", ["second", "second_gate"]),
    ]  # fmt: skip


@pytest.mark.parametrize("spelling", ["LayerNormalization", "LayerNorm", "layer_norm", "AxQuantizedLayerNorm"])
def test_a_normalisation_in_pieces_is_one_operator(patterns, spelling):
    ((found,),) = names(patterns, LayerConfig(op_type=spelling, data_type="U16"))
    assert [node.op_type for node in patterns if node.name == found] == ["LayerNormalization"]


def test_a_type_that_stands_by_itself_too_leaves_the_patterns_alone_and_says_so(patterns):
    ((match,),) = Selection.of(patterns, [LayerConfig(op_type="Sigmoid", data_type="U16")]).matches
    assert [node.name for node in match.nodes] == ["alone"]
    assert match.about == "not the Sigmoid inside 2 Swish"


def test_a_type_that_stands_in_patterns_alone_selects_these(patterns):
    ((match,),) = Selection.of(patterns, [LayerConfig(op_type="ReduceMean", data_type="U16")]).matches
    assert [node.op_type for node in match.nodes] == ["LayerNormalization"]
    assert match.about == "1 LayerNormalization, which ReduceMean is a part of"


def test_a_name_of_the_users_model_selects_the_pattern_that_the_node_went_into(patterns):
    for user in ("first_gate", "first"):
        ((match,),) = Selection.of(patterns, [LayerConfig(layer_name=user, data_type="U16")]).matches
        assert [node.op_type for node in match.nodes] == ["Swish"]


@pytest.mark.parametrize(
    ("rule", "sentence", "hint"),
    [
        ({"layer_name": "bb"}, "a layer rule is for the operator 'bb', and the model has none", "did you mean b?"),
        ({"op_type": "Sub"}, "a layer rule is for operators of type Sub, and the model has none",
         "it has Add, Conv, Relu"),
        ({"op_types": ("Add", "Convv")}, "a layer rule is for operators of type Convv, and the model has none",
         "did you mean Conv?"),
        ({"start_tensor_names": ("zz",), "end_tensor_names": ("y",)},
         "a layer rule is for the tensor 'zz', and the model has none", ""),
        ({"start_tensor_names": ("y",), "end_tensor_names": ("x",)}, "a layer rule has no operator between y and x",
         "start_tensor_names come before end_tensor_names"),
    ],
)  # fmt: skip
def test_a_selector_that_selects_nothing_is_an_error_with_the_nearest_names(rule, sentence, hint):
    with pytest.raises(LayerConfigError) as caught:
        Selection.of(loaded(residual()).graph, [LayerConfig(**rule, data_type="U16")])
    assert (caught.value.sentence, caught.value.hint) == (sentence, hint)


def test_nearest_names_are_those_of_patterns_and_of_what_went_into_them(patterns):
    for wrong, near in (("Swishh", "Swish"), ("ReduceMeen", "ReduceMean"), ("first_gato", "first_gate")):
        rule = LayerConfig(layer_name=wrong) if "_" in wrong else LayerConfig(op_type=wrong)
        with pytest.raises(LayerConfigError) as caught:
            Selection.of(patterns, [rule])
        assert near in caught.value.hint


def test_an_operator_where_a_tensor_is_asked_for_is_an_error():
    n = Net(1, 4)
    n.add("Relu", ["x"], "r")
    n.nodes[0].name = "relu_1"
    n.add("Sigmoid", ["r"], "y")
    rule = LayerConfig(start_tensor_names=("relu_1",), end_tensor_names=("y",), data_type="U16")
    with pytest.raises(LayerConfigError) as caught:
        Selection.of(loaded(n.model("y")).graph, [rule])
    assert caught.value.sentence == "a layer rule begins or ends at 'relu_1', which is an operator and no tensor"
    assert caught.value.hint == "it writes 'r'; layer_name takes operators"


def test_an_operator_wins_over_its_type_that_over_a_sub_graph_and_that_over_the_whole_model():
    graph = loaded(residual()).graph
    rules = [
        LayerConfig(layer_name="a", data_type="U8"),
        LayerConfig(op_type="Conv", data_type="S16"),
        LayerConfig(start_tensor_names=("r",), end_tensor_names=("s",), data_type="U16"),
        LayerConfig(**WHOLE, data_type="S8"),
    ]
    for given in (rules, rules[::-1]):
        selection = Selection.of(graph, given)
        assert {node.name: selection.precision(node).data.name for node in graph} == {
            "a": "U8", "r": "S8", "b": "S16", "s": "U16", "y": "S16",
        }  # fmt: skip


def test_a_node_that_stands_by_itself_and_went_into_a_pattern_too_is_selected_by_itself():
    graph = loaded(residual()).graph
    pattern = next(node for node in graph if node.name == "s")
    pattern.metadata_props["axbuild.origins"] = '["b", "s"]'
    assert names(graph, LayerConfig(layer_name="b", data_type="U16")) == [["b"]]
    assert names(graph, LayerConfig(layer_name="s", data_type="U16")) == [["s"]]


def test_the_name_of_one_operator_wins_over_that_of_a_users_node_which_became_several():
    graph = loaded(residual()).graph
    several = [node for node in graph if node.name in ("a", "r")]
    for node in several:
        node.metadata_props["axbuild.origins"] = '["a"]'
    whole, one = LayerConfig(layer_name="a", data_type="U16"), LayerConfig(layer_name="r", data_type="S16")
    for given in ([whole, one], [one, whole]):
        selection = Selection.of(graph, given)
        assert [selection.precision(node).data.name for node in several] == ["U16", "S16"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"op_type": "Conv"}, {"op_types": ("Add", "Conv")}),
        ({"layer_name": "b"}, {"layer_names": ("b", "y")}),
        (WHOLE, WHOLE),
        (
            {"start_tensor_names": ("x",), "end_tensor_names": ("s",)},
            {"start_tensor_names": ("r",), "end_tensor_names": ("y",)},
        ),
    ],
)
def test_two_rules_of_one_rank_that_contradict_each_other_are_an_error(first, second):
    graph = loaded(residual()).graph
    with pytest.raises(LayerConfigError) as caught:
        Selection.of(graph, [LayerConfig(**first, data_type="U16"), LayerConfig(**second, data_type="S16")])
    assert "two layer rules of equal rank are for '" in caught.value.sentence
    assert caught.value.sentence.endswith("one asks for U16, the other for S16")
    Selection.of(graph, [LayerConfig(**first, data_type="U16"), LayerConfig(**second, data_type="U16")])


@pytest.mark.parametrize(("rule", "more"), [({"op_type": "Conv"}, " and 2 more"), ({"layer_name": "a"}, "")])
def test_fp32_is_refused_by_conv_which_can_have_it_as_output(rule, more):
    with pytest.raises(LayerConfigError) as caught:
        Selection.of(loaded(residual()).graph, [LayerConfig(**rule, data_type="FP32")])
    assert caught.value.sentence == f"FP32 is asked for 'a' (Conv){more}, and Conv computes on codes"
    assert caught.value.hint == (
        'its output can be FP32: { op_type = "Conv", data_type = "U8", output_data_type = "FP32" }'
    )


def test_what_is_selected_is_told_as_a_table_and_kept(tmp_path):
    onnx.save(residual(), tmp_path / "m.onnx")
    rules = (
        LayerConfig(op_type="Add", data_type="U16"),
        LayerConfig(layer_name="y", data_type="S16", weight_data_type="S16", output_data_type="FP32"),
        LayerConfig(op_type="Conv", data_type="U8", output_data_type="U16"),
    )
    with pytest.warns(AxWarning) as told:
        select(tmp_path / "m.onnx", tmp_path, params=SelectParams(rules))
    lines = [
        "Layer Config Table",
        "Op Type / Layer name  Precision                      Operators",
        "Add                   U16                            1",
        "y                     S16, weights S16, output FP32  1",
        "Conv                  U8, output U16                 3, 1 of them by another rule",
    ]
    assert [item.message.sentence for item in told] == lines
    assert all(isinstance(item.message, AxNote) for item in told)
    assert (tmp_path / "layer_config_table.txt").read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("apart", "found"), [(False, "1, 1 of them on the exact sums of the operator before"), (True, "1")]
)
def test_the_table_says_what_is_computed_along_with_another_operator(tmp_path, apart, found):
    onnx.save(residual(), tmp_path / "m.onnx")
    rules = (LayerConfig(op_type="Relu", data_type="U16"),)
    with pytest.warns(AxNote):
        select(tmp_path / "m.onnx", tmp_path, params=SelectParams(rules, disable_quant_optimization=apart))
    assert (tmp_path / "layer_config_table.txt").read_text().splitlines()[-1].split("  ")[-1] == found


def test_what_has_no_effect_is_warned_of(tmp_path):
    onnx.save(residual(), tmp_path / "m.onnx")
    rules = (
        LayerConfig(op_types=("Add", "Relu"), data_type="U16", output_data_type="FP32"),
        LayerConfig(start_tensor_names=("b",), end_tensor_names=("s",), data_type="S8"),
    )
    with pytest.warns(AxWarning) as told:
        select(tmp_path / "m.onnx", tmp_path, params=SelectParams(rules))
    assert [item.message.sentence for item in told if item.message.code == "AX364"] == [
        "output_data_type of the layer rule for Add; Relu is ignored by 2 operators (Add, Relu): the output of all "
        "but convolutions has the type that its readers ask for",
        "the layer rule for b -> s has no effect: other rules decide all that it selects",
    ]
