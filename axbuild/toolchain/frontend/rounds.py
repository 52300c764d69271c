"""How often a Loop runs whose body computes its condition from nothing but constants and its counter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, ValueInfoProto

from axbuild.toolchain.frontend.check import run
from axbuild.toolchain.frontend.light import LightModel, array_of
from axbuild.toolchain.frontend.nested import reads_of
from axbuild.toolchain.graph import IR_VERSION, OPSET, Array

Constants = Mapping[str, Array]


class DecidedLaterError(Exception):
    """Why a node's course is not known, in words that follow its name."""


def single(array: Array, name: str) -> Any:
    """The one number or truth value of a tensor; DecidedLaterError where it has none, or several."""
    if array.size != 1:
        raise DecidedLaterError(f"takes '{name}' as one value, and it holds {array.size}")
    return array.reshape(-1)[0]


def rounds_of(body: GraphProto, begins: Sequence[Array | None], outer: Constants, most: int) -> int | None:
    """How many rounds it takes until the condition is false, at most `most`; None where data decides. Raises
    DecidedLaterError where the condition is no single truth value.

    begins: the states' first values, None for one that is computed. outer: constants around the body.
    """
    counter, condition, *states = (value.name for value in body.input)
    ends, *follow = (value.name for value in body.output)
    following = dict(zip(states, follow, strict=False))
    values = {name: array for name, array in zip(states, begins, strict=False) if array is not None}
    constants = {**outer, **{tensor.name: array_of(tensor) for tensor in body.initializer}}
    while True:
        nodes, known = _computable(body, {counter, condition, *values, *constants})
        if not (lost := [name for name in values if following[name] not in known]):
            break
        values = {name: array for name, array in values.items() if name not in lost}
    if ends not in known:
        return None
    if ends in _computable(body, {*constants})[1]:
        goes_on = (constants | _made(nodes, constants, {ends}))[ends]
        return most if single(goes_on, ends) else min(most, 1)
    for done in range(most):
        given = constants | values | {counter: np.array(done, np.int64), condition: np.array(True)}
        made = given | _made(nodes, given, {ends, *(following[name] for name in values)})
        if not single(made[ends], ends):
            return done + 1
        values = {name: made[following[name]] for name in values}
    return most


def _computable(body: GraphProto, known: set[str]) -> tuple[list[NodeProto], set[str]]:
    """The nodes of ONNX that read nothing but what is known or follows from it, and all that is known then."""
    nodes = []
    for node in body.node:
        if not node.domain and known.issuperset(reads_of(node)):
            nodes.append(node)
            known = known | set(node.output)
    return nodes, known


def _made(nodes: list[NodeProto], given: Constants, wanted: set[str]) -> dict[str, Array]:
    """Those of the tensors `wanted` that the nodes make."""
    made = {name for node in nodes for name in node.output}
    read = {name: given[name] for node in nodes for name in reads_of(node) if name in given}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in read.items()
    ]
    outputs = [ValueInfoProto(name=name) for name in sorted(wanted & made)]
    if not outputs:
        return {}
    graph = onnx.helper.make_graph(nodes, "step", inputs, outputs)
    opset = onnx.helper.make_opsetid("", OPSET)
    return run(LightModel(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)), read)
