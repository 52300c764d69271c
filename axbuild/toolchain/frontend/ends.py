"""A model cut to size: inputs made constant, tensors made inputs or outputs, and other names for both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto

from axbuild.errors import AxError
from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.light import LightModel, is_large
from axbuild.toolchain.frontend.nested import graphs_of, reads_of
from axbuild.toolchain.frontend.shapes import Stated, shown_shape, stated_shape
from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.near import near_names


@dataclass(frozen=True)
class Ends:
    """What a BUILD file says of a model's ends, in the file's own names.

    input_shapes: input -> its shape, where the model leaves one open or another one is wanted.
    fix: input -> the number, or nested list of numbers, that it always is.
    inputs, outputs: tensors that the model begins and ends at; its own where none are named.
    rename: input or output -> its name from then on.
    """

    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fix: dict[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)


WHOLE = Ends()


class EndsError(AxError):
    """`fix`, `inputs`, `outputs` or `rename` does not fit the model."""

    code = "AX311"


def unknown(attribute: str, name: str, known: Iterable[str], what: str) -> EndsError:
    """The error for a name that the model does not have, with the nearest ones."""
    known = list(known)
    near = near_names(name, known)
    few = list(known)[:5]
    hint = f"did you mean {_either(near)}?" if near else f"it has {', '.join(few)}" if few else ""
    return EndsError(f"{attribute} names '{name}', and the model has no {what} of that name", hint=hint)


def _either(names: Iterable[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


# Cuts ---------------------------------------------------------------------------------------------------------------


def cut(model: LightModel, ends: Ends) -> None:
    """Leave what leads from `inputs` to `outputs`, in place; raises EndsError."""
    if ends.inputs or ends.outputs:
        _Cut(model, ends).run()


class _Cut:
    def __init__(self, model: LightModel, ends: Ends) -> None:
        self.model = model
        self.ends = ends
        graph = model.proto.graph
        self.makers = {name: node for node in graph.node for name in node.output if name}
        self.own = {value.name: value for value in model.inputs}
        self.constant = {*model.weights, *(tensor.name for tensor in graph.initializer)}
        self.types: dict[str, ValueInfoProto] = {}

    def run(self) -> None:
        graph = self.model.proto.graph
        for attribute in ("inputs", "outputs"):
            for name in getattr(self.ends, attribute):
                if name not in self.makers and name not in self.own:
                    raise unknown(attribute, name, [*self.makers, *self.own], "tensor")
        self.types = {value.name: value for value in (*_inferred(self.model), *graph.output, *graph.input)}
        outputs = [self._value(name) for name in self.ends.outputs] or list(graph.output)
        nodes, read = self._needed([value.name for value in outputs])
        inputs = [self._value(name) for name in self._inputs(nodes, read)]
        self._detach(nodes)
        _replace(graph.node, nodes)
        _replace(graph.output, outputs)
        _replace(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in read])
        weights = [value for value in graph.input if value.name in self.model.weights and value.name in read]
        self.model.weights = {name: array for name, array in self.model.weights.items() if name in read}
        _replace(graph.input, [*inputs, *weights])

    def _value(self, name: str) -> ValueInfoProto:
        """The tensor with its type; float32 where inference does not know it."""
        value = ValueInfoProto(name=name)
        if name in self.types:
            value.CopyFrom(self.types[name])
        else:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
        return value

    def _needed(self, outputs: list[str]) -> tuple[list[NodeProto], set[str]]:
        """(the nodes behind `inputs` that `outputs` follow from, all that these and the outputs read)."""
        begins = set(self.ends.inputs)
        read, waiting, kept = set(outputs), list(outputs), set()
        while waiting:
            name = waiting.pop()
            node = self.makers.get(name)
            if node is None or name in begins or id(node) in kept:
                continue
            kept.add(id(node))
            fresh = set(reads_of(node)) - read
            read |= fresh
            waiting += fresh
        return [node for node in self.model.proto.graph.node if id(node) in kept], read

    def _inputs(self, nodes: list[NodeProto], read: set[str]) -> list[str]:
        if not self.ends.inputs:
            return [name for name in self.own if name in read]
        for name in self.ends.inputs:
            if name not in read:
                raise EndsError(
                    f"inputs names '{name}', which no output of the model follows from",
                    hint="leave it out, or name an output behind it in `outputs`",
                )
        for name in self.own:
            if name in read and name not in self.ends.inputs and name not in self.ends.fix:
                reader = next((node for node in nodes if name in set(reads_of(node))), None)
                where = f": node '{reader.name}' ({reader.op_type}) reads it" if reader else ""
                raise EndsError(
                    f"what `inputs` names does not cover the model's input '{name}'{where}",
                    hint=f"add '{name}' to `inputs`, or give it a value with `fix`",
                )
        return [*self.ends.inputs, *(name for name in self.own if name in read and name in self.ends.fix)]

    def _detach(self, nodes: list[NodeProto]) -> None:
        """A node with several outputs may stay although one of them is an input now: that one gets another name."""
        for node in nodes:
            for index, name in enumerate(node.output):
                if name in self.ends.inputs:
                    node.output[index] = f"{name}.before"


def _inferred(model: LightModel) -> list[ValueInfoProto]:
    with door(lambda said: EndsError(f"the types of the model's tensors cannot be inferred: {said}")):
        return list(onnx.shape_inference.infer_shapes(model.proto).graph.value_info)


def _replace(items: Any, kept: list[Any]) -> None:
    """Of a repeated field; the copies are taken first, since clearing it empties what it held."""
    copies = [type(item).FromString(item.SerializeToString()) for item in kept]
    del items[:]
    items.extend(copies)


# Constants ----------------------------------------------------------------------------------------------------------


def freeze(model: LightModel, fix: Mapping[str, Any]) -> None:
    """Make the inputs of `fix` constants, in place. Their shapes are settled, except that of a list: it has one."""
    graph = model.proto.graph
    inputs = {value.name: value for value in model.inputs}
    for name, given in fix.items():
        value = inputs[name]
        array = _constant(name, given, value)
        graph.input.remove(value)
        if is_large(array.nbytes):
            model.move_out(name, array, value.type.tensor_type.elem_type)
        else:
            graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    if fix and not model.inputs:
        raise EndsError("fix makes every input of the model constant", hint="leave one as it is")


def wanted_shapes(model: LightModel, ends: Ends) -> dict[str, Shape]:
    """`input_shapes`, and the shapes of the lists in `fix`."""
    inputs = {value.name: value for value in model.inputs}
    found = dict(ends.input_shapes)
    for name, given in ends.fix.items():
        if name not in inputs:
            raise unknown("fix", name, inputs, "input")
        shape, stated = _array(name, given).shape, stated_shape(inputs[name])
        if shape and not (_agree(shape, stated) and _agree(shape, found.get(name))):
            expected = shown_shape(found.get(name, stated or ()))
            raise EndsError(f"fix gives '{name}' a list of shape {list(shape)}, and the model's input is {expected}")
        if shape:
            found[name] = shape
    return found


def _array(name: str, given: Any) -> Array:
    with door(lambda _: EndsError(f"fix gives '{name}' lists of different lengths")):
        array: Array = np.array(given)
    return array


def _constant(name: str, given: Any, value: ValueInfoProto) -> Array:
    array, shape = _array(name, given), stated_shape(value)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    if not _fits(array, dtype):
        raise EndsError(f"fix gives '{name}' {_as_written(given)}, and the model's input is {dtype}")
    return np.broadcast_to(array, tuple(map(int, shape or ()))).astype(dtype)


def _fits(array: Array, dtype: np.dtype[Any]) -> bool:
    """Whether every number given is one of the type: no fraction in integers, and no number for true."""
    if dtype == np.bool_ or array.dtype == np.bool_:
        return array.dtype == dtype
    if array.dtype.kind not in "iuf":
        return False
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        return array.dtype.kind in "iu" and bool((array >= bounds.min).all() and (array <= bounds.max).all())
    return True


def _as_written(given: Any) -> str:
    return {True: "true", False: "false"}[given] if isinstance(given, bool) else str(given)[:60]


def _agree(shape: Shape, stated: Stated | None) -> bool:
    if stated is None:
        return True
    known = zip(shape, stated, strict=False)
    return len(shape) == len(stated) and all(isinstance(item, str) or item == size for size, item in known)


# Names --------------------------------------------------------------------------------------------------------------


def renamed(model: LightModel, names: Mapping[str, str]) -> None:
    """Give inputs and outputs their new names, in place; raises EndsError."""
    graph = model.proto.graph
    ends = {value.name for value in (*model.inputs, *graph.output)}
    taken = {*ends, *model.weights, *_all_names(graph)} - set(names)
    for old, new in names.items():
        if old not in ends:
            raise unknown("rename", old, ends, "input or output")
        if not new or new in taken:
            raise EndsError(
                f"rename gives '{old}' the name '{new}', which " + ("another tensor has" if new else "is none")
            )
        taken.add(new)
    if names:
        _rename(graph, names)


def _all_names(graph: GraphProto) -> Iterator[str]:
    yield from (tensor.name for tensor in graph.initializer)
    for node in graph.node:
        yield from node.output
        for inner in graphs_of(node):
            yield from _all_names(inner)


def _rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for ends in (node.input, node.output):
            new = [names.get(name, name) for name in ends]
            del ends[:]
            ends.extend(new)
        for inner in graphs_of(node):
            _rename(inner, names)
