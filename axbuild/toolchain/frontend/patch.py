"""Stage: a float model with attributes of operators and values of constants as a BUILD file says, in its own names."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import NodeProto

from axbuild.errors import AxNote
from axbuild.toolchain.frontend.attributes import OpPatch, PatchError, set_attribute
from axbuild.toolchain.frontend.constants import NamedConstants, values_of
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.load import only_model, read
from axbuild.toolchain.frontend.naming import name_nodes
from axbuild.toolchain.frontend.nested import all_nodes
from axbuild.toolchain.frontend.save import save
from axbuild.toolchain.near import did_you_mean


@dataclass(frozen=True)
class ConstantPatch:
    """The vendor's ConstProcessor. name: of a constant tensor; form: "npy", "bin" or "txt" where a file has its values,
    "" where `data` has."""

    name: str
    data: Any = None
    form: str = ""


@dataclass(frozen=True)
class PatchParams:
    op_processors: tuple[OpPatch, ...] = ()
    const_processors: tuple[ConstantPatch, ...] = ()


def patch(model: Path, values: list[Path], out: Path, *, params: PatchParams) -> None:
    """`model`: a folder with one .onnx and its external data; values: a file for each const_processor that has a form.
    Writes patched/, as `save` does, and notes what was changed. Raises PatchError.
    """
    whole = read(only_model(model))
    name_nodes(whole.proto.graph.node)
    files = iter(values)
    contents = [next(files).read_bytes() if one.form else b"" for one in params.const_processors]
    for sentence in (
        *_operators(whole, params.op_processors),
        *_constants(whole, params.const_processors, contents),
    ):
        warnings.warn(AxNote(sentence), stacklevel=1)
    save(whole, out / "patched")


def _operators(model: LightModel, processors: Sequence[OpPatch]) -> list[str]:
    nodes: dict[str, list[NodeProto]] = {}
    for node in all_nodes(model.proto):
        nodes.setdefault(node.name, []).append(node)
    opsets = {entry.domain: entry.version for entry in model.proto.opset_import}
    told = []
    for one in processors:
        found = nodes.get(one.op_name, [])
        if len(found) != 1:
            many = f"{len(found)} are called so" if found else "the model has none of that name"
            sentence = f"op_processors is for the operator '{one.op_name}', and {many}"
            raise PatchError(sentence, hint="" if found else did_you_mean(one.op_name, nodes))
        (node,) = found
        opset = opsets.get(node.domain) or opsets.get("ai.onnx" if not node.domain else "", 1)
        told += [set_attribute(node, name, value, opset) for name, value in one.attrs.items()]
    return told


def _constants(model: LightModel, processors: Sequence[ConstantPatch], contents: Sequence[bytes]) -> list[str]:
    constants = NamedConstants(model)
    return [
        constants.replace(one.name, values_of(one.name, one.data, one.form, content))
        for one, content in zip(processors, contents, strict=True)
    ]
