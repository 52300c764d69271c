"""quant_op_processors: attributes of the quantised model's own operators."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from quantised import Net, quantised, session

from axbuild.errors import AxError
from axbuild.toolchain.frontend.attributes import OpPatch
from axbuild.toolchain.quant.patch import OpPatchError, patch
from axbuild.toolchain.quant.verify import verify


def pooled(tail: str = "") -> onnx.ModelProto:
    n = Net(1, 3, 8, 8)
    n.conv("x", "c", 4, 3)
    n.add("MaxPool", ["c"], "p", kernel_shape=[2, 2], strides=[2, 2])
    n.add(tail or "Relu", ["p"], "r")
    n.add("Flatten", ["r"], "f")
    return quantised(n.model("f"), n.samples()).model


def shape_of(model: onnx.ModelProto, name: str) -> list[int]:
    infos = (*model.graph.value_info, *model.graph.output)
    return next([dim.dim_value for dim in info.type.tensor_type.shape.dim] for info in infos if info.name == name)


def test_shapes_follow_what_is_overwritten():
    model = pooled()
    before = {info.name: shape_of(model, info.name) for info in model.graph.value_info}
    patches = [OpPatch("p", {"strides": [1, 1]}), OpPatch("f", {"shape": [-1, 196]})]
    patch(model, patches)
    verify(model)
    onnx.checker.check_model(model)
    assert shape_of(model, "f") == [1, 196]
    assert {name for name, shape in before.items() if shape_of(model, name) != shape} == {"r", "f/codes"}
    x = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    assert session(model, "optimisation on").run(None, {"x": x})[0].shape == (1, 196)


def test_a_body_that_nobody_has_any_more_is_left_out():
    model = pooled()
    overloads = {function.overload for function in model.functions if function.name == "AxMaxPool"}
    patch(model, [OpPatch("p", {"pads": [1, 1, 1, 1], "strides": [3, 3]}), OpPatch("f", {"shape": [-1, 36]})])
    assert len([function for function in model.functions if function.name == "AxMaxPool"]) == len(overloads)
    verify(model)


@pytest.mark.parametrize(
    ("one", "sentence", "hint"),
    [
        (OpPatch("pp", {"strides": [1, 1]}),
         "quant_op_processors is for the operator 'pp', and the quantised model has none", "did you mean p?"),
        (OpPatch("p", {"ceil_mode": 0}),
         "quant_op_processors sets 'ceil_mode' of 'p', and AxMaxPool has no such attribute", "it has "),
        (OpPatch("f", {"shape": [0, 64]}),
         "Node 'f': AxReshape to (0, 64): only one dimension may be -1, none may be 0.", ""),
        (OpPatch("p", {"strides": [1, 1]}), "AxReshape cannot lay (1, 4, 7, 7) out as (-1, 64).", ""),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(one, sentence, hint):
    with pytest.raises(AxError) as caught:
        patch(pooled(), [one])
    assert caught.value.sentence == sentence
    assert caught.value.hint.startswith(hint)


def test_shapes_do_not_follow_into_float_operators():
    with pytest.raises(OpPatchError) as caught:
        patch(pooled("Softsign"), [OpPatch("p", {"strides": [1, 1]})])
    assert caught.value.sentence.endswith("which the float operator 'r' (Softsign) reads")
    with pytest.raises(OpPatchError) as caught:
        patch(pooled("Softsign"), [OpPatch("r", {"strides": [1, 1]})])
    assert caught.value.sentence == (
        "quant_op_processors is for 'r', which is a float operator (Softsign); it patches quantised ones"
    )


def test_constants_stay_as_they_are():
    model = pooled()
    before = {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in model.graph.initializer}
    patch(model, [OpPatch("c", {"lo": 3})])
    assert {tensor.name: numpy_helper.to_array(tensor).tobytes() for tensor in model.graph.initializer} == before
