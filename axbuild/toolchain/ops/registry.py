"""Which ops have an integer form: the rows of `registry.json`, op_type -> where the op stands.

An op is loaded when it is first asked for. So the code of a stage that reads a model is what this model's operators
need, which the front end lists beside it, and an op that joins the table changes no key of a model without it.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path

import onnx_ir as ir

from axbuild.toolchain.named import DOMAIN
from axbuild.toolchain.ops.base import Op


@cache
def _places() -> dict[str, str]:
    places: dict[str, str] = json.loads(Path(__file__).with_name("registry.json").read_bytes())
    return places


@cache
def op_called(op_type: str) -> Op | None:
    """The op of an ONNX operator of the default domain; None where it has no integer form."""
    place = _places().get(op_type)
    if place is None:
        return None
    module, _, name = place.partition(":")
    op = getattr(import_module(module), name)()
    if not isinstance(op, Op):
        raise TypeError(f"'{place}' is no op")
    return op


def op_of(node: ir.Node) -> Op | None:
    """The node's op; None where the operator has no integer form."""
    return op_called(node.op_type) if node.domain in ("", "ai.onnx", DOMAIN) else None


def all_ops() -> dict[str, Op]:
    """op_type -> op, of all there are, by name."""
    return {name: op for name in sorted(_places()) if (op := op_called(name)) is not None}
