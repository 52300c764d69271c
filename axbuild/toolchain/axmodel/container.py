"""The `.axmodel` container: ONNX protobuf in the vendor's public shape, with axbuild's own program inside.

Nothing in it can be taken for a vendor binary: producer `axbuild`, metadata `axbuild.backend` = `axref/1`, graph
info of type `AxRefNpu`, node version 1000, programs with a magic of their own. A subgraph is one node, NPU and CPU
subgraphs in the order in which they run; a node of the CPU names the initialiser that holds its ONNX file, byte for
byte. A model with several shape groups has a column of nodes for each: of group k tensors and nodes are called
`<name>_<k>`, or on from there where that is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.record import CPU, NPU

PRODUCER = "axbuild"
BACKEND = "axref/1"
VERSION = 1000
PARAMS, PARAMS_APART, DYN_PARAMS = "npu_params", "npu_params_apart", "npu_dyn_params"
"""the parameter constants: of all subgraphs, and of those that are compressed in the file where the others are not, or
the other way round"""
OPSET, IR_VERSION = 18, 10

LAYOUTS = ("", "NHWC", "NCHW")
COLORS = ("", "GRAY", "BGR", "RGB", "RGBA", "", "YUV420SP", "YVU420SP", "YUYV422", "UYVY422", "RAW")
"""The place in the list is the number in `extra_data`; 5 is none."""
MODES = ("NPU1", "NPU2", "NPU3")

META_BACKEND = "axbuild.backend"
META_CHIP = "axbuild.target_hardware"
META_MODE = "axbuild.npu_mode"
META_SAMPLES = "axbuild.samples"
META_SOURCES = "axbuild.sources"
META_SHOWN_BATCH = "axbuild.shown_batch"
META_LAYERS = "axbuild.layers"
META_COMPRESSED = "axbuild.compressed"
META_NAMES = "axbuild.names"
META_DIGEST = "axbuild.digest"
META_EXTRA = "extra_data"
META_NOTE = "axbuild.note"
NOTE = "a program of axbuild's simulated reference NPU; not for real hardware"
"""what viewers of ONNX files show among the model's properties"""


@dataclass(frozen=True)
class NpuSubgraph:
    """inputs, outputs: tensor names in the order of the programs' ports; programs: batch -> encoded, linked program;
    layers: tensor inside the programs -> its name in the quantised model; apart: whether its parameters are in the
    second constant."""

    place: ClassVar[str] = NPU
    node_type: ClassVar[str] = "neu mode"
    attributes: ClassVar[tuple[str, str]] = ("neu_name", "npu_graph_info")
    graph_type: ClassVar[str] = "AxRefNpu"

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    programs: dict[int, bytes] = field(hash=False)
    shape_group: int = 0
    layers: dict[str, str] = field(default_factory=dict, hash=False)
    apart: bool = False

    @property
    def params_key(self) -> str:
        """Name of the initialiser that its programs' parameters are in."""
        return PARAMS_APART if self.apart else PARAMS

    def key(self, batch: int) -> str:
        """Name of the initialiser that holds the program of a batch."""
        return f"{self.name}_b{batch}_neu"

    def blobs(self) -> dict[str, bytes]:
        """Initialiser -> its bytes."""
        return {self.key(batch): self.programs[batch] for batch in sorted(self.programs)}

    def info(self) -> dict[str, Any]:
        """`npu_graph_info`: which initialisers hold programs and parameters; they are no inputs of the node."""
        extra = [
            {"name": "params", "type": "DotNeuInputConst", "const_data_key": self.params_key},
            {"name": "dyn_params", "type": "DotNeuInputDynParam", "dyn_param_expr_key": DYN_PARAMS},
        ]
        units = [{"neu_key": self.key(batch), "batch": batch, "extra_inputs": extra} for batch in sorted(self.programs)]
        return {"name": self.name, "type": self.graph_type, "dotneus": units}

    @property
    def alone(self) -> bool:
        """Whether samples run one by one, whatever the batch."""
        return set(self.programs) == {1}


@dataclass(frozen=True)
class CpuSubgraph:
    """inputs, outputs: tensor names in the order of the file's own; content: the ONNX file, for one sample."""

    place: ClassVar[str] = CPU
    node_type: ClassVar[str] = "cpu mode"
    attributes: ClassVar[tuple[str, str]] = ("cpu_name", "cpu_graph_info")
    graph_type: ClassVar[str] = "OnnxCpu"

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: bytes
    shape_group: int = 0

    @property
    def key(self) -> str:
        """Name of the initialiser that holds the file."""
        return f"{self.name}_onnx"

    def blobs(self) -> dict[str, bytes]:
        return {self.key: self.content}

    def info(self) -> dict[str, Any]:
        """`cpu_graph_info`: which initialiser holds the file."""
        return {"name": self.name, "type": self.graph_type, "onnx_key": self.key}


Subgraph = NpuSubgraph | CpuSubgraph


@dataclass(frozen=True)
class Container:
    """Everything in a compiled model.

    chip_number: what `extra_data` calls the chip, from its file; inner: tensors between subgraphs; subgraphs: in run
    order; params: the parameter constant that programs share; params_apart: the second one; sources: name -> SHA-256
    of what it was fused from;
    names: tensor of a further shape group -> what the model calls it;
    shown_batch: what the file's shapes show, the largest of `batches` or, where these are dynamic, a larger one.
    compressed: which initialisers are compressed in the file; stored: of a file that was read, each of these -> the
    bytes it takes there.
    """

    target_hardware: str
    chip_number: int
    npu_mode: str
    inputs: tuple[BoundaryTensor, ...]
    outputs: tuple[BoundaryTensor, ...]
    inner: tuple[BoundaryTensor, ...]
    subgraphs: tuple[Subgraph, ...]
    params: bytes
    sources: dict[str, str] = field(hash=False)
    shown_batch: int = 1
    compressed: frozenset[str] = frozenset()
    stored: dict[str, int] = field(default_factory=dict, hash=False, compare=False)
    names: dict[str, str] = field(default_factory=dict, hash=False)
    params_apart: bytes = b""

    def params_of(self, subgraph: NpuSubgraph) -> bytes:
        return self.params_apart if subgraph.apart else self.params

    def own_name(self, tensor: str) -> str:
        """What the model calls a tensor of the file."""
        return self.names.get(tensor, tensor)

    def tensors(self) -> dict[str, BoundaryTensor]:
        """Every tensor at a boundary by name."""
        return {tensor.name: tensor for tensor in (*self.inputs, *self.inner, *self.outputs)}

    def on_npu(self) -> tuple[NpuSubgraph, ...]:
        return tuple(subgraph for subgraph in self.subgraphs if isinstance(subgraph, NpuSubgraph))

    def npu_blobs(self) -> dict[str, bytes]:
        """Parameters and programs: what may be compressed."""
        blobs = {PARAMS: self.params}
        for subgraph in self.on_npu():
            blobs |= {subgraph.params_key: self.params_of(subgraph)} | subgraph.blobs()
        return blobs

    def batches(self) -> tuple[int, ...]:
        """Batches that run as one, ascending: of all NPU subgraphs that take several samples at once."""
        several = [subgraph.programs.keys() for subgraph in self.on_npu() if not subgraph.alone]
        return tuple(sorted(set[int]().union(*several))) or (1,)

    def rounds(self) -> tuple[int, ...]:
        """How many samples have to come together so that every program of a subgraph takes part in their run: a number
        for each list of batches that a subgraph has."""
        return tuple(sorted({sum(subgraph.programs) for subgraph in self.on_npu() if not subgraph.alone})) or (1,)

    def shape_groups(self) -> tuple[int, ...]:
        return tuple(sorted({subgraph.shape_group for subgraph in self.subgraphs}))

    def group(self, number: int) -> Container:
        """What one shape group runs: a container of its own column."""
        column = tuple(subgraph for subgraph in self.subgraphs if subgraph.shape_group == number)
        used = {name for subgraph in column for name in (*subgraph.inputs, *subgraph.outputs)}
        sides = ((tensor for tensor in side if tensor.name in used) for side in (self.inputs, self.outputs, self.inner))
        inputs, outputs, inner = (tuple(side) for side in sides)
        return replace(self, inputs=inputs, outputs=outputs, inner=inner, subgraphs=column)
