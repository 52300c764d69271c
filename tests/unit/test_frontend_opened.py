"""Operators that others make up: Einsum as the product it stands for, and what ONNX itself defines by a function."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.open_standard import OPENED
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify
from axbuild.toolchain.rewrites.open_einsum import OpenEinsum
from frontend_world import assert_same_results, model, node, op_types, rewritten

SIZES = dict(zip("bhijdnk", (2, 3, 4, 5, 6, 7, 4), strict=True))


def einsum(equation: str, constant: int | None = None):
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    shapes = [[SIZES[label] for label in term] for term in terms]
    weights = {} if constant is None else {f"x{constant}": np.random.default_rng(0).normal(size=shapes[constant])}
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    inputs = [(f"x{i}", shape) for i, shape in enumerate(shapes) if i != constant]
    given = node("Einsum", [f"x{i}" for i in range(len(terms))], ["y"], name="n", equation=equation)
    return model([given], weights, inputs=inputs)


@pytest.mark.parametrize(
    ("equation", "constant", "made"),
    [
        ("bhid,bhjd->bhij", None, ["Transpose", "MatMul"]),
        ("bhij,bhjd->bhid", None, ["MatMul"]),
        ("bhid, bhjd -> bihj", None, ["Transpose", "MatMul", "Transpose"]),
        ("bijd,hd->bijh", 1, ["MatMul"]),
        ("hd,bijd->bijh", 0, ["MatMul"]),
        ("bihd,hdk->bik", 1, ["Reshape", "MatMul"]),
        ("bhij,bihd->bhjd", None, ["Transpose", "Transpose", "MatMul"]),
        ("bd,bd->b", None, ["Reshape", "Reshape", "MatMul", "Reshape"]),
        ("bi,j->bij", None, ["Reshape", "Reshape", "Mul"]),
        ("bij,bj->bij", None, ["Reshape", "Mul"]),
        ("ij,jk", None, ["MatMul"]),
        ("bij->bji", None, ["Transpose"]),
        ("bij->bi", None, ["ReduceSum"]),
        ("bijd,bnd->bin", None, ["ReduceSum", "Transpose", "MatMul"]),
        ("bij->bij", None, ["Identity"]),
    ],
)
def test_einsum_is_the_product_it_stands_for(equation, constant, made):
    before = einsum(equation, constant)
    after, _ = rewritten(OpenEinsum(), before)
    assert op_types(after) == made
    assert_same_results(before, after)


@pytest.mark.parametrize(
    ("equation", "reason"),
    [
        ("b...d,dn->b...n", "Einsum has an ellipsis"),
        ("ij,jk,kd->id", "Einsum has more than two operands"),
        ("bii->bi", "Einsum takes a diagonal"),
    ],
)
def test_other_equations_stay_with_a_reason(equation, reason):
    terms = {"b...d,dn->b...n": [[2, 3, 6], [6, 7]], "bii->bi": [[2, 4, 4]]}.get(equation, [[4, 5], [5, 4], [4, 6]])
    given = node("Einsum", [f"x{i}" for i in range(len(terms))], ["y"], name="n", equation=equation)
    before = model([given], inputs=[(f"x{i}", shape) for i, shape in enumerate(terms)])
    _, reasons = rewritten(OpenEinsum(), before)
    assert reasons == {"n": reason}


@pytest.mark.parametrize("name", OPENED)
def test_what_onnx_defines_by_a_function_is_opened(name):
    before = model([node(name, ["x"], ["y"], name="n")], inputs=(("x", [1, 3, 4, 5]),))
    after = simplify(LightModel(before), OptimizeParams()).proto
    assert name not in op_types(after)
    assert_same_results(before, after)


def test_nothing_that_has_no_better_form_is_opened():
    """Shrink and its like would become several operators on the CPU instead of one."""
    before = model([node("Shrink", ["x"], ["y"], name="n")])
    assert op_types(simplify(LightModel(before), OptimizeParams()).proto) == ["Shrink"]
