"""The vendor's configuration, field by field: names, numbers and defaults are the vendor's, also where misspelt.

Read by `read` from a file, by `flags` from a command line, checked and merged by `settled`, written by `write`.
Messages of the vendor whose class names mean something else in axbuild end in Config here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from axbuild.toolchain.pulsar2 import enums
from axbuild.toolchain.pulsar2.message import M, Message, Nested, message_in, setting, settings_of
from axbuild.toolchain.pulsar2.takes import Dictionary, Many, Number, Text, Toggle, Whole, Word

INPUT_SHAPES = r"(?:[^;]+:[1-9]\d*(?:x[1-9]\d*)*(?:;(?=[^;])|;?$))*"
_PRECISIONS = ("U8", "S8", "U16", "S16", "FP32")
_TEXTS = Many(Text(), word="list of string")
_NUMBERS = Many(Number(), word="list of float")
_AMOUNTS = Many(Whole(low=0), word="list of int")
_DIMENSIONS = Many(Whole(low=1), word="list of int")
_POSITIVE = Whole(low=1, word="int32")
_DEVICE = Word(dict.fromkeys(("cpu", *(f"cuda:{index}" for index in range(8)))), word="string")


def _toggle(number: int, about: str) -> Any:
    return setting(Toggle(), number, about, default=False, flag=True)


@dataclass(frozen=True, kw_only=True)
class OnnxOptConfig(Message):
    """What happens to the float model before quantisation."""

    disable_onnx_optimization: bool | None = _toggle(1, "Leave the float model's graph as it is.")
    enable_onnxsim: bool | None = _toggle(2, "Simplify the float model before it is optimised.")
    model_check: bool | None = _toggle(3, "Compare the optimised float model with the original.")
    disable_transformation_check: bool | None = _toggle(4, "Leave out the comparison after each rewrite of the graph.")
    save_tensors_data: bool | None = _toggle(5, "Keep the data of tensors on disk, to take less memory.")


@dataclass(frozen=True, kw_only=True)
class InputQuantConfig(Message):
    """The calibration data of one input, or of all."""

    tensor_name: str | None = setting(Text(), 1, "Input of the original model, or DEFAULT for all.", required=True)
    calibration_dataset: str | None = setting(Text(), 2, "Archive with the samples: tar, tar.gz, zip.", required=True)
    calibration_format: str | None = setting(Word(enums.DATA_FORMAT), 3, "What the samples are.", default="Image")
    calibration_size: int | None = setting(
        Whole(low=1, also=-1), 4, "How many samples are taken at most; -1 takes all.", default=32
    )
    calibration_mean: tuple[float, ...] | None = setting(_NUMBERS, 5, "Subtracted from pictures.", default=())
    calibration_std: tuple[float, ...] | None = setting(
        Many(Number(above=0), word="list of float"), 6, "Divides pictures behind that.", default=()
    )


@dataclass(frozen=True, kw_only=True)
class LayerPrecisionConfig(Message):
    """Precision of chosen operators; exactly one selector chooses."""

    layer_name: str | None = setting(Text(), 1, "One operator by name.")
    op_type: str | None = setting(Text(), 2, "All operators of one type.")
    start_tensor_names: tuple[str, ...] | None = setting(_TEXTS, 3, "Tensors at which a sub-graph begins, or DEFAULT.")
    end_tensor_names: tuple[str, ...] | None = setting(_TEXTS, 4, "Tensors at which it ends, or DEFAULT.")
    data_type: str | None = setting(
        Word(enums.DATA_TYPE, _PRECISIONS), 5, "Precision of the operators.", otherwise="U8"
    )
    weight_data_type: str | None = setting(
        Word(enums.DATA_TYPE, ("S8", "FP32")), 6, "Precision of a Conv's weight.", otherwise="S8"
    )
    layer_names: tuple[str, ...] | None = setting(_TEXTS, 7, "Several operators by name.")
    op_types: tuple[str, ...] | None = setting(_TEXTS, 8, "All operators of several types.")
    output_data_type: str | None = setting(
        Word(enums.DATA_TYPE, _PRECISIONS), 10, "Precision of a Conv's output.", otherwise="U8"
    )


@dataclass(frozen=True, kw_only=True)
class QuantConfig(Message):
    """Quantisation."""

    input_configs: tuple[InputQuantConfig, ...] | None = setting(
        Many(Nested(InputQuantConfig)), 1, "Calibration data, an entry an input or one for DEFAULT.", default=()
    )
    layer_configs: tuple[LayerPrecisionConfig, ...] | None = setting(
        Many(Nested(LayerPrecisionConfig)), 2, "Mixed precision, an entry for each choice of operators.", default=()
    )
    calibration_method: str | None = setting(
        Word(enums.QUANT_METHOD), 3, "How ranges are found in calibration data.", default="MinMax", flag=True
    )
    precision_analysis: bool | None = _toggle(4, "Compare the quantised model with the float model.")
    precision_analysis_method: str | None = setting(
        Word(enums.PRECISION_ANALYSIS_METHOD),
        5,
        "PerLayer gives every operator the float model's inputs, EndToEnd the first alone.",
        default="PerLayer",
        flag=True,
    )
    precision_analysis_mode: str | None = setting(
        Word(enums.PRECISION_ANALYSIS_MODE),
        6,
        "Reference runs all operators, NPUBackend what the NPU runs, to the bit.",
        default="Reference",
        flag=True,
    )
    highest_mix_precision: bool | None = _toggle(7, "Quantise with the highest precision that operators have.")
    conv_bias_data_type: str | None = setting(
        Word(enums.DATA_TYPE, ("S32", "FP32")), 8, "Type in which a Conv's bias is kept.", default="S32", flag=True
    )
    refine_weight_threshold: float | None = setting(
        Number(low=0, below=1e-4, also=-1),
        9,
        "Weight scales below it are refined; -1 leaves them all.",
        default=1e-6,
        flag=True,
    )
    enable_smooth_quant: bool | None = _toggle(10, "Move outliers of activations into the weights.")
    smooth_quant_threshold: float | None = setting(
        Number(low=0, high=1), 20, "The larger, the more operators take part in that.", default=0.2, flag=True
    )
    smooth_quant_strength: float | None = setting(
        Number(low=0, high=1), 30, "How much of the difficulty moves to the weights.", default=0.6, flag=True
    )
    transformer_opt_level: int | None = setting(
        Whole(low=0, high=2), 40, "How transformers are quantised; 1 is advised for them.", default=0, flag=True
    )
    input_sample_dir: str | None = setting(
        Text(),
        50,
        "Samples for precision analysis, as the original model takes them; calibration data where empty.",
        default="",
        flag=True,
    )
    ln_scale_data_type: str | None = setting(
        Word(enums.DATA_TYPE, ("FP32", "S32", "U32")),
        60,
        "Type of a LayerNormalization's scale.",
        default="FP32",
        flag=True,
    )
    check: int | None = setting(
        Whole(low=0, high=1), 70, "0: no check; 1: check the data types of nodes.", default=0, flag=True
    )
    disable_auto_refine_scale: bool | None = _toggle(80, "Leave scales of weights and inputs as calibrated.")
    enable_easy_quant: bool | None = _toggle(90, "Search scales of weights and activations; slow.")
    disable_quant_optimization: bool | None = _toggle(100, "Leave out rewrites of the graph while it is quantised.")
    enable_brecq: bool | None = _toggle(110, "Fine-tune with BRECQ.")
    enable_lsq: bool | None = _toggle(120, "Fine-tune with LSQ.")
    enable_adaround: bool | None = _toggle(130, "Fine-tune with AdaRound.")
    finetune_epochs: int | None = setting(_POSITIVE, 140, "Epochs of fine-tuning.", default=500, flag=True)
    finetune_block_size: int | None = setting(
        _POSITIVE, 150, "How many operators a block of fine-tuning holds.", default=4, flag=True
    )
    finetune_batch_size: int | None = setting(_POSITIVE, 160, "Batch size of fine-tuning.", default=1, flag=True)
    finetune_lr: float | None = setting(Number(above=0), 170, "Learning rate of fine-tuning.", default=1e-3, flag=True)
    device: str | None = setting(_DEVICE, 180, "What fine-tuning computes on.", default="cpu", flag=True)


@dataclass(frozen=True, kw_only=True)
class ExtraShape(Message):
    """One more size of an input."""

    shape: tuple[int, ...] | None = setting(
        _DIMENSIONS, 1, "Its shape, in the layout of the original model.", required=True
    )


@dataclass(frozen=True, kw_only=True)
class InputProcessorConfig(Message):
    """What a compiled model does to one of its inputs: tensor_ is what the original model takes, src_ what comes in."""

    tensor_name: str | None = setting(Text(), 1, "Input of the original model, or DEFAULT for all.", required=True)
    tensor_format: str | None = setting(
        Word(enums.COLOR_SPACE, ("AutoColorSpace", "BGR", "RGB", "GRAY")),
        2,
        "Order of channels of the original model.",
        default="AutoColorSpace",
    )
    tensor_layout: str | None = setting(
        Word(enums.LAYOUT, ("NHWC", "NCHW")), 3, "Layout of the original model.", default="NCHW"
    )
    src_format: str | None = setting(
        Word(enums.COLOR_SPACE, ("AutoColorSpace", "GRAY", "BGR", "RGB", *enums.YUV, "RAW")),
        4,
        "Colour space of what comes in.",
        default="AutoColorSpace",
    )
    src_layout: str | None = setting(
        Word(enums.LAYOUT, ("NHWC", "NCHW")), 5, "Layout of what comes in; NHWC for YUV.", default="NCHW"
    )
    src_dtype: str | None = setting(
        Word(enums.DATA_TYPE, ("U8", "S8", "U16", "S16", "U32", "S32", "FP16", "FP32")),
        6,
        "Element type of what comes in.",
        default="FP32",
    )
    csc_mode: str | None = setting(Word(enums.CSC_MODE), 7, "How YUV is converted; Matrix by csc_mat.", default="NoCSC")
    csc_mat: tuple[float, ...] | None = setting(
        _NUMBERS, 8, "The matrix of csc_mode Matrix: 3 x 4 numbers, a row a channel.", default=()
    )
    mean: tuple[float, ...] | None = setting(_NUMBERS, 9, "Subtracted at run time.", otherwise="calibration_mean")
    std: tuple[float, ...] | None = setting(
        Many(Number(above=0), word="list of float"), 10, "Divides at run time.", otherwise="calibration_std"
    )
    src_extra_shapes: tuple[ExtraShape, ...] | None = setting(
        Many(Nested(ExtraShape)), 11, "Further sizes in the same file, as many for each input.", default=()
    )
    padding: tuple[int, ...] | None = setting(
        _AMOUNTS, 20, "How much is padded, begin and end of each axis.", default=()
    )
    padding_mode: str | None = setting(Word({"constant": None}, word="string"), 21, "What with.", default="constant")
    padding_constant_value: int | None = setting(Whole(), 22, "The value that is padded with.", default=0)
    slicing: tuple[int, ...] | None = setting(
        _AMOUNTS, 30, "How much is cut off, begin and end of each axis.", default=()
    )
    scale: float | None = setting(
        Number(low=0), 40, "Of codes that come in, scale (code - zeropoint); 0 is none.", default=0.0
    )
    zeropoint: int | None = setting(Whole(), 41, "The code that stands for 0.", default=0)


@dataclass(frozen=True, kw_only=True)
class OutputProcessorConfig(Message):
    """What a compiled model does to one of its outputs."""

    tensor_name: str | None = setting(Text(), 1, "Output of the original model, or DEFAULT for all.", required=True)
    tensor_layout: str | None = setting(
        Word(enums.LAYOUT), 2, "Layout of the original model's output.", default="DefaultLayout"
    )
    dst_perm: tuple[int, ...] | None = setting(_AMOUNTS, 3, "Order of axes of what goes out.", default=())
    output_dtype: str | None = setting(
        Word(enums.DATA_TYPE, ("FP32", "U8")), 4, "Element type of what goes out.", default="FP32"
    )


@dataclass(frozen=True, kw_only=True)
class ConstProcessorConfig(Message):
    """Other values for a constant of the original model."""

    name: str | None = setting(Text(), 1, "The constant's tensor.", required=True)
    data: tuple[float, ...] | None = setting(
        Many(Number(), word="list of double"), 2, "Its values, which take the constant's type."
    )
    data_path: str | None = setting(Text(), 3, "A .bin, .npy or .txt file with its values.")


@dataclass(frozen=True, kw_only=True)
class OpProcessorConfig(Message):
    """Other attributes for an operator: of the float model, or of the quantised one."""

    op_name: str | None = setting(Text(), 1, "The operator's name.", required=True)
    attrs: Mapping[str, Any] | None = setting(Dictionary(), 2, "Its attributes and their values.", required=True)


@dataclass(frozen=True, kw_only=True)
class GroupNode(Message):
    """An operator in a pattern of operators."""

    types: tuple[str, ...] | None = setting(_TEXTS, 1, "Types that it may have.", default=())
    inputs: tuple[str, ...] | None = setting(_TEXTS, 2, "Names of its inputs.", default=())
    outputs: tuple[str, ...] | None = setting(_TEXTS, 3, "Names of its outputs.", default=())
    properties: Mapping[str, Any] | None = setting(Dictionary(), 4, "Attributes that it has.")


@dataclass(frozen=True, kw_only=True)
class GroupPattern(Message):
    """Operators that are scheduled together."""

    nodes: tuple[GroupNode, ...] | None = setting(Many(Nested(GroupNode)), 1, "The pattern.", default=())
    type: str | None = setting(Word(enums.SCHEDULE_STRATEGY), 2, "How they are scheduled.", default="Tile")
    match_mode: str | None = setting(Word(enums.MATCH_MODE), 3, "What names of the pattern are.", default="Op")


@dataclass(frozen=True, kw_only=True)
class CompilerFields(Message):
    """What the compiler is told for a whole model or for a sub-graph of it."""

    static_batch_sizes: tuple[int, ...] | None = setting(
        Many(Whole(low=1), word="int array"), 1, "The batch sizes that are compiled.", default=(), flag=True
    )
    max_dynamic_batch_size: int | None = setting(
        Whole(low=0), 2, "Compile 1, 2, 4 ... up to it while that pays; 0 is off.", default=0, flag=True
    )
    ddr_bw_limit: float | None = setting(
        Number(low=0.001, also=0),
        12,
        "Bandwidth to DDR in GB/s that is simulated; 0 is no limit.",
        default=0.0,
        flag=True,
    )
    disable_ir_fix: bool | None = _toggle(3, "Leave the shapes of Reshape alone when batches are compiled.")
    check: int | None = setting(
        Whole(low=0, high=3),
        5,
        "Check the compiled model, 0: not at all; 1: all close; 2: all equal; 3: cosine similarity.",
        default=0,
        flag=True,
    )
    npu_perf: bool | None = _toggle(6, "Write files for profiling, trace.json among them.")
    check_mode: str | None = setting(
        Word(enums.CHECK_MODE),
        7,
        "CheckOutput checks the model's outputs, CheckPerLayer the tensors inside as well.",
        default="CheckOutput",
        flag=True,
    )
    check_rtol: float | None = setting(Number(low=0), 8, "Relative tolerance of check 1.", default=1e-5, flag=True)
    check_atol: float | None = setting(Number(low=0), 9, "Absolute tolerance of check 1.", default=0.0, flag=True)
    check_cosine_simularity: float | None = setting(
        Number(low=-1, high=1), 10, "Least cosine similarity of check 3.", default=0.999, flag=True
    )
    check_tensor_black_list: tuple[str, ...] | None = setting(
        _TEXTS, 11, "Tensors that are not checked; regular expressions.", default=(), flag=True
    )
    enable_slice_mode: bool | None = _toggle(13, "Schedule in slices, which may move less through DDR.")
    enable_tile_mode: bool | None = _toggle(52, "Schedule in tiles, which may move less through DDR.")
    enable_data_soft_compression: bool | None = _toggle(14, "Compress the compiled model: smaller, slower to load.")
    compiler_group_patterns: tuple[GroupPattern, ...] | None = setting(
        Many(Nested(GroupPattern)), 15, "Operators that are scheduled together.", default=()
    )
    input_sample_dir: str | None = setting(
        Text(),
        30,
        "Samples for the check, as the compiled model takes them; calibration data where empty.",
        default="",
        flag=True,
    )


@dataclass(frozen=True, kw_only=True)
class CompilerSubConfig(CompilerFields):
    """Compiler options of a sub-graph; what it leaves unset is as the whole model has it."""

    fills: ClassVar[bool] = False
    start_tensor_names: tuple[str, ...] | None = setting(
        _TEXTS, 50, "Tensors at which the sub-graph begins.", required=True
    )
    end_tensor_names: tuple[str, ...] | None = setting(_TEXTS, 51, "Tensors at which it ends.", required=True)


@dataclass(frozen=True, kw_only=True)
class CompilerConfig(CompilerFields):
    """Compilation."""

    sub_configs: tuple[CompilerSubConfig, ...] | None = setting(
        Many(Nested(CompilerSubConfig)), 60, "Options of sub-graphs.", default=()
    )


@dataclass(frozen=True, kw_only=True)
class DebugConfig(Message):
    """Further files, for a look inside."""

    dump_frontend_graph: bool | None = _toggle(1, "Write frontend/optimzied_quant_axmodel.onnx.")


@dataclass(frozen=True, kw_only=True)
class BuildConfig(Message):
    """All settings of a build."""

    input: str | None = setting(Text(), 1, "Path of the model.", flag=True, required=True)
    output_dir: str | None = setting(Text(), 2, "Folder for the compiled model.", flag=True, required=True)
    output_name: str | None = setting(
        Text(), 3, "Name of the compiled model's file.", default="compiled.axmodel", flag=True
    )
    work_dir: str | None = setting(
        Text(), 4, "Folder for what is made on the way.", otherwise="same as output_dir", flag=True
    )
    model_type: str | None = setting(Word(enums.MODEL_TYPE), 5, "What the model is.", default="ONNX", flag=True)
    target_hardware: str | None = setting(
        Word(enums.HARDWARE_TYPE), 6, "The chip that is compiled for.", default="AX650", flag=True
    )
    npu_mode: str | None = setting(
        Word(enums.NPU_MODE),
        7,
        "How many NPU cores the model uses, not which: NPU1 to NPU3 on AX650 and M76H, NPU1 or NPU2 on AX620E and "
        "AX615, NPU1 on M57 and AX637, NPU1, NPU2 or NPU4 on AX8860.",
        default="NPU1",
        flag=True,
    )
    input_shapes: str | None = setting(
        Text(INPUT_SHAPES, 'a text such as "input1:1x3x224x224;input2:1x1x112x112"'),
        8,
        "Other shapes for inputs, before input_processors and quantisation: input1:1x3x224x224;input2:1x1x112x112.",
        default="",
        flag=True,
    )
    onnx_opt: OnnxOptConfig = setting(Nested(OnnxOptConfig), 10, "The float model.")
    quant: QuantConfig = setting(Nested(QuantConfig), 20, "Quantisation.")
    input_processors: tuple[InputProcessorConfig, ...] | None = setting(
        Many(Nested(InputProcessorConfig)), 31, "Pre-processing inside the compiled model.", default=()
    )
    output_processors: tuple[OutputProcessorConfig, ...] | None = setting(
        Many(Nested(OutputProcessorConfig)), 32, "Post-processing inside the compiled model.", default=()
    )
    const_processors: tuple[ConstProcessorConfig, ...] | None = setting(
        Many(Nested(ConstProcessorConfig)), 33, "Constants of the original model to change.", default=()
    )
    op_processors: tuple[OpProcessorConfig, ...] | None = setting(
        Many(Nested(OpProcessorConfig)), 34, "Operators of the original model to change.", default=()
    )
    quant_op_processors: tuple[OpProcessorConfig, ...] | None = setting(
        Many(Nested(OpProcessorConfig)), 35, "Operators of the quantised model to change.", default=()
    )
    compiler: CompilerConfig = setting(Nested(CompilerConfig), 40, "Compilation.")
    debug: DebugConfig = setting(Nested(DebugConfig), 50, "Files for a look inside.")


def defaulted(config: M) -> M:
    """The config with the vendor's defaults where nothing is set; what inherits, or has none, stays unset."""
    if not config.fills:
        return config
    values: dict[str, Any] = {}
    for name, declared in settings_of(type(config)).items():
        value = getattr(config, name)
        if isinstance(value, Message):
            values[name] = defaulted(value)
        elif value and message_in(declared.takes):
            values[name] = tuple(map(defaulted, value))
        elif value is None:
            values[name] = declared.default
    filled = replace(config, **values)
    return replace(filled, work_dir=filled.work_dir or filled.output_dir) if isinstance(filled, BuildConfig) else filled


def shapes_of(input_shapes: str) -> dict[str, tuple[int, ...]]:
    """`input_shapes` by the name of the input."""
    entries = (entry.rpartition(":") for entry in input_shapes.split(";") if entry)
    return {name: tuple(map(int, sizes.split("x"))) for name, _, sizes in entries}
