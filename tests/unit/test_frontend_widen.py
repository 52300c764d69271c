"""Narrow integers become types that an NPU's graph holds, and every number stays what it was."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from onnx import TensorProto, helper
from quantised import float_run

from axbuild.toolchain.frontend.load import load
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify
from axbuild.toolchain.frontend.support import UnsupportedModelError
from frontend_world import model, node, normal, op_types, place

F, U8, I8, U16, I16, U32, I32 = (
    getattr(TensorProto, name) for name in ("FLOAT", "UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32")
)
CONV = node("Conv", ["f", "w"], ["y"], name="conv")


def typed(nodes, source=F, target=F, weights=None, shape=(1, 3, 4, 5)):
    made = model(nodes, {"w": normal(2, 3, 3, 3), **(weights or {})}, inputs=(("x", list(shape)),))
    made.graph.input[0].type.tensor_type.elem_type = source
    made.graph.output[0].type.tensor_type.elem_type = target
    return made


def simplified(proto, folder):
    return simplify(load(place(proto, folder / "in")), OptimizeParams()).proto


def cast(source, target, to):
    return node("Cast", [source], [target], name=target, to=to)


def dtype(kind):
    return helper.tensor_dtype_to_np_dtype(kind)


MODELS = {
    "pictures": (typed([cast("x", "f", F), CONV], U8), F, F, ["Conv"]),
    "signed": (typed([cast("x", "f", F), CONV], I8), F, F, ["Conv"]),
    "moved pictures": (
        typed(
            [node("Transpose", ["x"], ["t"], name="t", perm=[0, 3, 1, 2]), cast("t", "f", F), CONV],
            U16,
            shape=(1, 4, 5, 3),
        ),
        F,
        F,
        ["Transpose", "Conv"],
    ),
    "padded pictures": (
        typed(
            [node("Pad", ["x", "ends", "fill"], ["p"], name="p"), cast("p", "f", F), CONV],
            U8,
            weights={"ends": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "fill": np.uint8(7)},
        ),
        I32,
        F,
        ["Pad", "Cast", "Conv"],
    ),
    "32 bits": (typed([cast("x", "f", F), CONV], U32), TensorProto.INT64, F, ["Cast", "Conv"]),
    "compared": (
        typed([node("Equal", ["x", "k"], ["m"], name="m"), cast("m", "f", F), CONV], U8, weights={"k": np.uint8(3)}),
        I32,
        F,
        ["Equal", "Cast", "Conv"],
    ),
    "cut off inside": (typed([cast("x", "a", U8), cast("a", "f", F), CONV]), F, F, ["Cast", "Cast", "Conv"]),
    "wider": (
        typed([cast("x", "a", I16), cast("a", "b", I32), cast("b", "f", F), CONV], U8),
        I32,
        F,
        ["Cast", "Conv"],
    ),
    "a picture comes out": (typed([cast("x", "f", F), CONV, cast("y", "z", I16)], U8, I16), F, I32, ["Conv", "Cast"]),
}
MODELS["a picture comes out"][0].graph.output[0].name = "z"


@pytest.mark.parametrize("name", MODELS)
def test_what_only_moves_is_widened_and_every_number_stays(name, tmp_path):
    before, source, target, expected = MODELS[name]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        after = simplified(before, tmp_path)
    assert op_types(after) == expected
    kinds = [value.type.tensor_type.elem_type for value in (*after.graph.input, *after.graph.output)]
    assert kinds == [source, target]
    kind, dims = before.graph.input[0].type.tensor_type.elem_type, before.graph.input[0].type.tensor_type.shape.dim
    x = np.random.default_rng(3).integers(0, 9, [dim.dim_value for dim in dims]).astype(dtype(kind))
    (wanted,), (found,) = float_run(before, {"x": x}), float_run(after, {"x": x.astype(dtype(source))})
    assert found.dtype == dtype(target)
    np.testing.assert_allclose(found.astype(np.float64), wanted.astype(np.float64), rtol=1e-5, atol=1e-4)
    if kind == U8 and source == F:
        assert "'x' of the model was uint8 and is float32 here, with the same numbers" in [
            item.message.sentence for item in told
        ]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (typed([node("Add", ["x", "k"], ["a"]), cast("a", "f", F), CONV], U8, weights={"k": np.uint8(200)}), "uint8"),
        (typed([cast("x", "f", F), CONV], TensorProto.UINT64), "input 'x' is uint64"),
        (typed([cast("x", "a", U8), cast("a", "f", F), CONV], U16), "input 'x' is uint16"),
    ],
    ids=["what wraps", "64 bits", "cut to fewer bits"],
)
def test_an_input_whose_numbers_could_change_is_refused(given, sentence, tmp_path):
    with pytest.raises(UnsupportedModelError) as error:
        simplified(given, tmp_path)
    assert sentence in str(error.value)


def test_a_constant_that_others_read_as_it_is_keeps_its_type(tmp_path):
    scale = np.array(0.5, np.float32)
    nodes = [
        node("Max", ["x", "k"], ["m"], name="m"),
        cast("m", "f", F),
        node("DequantizeLinear", ["k", "scale"], ["d"], name="d"),
        node("Add", ["f", "d"], ["y"], name="add"),
    ]
    before = typed(nodes, U8, weights={"k": np.uint8(5), "scale": scale})
    after = simplified(before, tmp_path)
    x = np.arange(60).reshape(1, 3, 4, 5)
    np.testing.assert_array_equal(float_run(after, {"x": x.astype(np.int32)})[0], np.maximum(x, 5) + 2.5)
