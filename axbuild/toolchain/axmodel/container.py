"""The `.axmodel` container: ONNX protobuf in the vendor's public shape, with axbuild's own program inside.

Nothing in it can be taken for a vendor binary: producer `axbuild`, metadata `axbuild.backend` = `axref/1`, graph
info of type `AxRefNpu`, node version 1000, programs with a magic of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PRODUCER = "axbuild"
BACKEND = "axref/1"
GRAPH_TYPE = "AxRefNpu"
VERSION = 1000
NODE_TYPE = "neu mode"
PARAMS, DYN_PARAMS = "npu_params", "npu_dyn_params"
OPSET, IR_VERSION = 18, 10

LAYOUTS = ("", "NHWC", "NCHW")
COLORS = ("", "GRAY", "BGR", "RGB")
"""The place in the list is the number in `extra_data`."""
MODES = ("NPU1", "NPU2", "NPU3")
DTYPES = {"float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "uint32": 12}
"""numpy's name -> ONNX's element type"""
SHORT_DTYPES = {
    "float32": "FP32",
    "uint8": "U8",
    "int8": "S8",
    "uint16": "U16",
    "int16": "S16",
    "int32": "S32",
    "uint32": "U32",
}

META_BACKEND = "axbuild.backend"
META_CHIP = "axbuild.target_hardware"
META_MODE = "axbuild.npu_mode"
META_SOURCES = "axbuild.sources"
META_DIGEST = "axbuild.digest"
META_EXTRA = "extra_data"


@dataclass(frozen=True)
class Tensor:
    """A tensor at a boundary. shape: for one sample, batch dimension 1; dtype: numpy's name.

    layout ("NHWC", "NCHW") and color ("GRAY", "BGR", "RGB") of an image input, "" elsewhere.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str = ""
    color: str = ""


@dataclass(frozen=True)
class Subgraph:
    """inputs, outputs: tensor names in the order of the programs' ports; programs: batch -> encoded, linked program."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    programs: dict[int, bytes] = field(hash=False)

    def key(self, batch: int) -> str:
        """Name of the initialiser that holds the program of a batch."""
        return f"{self.name}_b{batch}_neu"


@dataclass(frozen=True)
class Container:
    """Everything in a compiled model.

    chip_number: what `extra_data` calls the chip, from its file; inner: tensors between subgraphs;
    params: the parameter constant that all programs share;
    sources: name -> SHA-256 of what it was fused from.
    """

    target_hardware: str
    chip_number: int
    npu_mode: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    inner: tuple[Tensor, ...]
    subgraphs: tuple[Subgraph, ...]
    params: bytes
    sources: dict[str, str] = field(hash=False)

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor at a boundary by name."""
        return {tensor.name: tensor for tensor in (*self.inputs, *self.inner, *self.outputs)}

    def batches(self) -> tuple[int, ...]:
        """Batches that every subgraph was compiled for, ascending."""
        common = set.intersection(*(set(subgraph.programs) for subgraph in self.subgraphs))
        return tuple(sorted(common))
