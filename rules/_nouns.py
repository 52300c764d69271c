"""What targets of the standard rules hand to the targets that depend on them: artifacts and settled parameters.

A workspace's own rules import these as `from axbuild.rules import FloatModel`.
"""

from __future__ import annotations

from typing import Any

from axbuild.dataclass import dataclass, field
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.stage import NamedCode


@dataclass(frozen=True)
class FrontEnd:
    """What the front end made a float model from, to make it again at other shapes. params: of `optimize_at`; whole:
    the file's folder, of a QDQ model before it is taken apart; asked: what only a real Pulsar2 is told of it."""

    source: Artifact
    params: dict[str, Any] = field(hash=False)
    whole: Artifact
    asked: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class FloatModel:
    """An optimised float model (ONNX) and `interface.json`: its inputs' and outputs' names, shapes and dtypes; given:
    the grids and codes that a QDQ model brought for it, None where it was a float model from the start; front: None
    where a rule of a workspace's own made it."""

    model: Artifact
    interface: Artifact
    given: Artifact | None = None
    front: FrontEnd | None = None


def ops_of(role: str) -> NamedCode:
    """The ops that a stage loads for the float model it gets as `role`: those of the model's own operators."""
    return NamedCode("axbuild/toolchain/ops/registry.json", role, "operators.json")


@dataclass(frozen=True)
class Samples:
    """A calibration set before it is bound to a model input: where the data is and how to read it."""

    source: Artifact
    format: str
    size: int
    tensor_format: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tensor_layout: str = "NCHW"


@dataclass(frozen=True)
class BoundSamples:
    """Decoded samples of one model input: the tree `samples/` (one .npy a sample), how they are parted
    (`shards.json`), and how they become tensors.

    format: "Image", or "Numpy" for whatever is taken as it is; drawn: the set they were decoded from, None for a state.
    """

    samples: Artifact
    shards: Artifact
    format: str
    tensor_format: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    drawn: Samples | None = None
    tensor_layout: str = "NCHW"


@dataclass(frozen=True)
class Quantisation:
    """What a float model was quantised with, to do it again at other shapes. model: the front end's; params: of
    `quantize`."""

    model: FloatModel
    scheme: Artifact
    params: dict[str, Any] = field(hash=False)


@dataclass(frozen=True)
class QuantModel:
    """A quantised model: ONNX with exact integer bodies, the records of every tensor, and what it was made from.

    state: output -> the input that it is for the next sample; made: None where a rule of a workspace's own made it.
    """

    model: Artifact
    records: Artifact
    source: FloatModel
    samples: dict[str, BoundSamples] = field(hash=False)
    asked: dict[str, Any] = field(default_factory=dict, hash=False)
    """of precision: parameters of `selected`"""
    state: dict[str, str] = field(default_factory=dict, hash=False)
    made: Quantisation | None = None

    @property
    def operators(self) -> Artifact:
        """The float operators that it stands for, as partition asks for them."""
        return self.source.model

    @property
    def interface(self) -> Artifact:
        return self.source.interface


@dataclass(frozen=True)
class QuantAxModel:
    """A quantised model of an earlier build, as it lay in a file: of its float model there is an outline alone, without
    weights. samples: empty where its calibration data is not at hand."""

    model: Artifact
    records: Artifact
    operators: Artifact
    interface: Artifact
    samples: dict[str, BoundSamples] = field(default_factory=dict, hash=False)


Compilable = QuantModel | QuantAxModel
"""what axmodels are made of"""


@dataclass(frozen=True)
class Pulsar2Quant:
    """A quantisation that a real Pulsar2 does when an axmodel asks for it, since its chip is part of the question.
    config: the vendor's settings but for the chip, without paths; device: where it fine-tunes; shapes: of inputs, as
    far as the float model's target says them."""

    source: Artifact
    samples: dict[str, Samples] = field(hash=False)
    config: dict[str, Any] = field(hash=False)
    device: str
    shapes: dict[str, tuple[int, ...]] = field(hash=False)


@dataclass(frozen=True)
class Pulsar2Compilation:
    """The vendor's settings of a compilation, without paths; data: what is checked on, by where its path stands in
    them, as "compiler.sub_configs.0.input_sample_dir"."""

    config: dict[str, Any] = field(hash=False)
    data: dict[str, Artifact] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Pulsar2AxModel:
    """A container that a real Pulsar2 compiled, which axbuild can neither open nor simulate, and what it was made of,
    to be made again with a look at it. quantisation: the vendor's settings, without paths."""

    axmodel: Artifact
    quant: Pulsar2Quant
    quantised: Artifact
    quantisation: dict[str, Any] = field(hash=False)
    compilation: Pulsar2Compilation


@dataclass(frozen=True)
class PrecisionReport:
    """`precision_report.json`: every layer of a quantised model with what it costs."""

    report: Artifact


@dataclass(frozen=True)
class Apart:
    """Parts of a model that are compiled apart: where each begins and ends, its compile options, and which of them, by
    their place, say themselves how they are compared.

    batches, limits: of each, as `compile_subgraphs` has the model's; as_written, compressed: disable_ir_fix and
    enable_data_soft_compression of each; patterns: its compiler_group_patterns. Each of these lists is empty where all
    parts are as the model is.
    """

    sub_configs: list[dict[str, Any]] = field(default_factory=list, hash=False)
    options: list[dict[str, Any]] = field(default_factory=list, hash=False)
    checked: tuple[int, ...] = ()
    batches: list[tuple[int, ...]] = field(default_factory=list, hash=False)
    limits: list[int] = field(default_factory=list, hash=False)
    as_written: list[bool] = field(default_factory=list, hash=False)
    compressed: list[bool] = field(default_factory=list, hash=False)
    patterns: list[list[dict[str, Any]]] = field(default_factory=list, hash=False)

    @property
    def rest(self) -> list[int | None]:
        """What a check of the whole looks at, None for what is in no part; empty where that is everything."""
        left = [number for number in range(len(self.sub_configs)) if number not in self.checked]
        return [None, *left] if self.checked else []


@dataclass(frozen=True)
class CompileSettings:
    """What a compilation was asked for; target_hardware: the chip's own name, whatever alias was written; shapes: of
    the inputs, where they are not the model's own."""

    target_hardware: str
    chip_number: int
    npu_mode: str
    batches: tuple[int, ...]
    input_processors: list[dict[str, Any]] = field(hash=False)
    output_processors: list[dict[str, Any]] = field(hash=False)
    options: dict[str, Any] = field(hash=False)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict, hash=False)
    apart: Apart = field(default_factory=Apart)


@dataclass(frozen=True)
class Subgraphs:
    """Compiled programs of one batch, chip and mode, with the partition they came from."""

    quant: Compilable
    partition: Artifact
    programs: Artifact
    settings: CompileSettings


@dataclass(frozen=True)
class AxModel:
    """A fused container; groups: what each of its shape groups was compiled from, the model's own shape first."""

    axmodel: Artifact
    groups: tuple[Subgraphs, ...]

    @property
    def quant(self) -> Compilable:
        return self.groups[0].quant

    @property
    def settings(self) -> CompileSettings:
        return self.groups[0].settings
