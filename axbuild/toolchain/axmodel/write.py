"""Container -> bytes of an `.axmodel` file; the same container is the same bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from onnx import ModelProto, TensorProto, helper

from axbuild.errors import AxError
from axbuild.toolchain.axmodel import wire
from axbuild.toolchain.axmodel.compression import compressed
from axbuild.toolchain.axmodel.container import (
    BACKEND,
    COLORS,
    DYN_PARAMS,
    IR_VERSION,
    LAYOUTS,
    META_BACKEND,
    META_CHIP,
    META_COMPRESSED,
    META_DIGEST,
    META_EXTRA,
    META_LAYERS,
    META_MODE,
    META_NAMES,
    META_NOTE,
    META_SAMPLES,
    META_SHOWN_BATCH,
    META_SOURCES,
    MODES,
    NOTE,
    OPSET,
    PARAMS,
    PRODUCER,
    VERSION,
    Container,
    NpuSubgraph,
    Subgraph,
)
from axbuild.toolchain.kinds.codes import type_of_dtype
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor


class UnwritableError(AxError):
    """A compiled model that the container has no place for."""

    code = "AX484"


def write(container: Container) -> bytes:
    """The whole file; raises UnwritableError for a mode without a public number."""
    largest = container.shown_batch
    blobs = {PARAMS: container.params, DYN_PARAMS: b""}
    for subgraph in container.subgraphs:
        blobs |= subgraph.blobs()
    blobs |= container.npu_blobs()
    blobs |= {key: compressed(blobs[key]) for key in container.compressed}
    graph = helper.make_graph(
        [_node(subgraph, container, largest) for subgraph in container.subgraphs],
        "main",
        [_value(tensor, largest) for tensor in container.inputs],
        [_value(tensor, largest) for tensor in container.outputs],
        initializer=[
            helper.make_tensor(key, TensorProto.UINT8, [len(blobs[key])], blobs[key], raw=True) for key in blobs
        ],
        value_info=[
            *(_value(tensor, largest) for tensor in container.inner),
            *(helper.make_tensor_value_info(key, TensorProto.UINT8, [len(blobs[key])]) for key in blobs),
        ],
    )
    model: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    model.producer_name = PRODUCER
    model.doc_string = f"{PRODUCER}\n{BACKEND}"
    for key, value in metadata(container).items():
        model.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString(deterministic=True))


def metadata(container: Container) -> dict[str, str]:
    """What stands in metadata_props; a reader makes it again and compares."""
    sizes = {key: len(blob) for key, blob in container.npu_blobs().items() if key in container.compressed}
    return {
        **({META_COMPRESSED: _json(sizes)} if container.compressed else {}),
        META_EXTRA: base64.b64encode(extra_data(container)).decode(),
        META_BACKEND: BACKEND,
        META_NOTE: NOTE,
        META_CHIP: container.target_hardware,
        META_MODE: container.npu_mode,
        META_SAMPLES: _json(samples_info(container)),
        META_SOURCES: _json(container.sources),
        META_SHOWN_BATCH: str(container.shown_batch),
        META_LAYERS: _json(layers_info(container)),
        META_DIGEST: digest(container),
    } | ({META_NAMES: _json(container.names)} if container.names else {})


def digest(container: Container) -> str:
    """SHA-256 of everything a container says; damage anywhere in it shows."""
    record = {
        "chip": container.target_hardware,
        "number": container.chip_number,
        "mode": container.npu_mode,
        "tensors": [
            [[item.name, item.dtype, item.shape, item.layout, item.color] for item in side]
            for side in (container.inputs, container.inner, container.outputs)
        ],
        "subgraphs": [
            [item.name, item.shape_group, item.inputs, item.outputs, {k: _sha(b) for k, b in item.blobs().items()}]
            for item in container.subgraphs
        ],
        "samples": samples_info(container),
        "layers": layers_info(container),
        "shown_batch": container.shown_batch,
        "params": _sha(container.params),
        "sources": container.sources,
    }
    if container.names:
        record["names"] = container.names
    if container.params_apart:
        record["params_apart"] = _sha(container.params_apart)
    return _sha(_json(record).encode())


def samples_info(container: Container) -> dict[str, Any]:
    """Where samples lie other than side by side along axis 0: tensor -> [axis or null, step of column 0]."""
    found = {tensor.name: [tensor.batch_axis, tensor.sample_step] for tensor in container.tensors().values()}
    return {name: place for name, place in found.items() if place != [0, 0]}


def layers_info(container: Container) -> dict[str, dict[str, str]]:
    """NPU subgraph -> tensor inside its programs -> name in the quantised model."""
    return {subgraph.name: subgraph.layers for subgraph in container.on_npu()}


def extra_data(container: Container) -> bytes:
    """The message that tools of the vendor's world read io, subgraphs, mode and chip from (npu container, 1.3)."""
    if container.npu_mode not in MODES:
        raise UnwritableError(f"the container has no number for {container.npu_mode}; known are {', '.join(MODES)}")
    mode, chip = MODES.index(container.npu_mode), container.chip_number
    message: wire.Message = [(1, _io(tensor)) for tensor in (*container.inputs, *container.outputs)]
    message.append((2, "1"))
    message += [(3, _unit(subgraph)) for subgraph in container.on_npu()]
    message.append((4, wire.encode([(3, mode)] if mode else [])))
    message += [(5, chip)] if chip else []
    return wire.encode(message)


def _io(tensor: BoundaryTensor) -> bytes:
    layout, color = LAYOUTS.index(tensor.layout), COLORS.index(tensor.color)
    return wire.encode([(1, tensor.name), *([(2, layout)] if layout else []), *([(3, color)] if color else [])])


def _unit(subgraph: NpuSubgraph) -> bytes:
    params = wire.encode([(1, "params"), (3, subgraph.params_key)])
    dynamic = wire.encode([(1, "dyn_params"), (2, 2), (10, DYN_PARAMS)])
    units: wire.Message = [
        (10, wire.encode([(1, subgraph.key(batch)), (2, batch), (3, params), (3, dynamic)]))
        for batch in sorted(subgraph.programs)
    ]
    return wire.encode([(1, subgraph.name), *units])


def outputs_info(subgraph: Subgraph, container: Container, batch: int) -> dict[str, Any]:
    """`outputs_info`: tensor -> [name of its type, shape at the largest batch]."""
    tensors = container.tensors()
    return {
        name: [type_of_dtype(tensors[name].dtype).name, list(tensors[name].at_batch(batch))]
        for name in subgraph.outputs
    }


def _node(subgraph: Subgraph, container: Container, batch: int) -> Any:
    name, info = subgraph.attributes
    return helper.make_node(
        subgraph.node_type,
        list(subgraph.inputs),
        list(subgraph.outputs),
        name=subgraph.name,
        outputs_info=_json(outputs_info(subgraph, container, batch)),
        shape_group=subgraph.shape_group,
        version=VERSION,
        **{name: subgraph.name, info: _json(subgraph.info())},
    )


def _value(tensor: BoundaryTensor, batch: int) -> Any:
    shape = [None if size == FROM_DATA else size for size in tensor.at_batch(batch)]
    return helper.make_tensor_value_info(tensor.name, type_of_dtype(tensor.dtype).onnx, shape)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
