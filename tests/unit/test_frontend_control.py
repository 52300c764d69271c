"""Control flow whose course is constant, sequences that fold away, and what is refused of both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.frontend.control import MAX_ROUNDS
from axbuild.toolchain.frontend.optimize import OptimizeParams, optimize
from axbuild.toolchain.frontend.support import UnsupportedModelError
from frontend_world import assert_same_results, model, node, normal, op_types, optimized, origins

value = helper.make_tensor_value_info
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64


def branch(name, nodes, output):
    return helper.make_graph(nodes, name, [], [value(output, FLOAT, None)])


def choice(condition="c", **more):
    """If(c; Relu(x), Sigmoid(x)), both branches naming their tensor and node alike."""
    return node(
        "If",
        [condition],
        ["y"],
        name="choice",
        then_branch=branch("then", [node("Relu", ["x"], ["t"], name="act")], "t"),
        else_branch=branch("else", [node("Sigmoid", ["x"], ["t"], name="act")], "t"),
        **more,
    )


@pytest.mark.parametrize(("condition", "kept"), [(True, "Relu"), (False, "Sigmoid")])
def test_the_branch_of_a_constant_condition_is_the_graph_with_its_nodes_names(tmp_path, condition, kept):
    before = model([choice()], {"c": np.array(condition)})
    after = optimized(before, tmp_path)
    assert [(item.op_type, item.name) for item in after.graph.node] == [(kept, "act_1" if condition else "act")]
    assert [origins(item) for item in after.graph.node] == [[["act"]] if condition else []]
    assert_same_results(before, after, tolerance=0.0)


def test_a_condition_that_follows_from_a_shape_is_constant(tmp_path):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "three"], ["w"]),
        node("Less", ["w", "nine"], ["c"]),
        choice(),
    ]
    assert op_types(optimized(model(nodes, {"three": np.array(3), "nine": np.array(9)}), tmp_path)) == ["Relu"]


def test_a_condition_that_a_fixed_input_decides_is_constant(tmp_path):
    nodes = [node("Equal", ["rate", "high"], ["c"]), choice()]
    proto = model(nodes, {"high": np.array(16000)})
    proto.graph.input.append(value("rate", INT64, []))
    after = optimized(proto, tmp_path, params=OptimizeParams(fix={"rate": 16000}))
    assert op_types(after) == ["Relu"]
    assert [item.name for item in after.graph.input] == ["x"]


def test_a_condition_that_data_decides_is_refused_with_its_node_and_the_way_out(tmp_path):
    nodes = [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Greater", ["m", "zero"], ["c"]), choice()]
    with pytest.raises(UnsupportedModelError) as caught:
        optimized(model(nodes, {"zero": np.float32(0)}), tmp_path)
    assert caught.value.sentence == (
        "If x1 ('choice') chooses its branch by a condition that is computed while the model runs"
    )
    assert caught.value.hint.startswith("freeze what decides it with `fix`, or cut the model with `outputs`")


def loop(trips="n", condition="", keeps="held", body=()):
    """y, seen = Loop(n, x): a = sin(a) + its counter; every a is collected."""
    nodes = [
        *body,
        node("Cast", ["i"], ["f"], to=FLOAT),
        node("Sin", ["a"], ["p"], name="wave"),
        node("Add", ["p", "f"], ["b"]),
        node("Identity", ["b"], ["each"]),
        node("Identity", [keeps], ["goes_on"]),
    ]
    graph = helper.make_graph(
        nodes,
        "body",
        [value("i", INT64, []), value("held", BOOL, []), value("a", FLOAT, None)],
        [value("goes_on", BOOL, []), value("b", FLOAT, None), value("each", FLOAT, None)],
    )
    return node("Loop", [trips, condition, "x"], ["y", "seen"], name="loop", body=graph)


WEIGHTS = {"n": np.array(3)}


def test_a_loop_of_constant_length_is_written_out(tmp_path):
    before = model([loop()], WEIGHTS, outputs=("y", "seen"))
    after = optimized(before, tmp_path)
    waves = [item for item in after.graph.node if item.op_type == "Sin"]
    assert [item.name for item in waves] == ["wave_1", "wave_2", "wave_3"]
    assert [origins(item) for item in waves] == [[["wave"]]] * 3
    assert "Loop" not in op_types(after)
    assert_same_results(before, after, tolerance=1e-6)


ENDS = {
    "by its counter": [node("Less", ["i", "two"], ["on"])],
    "by a constant of its body": [
        node("Constant", [], ["on"], value_ints=[0]),
        node("Cast", ["on"], ["cast"], to=BOOL),
    ],
    "by what follows from its counter": [
        node("Mul", ["i", "i"], ["square"]),
        node("Less", ["square", "two"], ["less"]),
        node("And", ["less", "held"], ["on"]),
    ],
}


@pytest.mark.parametrize("trips", ["", "n"])
@pytest.mark.parametrize(("ends", "rounds"), [*zip(ENDS, (3, 1, 3), strict=True)])
def test_a_loop_that_computes_its_end_from_constants_is_written_out(tmp_path, ends, rounds, trips):
    keeps = ENDS[ends][-1].output[0]
    weights = {"n": np.array(9), "two": np.array(2)}
    before = model([loop(trips, keeps=keeps, body=ENDS[ends])], weights, outputs=("y", "seen"))
    after = optimized(before, tmp_path)
    assert op_types(after).count("Sin") == rounds
    assert_same_results(before, after, tolerance=1e-6)


def test_narrow_integers_inside_a_branch_are_widened_like_others(tmp_path):
    """Rounded to 8 bits inside of a branch, as a scripted model may have it."""
    inside = [
        node("Clip", ["x", "lo", "hi"], ["c"], name="clip"),
        node("Cast", ["c"], ["b"], name="narrow", to=TensorProto.UINT8),
        node("Transpose", ["b"], ["m"], name="move", perm=[0, 2, 3, 1]),
        node("Cast", ["m"], ["t"], name="back", to=FLOAT),
    ]
    other = [node("Transpose", ["x"], ["t"], name="other", perm=[0, 2, 3, 1])]
    chosen = node(
        "If",
        ["c0"],
        ["y"],
        name="choice",
        then_branch=branch("then", inside, "t"),
        else_branch=branch("else", other, "t"),
    )
    before = model([chosen], {"c0": np.array(True), "lo": np.float32(0), "hi": np.float32(9)})
    after = optimized(before, tmp_path)
    kinds = {value.name: value.type.tensor_type.elem_type for value in after.graph.value_info}
    assert TensorProto.UINT8 not in kinds.values()
    assert TensorProto.INT32 in kinds.values()
    assert_same_results(before, after, tolerance=0.0)


def test_a_loop_that_carries_its_limit_along_is_written_out(tmp_path):
    """As torch writes `while left > 0: left -= 2; x = sin(x)`."""
    nodes = [
        node("Sub", ["left", "two"], ["less"]),
        node("Sin", ["a"], ["b"], name="wave"),
        node("Greater", ["less", "none"], ["goes_on"]),
    ]
    inputs = [value("i", INT64, []), value("held", BOOL, []), value("left", INT64, []), value("a", FLOAT, None)]
    outputs = [value("goes_on", BOOL, []), value("less", INT64, []), value("b", FLOAT, None)]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    weights = {"five": np.array(5), "two": np.array(2), "none": np.array(0)}
    repeated = node("Loop", ["", "", "five", "x"], ["rest", "y"], name="loop", body=body)
    before = model([repeated], weights)
    after = optimized(before, tmp_path)
    assert op_types(after) == ["Sin"] * 3
    assert_same_results(before, after, tolerance=1e-6)


def test_a_loop_that_never_runs_hands_its_state_through(tmp_path):
    nodes = [loop(), node("Relu", ["y"], ["z"])]
    assert op_types(optimized(model(nodes, WEIGHTS | {"n": np.array(0)}, outputs=("z",)), tmp_path)) == ["Relu"]


@pytest.mark.parametrize(
    ("repeated", "weights", "reason"),
    [
        (loop(), {"n": np.array(MAX_ROUNDS + 1)}, f"runs {MAX_ROUNDS + 1} times, and at most {MAX_ROUNDS} are written"),
        (loop(trips="count"), {}, "has no constant number of rounds"),
        (
            loop(
                keeps="small", body=[node("ReduceMax", ["a"], ["t"], keepdims=0), node("Less", ["t", "one"], ["small"])]
            ),
            {"one": np.float32(1)},
            "decides in its body, by data, when it ends",
        ),
        (loop(trips=""), {}, "never ends"),
        (
            loop(trips="", keeps="small", body=[node("Less", ["i", "n"], ["small"])]),
            {"n": np.array(MAX_ROUNDS)},
            f"runs more than {MAX_ROUNDS} times",
        ),
        (loop(condition="begin"), {}, "begins by a condition that is computed while the model runs"),
    ],
    ids=["long", "count", "while", "for ever", "long while", "begin"],
)
def test_a_loop_of_no_known_course_is_refused_with_the_reason(tmp_path, repeated, weights, reason):
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["count"], to=INT64),
        node("Cast", ["m"], ["begin"], to=BOOL),
        repeated,
    ]
    with pytest.raises(UnsupportedModelError, match=rf"Loop x1 \('loop'\) {reason}"):
        optimized(model(nodes, WEIGHTS | weights), tmp_path)


@pytest.mark.parametrize("attributes", [{}, {"scan_input_axes": [1], "scan_output_axes": [1]}], ids=["first", "second"])
@pytest.mark.parametrize("backwards", [0, 1])
def test_a_scan_is_written_out_slice_by_slice(tmp_path, attributes, backwards):
    body = helper.make_graph(
        [node("Add", ["s", "e"], ["t"]), node("Relu", ["t"], ["o"])],
        "body",
        [value("s", FLOAT, [4]), value("e", FLOAT, [4])],
        [value("t", FLOAT, [4]), value("o", FLOAT, [4])],
    )
    scan = node(
        "Scan",
        ["zero", "x"],
        ["last", "y"],
        body=body,
        num_scan_inputs=1,
        scan_input_directions=[backwards],
        scan_output_directions=[1 - backwards],
        **attributes,
    )
    shape = [3, 4] if not attributes else [4, 3]
    before = model([scan], {"zero": np.zeros(4, np.float32)}, inputs=(("x", shape),), outputs=("last", "y"))
    after = optimized(before, tmp_path)
    assert "Scan" not in op_types(after)
    assert_same_results(before, after, tolerance=1e-6)


def test_sequences_of_constant_course_fold_away(tmp_path):
    nodes = [
        node("SplitToSequence", ["x", "one"], ["parts"], axis=1),
        node("SequenceAt", ["parts", "zero"], ["a"]),
        node("SequenceAt", ["parts", "two"], ["b"]),
        node("Add", ["a", "b"], ["y"]),
    ]
    before = model(nodes, {"one": np.array(1), "zero": np.array(0), "two": np.array(2)})
    after = optimized(before, tmp_path)
    assert not [name for name in op_types(after) if "Sequence" in name]
    assert_same_results(before, after, tolerance=0.0)


def test_a_sequence_that_stays_is_named(tmp_path):
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["i"], to=INT64),
        node("SequenceConstruct", ["x", "x"], ["parts"], name="pack"),
        node("SequenceErase", ["parts", "i"], ["rest"], name="drop"),
        node("SequenceAt", ["rest", "zero"], ["y"]),
    ]
    with pytest.raises(UnsupportedModelError, match=r"SequenceConstruct x1 \('pack'\), .* makes a sequence"):
        optimized(model(nodes, {"zero": np.array(0)}), tmp_path)


def test_constants_inside_a_branch_are_weights_like_others(tmp_path):
    weight = numpy_helper.from_array(normal(16, 3, 3, 3), "w")
    then = branch("then", [node("Conv", ["x", "w"], ["t"], name="conv")], "t")
    then.initializer.append(weight)
    other = branch("else", [node("Relu", ["x"], ["e"])], "e")
    before = model([node("If", ["c"], ["y"], then_branch=then, else_branch=other)], {"c": np.array(True)})
    after = optimized(before, tmp_path)
    assert [(item.op_type, item.name) for item in after.graph.node] == [("Conv", "conv")]
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("trips", "condition", "said"),
    [
        (np.zeros(0, np.int64), np.array(True), "takes 'n' as one value, and it holds 0"),
        (np.array([3, 3]), np.array(True), "takes 'n' as one value, and it holds 2"),
        (np.array(3), np.zeros((2, 0), bool), "takes 'c' as one value, and it holds 0"),
    ],
)
def test_a_loop_whose_course_is_no_single_value_is_refused_in_words(tmp_path, trips, condition, said):
    before = model([loop(condition="c")], {"n": trips, "c": condition}, outputs=("y", "seen"))
    with pytest.raises(AxError, match=said):
        optimized(before, tmp_path)


def test_a_condition_computed_in_the_body_that_is_no_single_value_is_refused_in_words(tmp_path):
    body = [node("Constant", [], ["none"], value=numpy_helper.from_array(np.zeros(0, bool)))]
    before = model([loop(keeps="none", body=body)], WEIGHTS, outputs=("y", "seen"))
    with pytest.raises(AxError, match="takes 'goes_on' as one value, and it holds 0"):
        optimized(before, tmp_path)


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_damaged_control_flow_is_a_users_error_or_another_model(tmp_path_factory, data):
    loops = model([loop()], WEIGHTS, outputs=("y", "seen"))
    proto = data.draw(st.sampled_from([model([choice()], {"c": np.array(True)}), loops]))
    content = bytearray(proto.SerializeToString())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "m.onnx").write_bytes(content)
    code = 2
    try:
        optimize(folder, folder, params=OptimizeParams())
    except AxError as error:
        code = exit_code_of(error.code)
    assert code == 2
