"""Facts that stand in one place: element types, what a kind is, what an operator is called."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from axbuild.toolchain.kinds.codes import CODES

TOP = Path(__file__).resolve().parents[2]
TOOLCHAIN = TOP / "axbuild" / "toolchain"
BOUNDS = {bound for kind in CODES for bound in (kind.hi, -kind.hi)} - {-255, -65535}
DTYPES = {kind.dtype for kind in CODES}


@cache
def trees() -> dict[str, ast.Module]:
    return {path.relative_to(TOOLCHAIN).as_posix(): ast.parse(path.read_text()) for path in TOOLCHAIN.rglob("*.py")}


def nodes(kind: type[ast.AST], but: tuple[str, ...] = ()):
    for name, tree in trees().items():
        if not name.startswith(but):
            yield from ((name, node) for node in ast.walk(tree) if isinstance(node, kind))


def test_ranges_of_codes_and_names_of_their_dtypes_stand_with_the_element_types():
    """`data` reads pictures and `wire` varints, which are bytes whatever a model is quantised to."""
    found = [
        f"{name}:{node.lineno} {node.value!r}"
        for name, node in nodes(ast.Constant, but=("kinds/codes.py", "data/", "axmodel/wire.py", "frontend/wire.py"))
        if (type(node.value) is int and node.value in BOUNDS) or (isinstance(node.value, str) and node.value in DTYPES)
    ]
    assert found == []


def test_nobody_asks_which_kind_a_kind_is():
    found = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name, node in nodes(ast.Call)
        if ast.unparse(node.func) == "isinstance" and ast.unparse(node.args[0]).split(".")[-1] == "kind"
    ]
    assert found == []


def test_operators_are_known_by_name_to_ops_and_rewrites_only():
    found = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name, node in nodes(ast.Compare, but=("ops/", "frontend/", "rewrites/"))
        if ast.unparse(node.left).endswith("op_type")
        and any(isinstance(leaf, ast.Constant) and leaf.value for side in node.comparators for leaf in ast.walk(side))
    ]
    assert found == []
