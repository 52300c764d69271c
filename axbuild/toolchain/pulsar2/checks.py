"""Settings that contradict each other or have no effect, a function for each rule of the vendor's tool.

An error where the result would not be what the settings say; a warning where the vendor's tool accepts what has no
effect. Checks of pre-processing, of the largest message, stand in `processor_checks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

from axbuild.errors import HIDDEN, AxWarning
from axbuild.toolchain.by_name import DEFAULT
from axbuild.toolchain.pulsar2 import enums
from axbuild.toolchain.pulsar2.contradiction import ContradictionError, differs, idle, refuse_twins
from axbuild.toolchain.pulsar2.merge import inherited
from axbuild.toolchain.pulsar2.message import Message, MissingSettingError
from axbuild.toolchain.pulsar2.processor_checks import check_input_processors, check_output_processors
from axbuild.toolchain.pulsar2.schema import BuildConfig, CompilerFields, LayerPrecisionConfig

LONGEST_NAME = 200
"""bytes of a file's name; file systems take 255, and a file that is being written has a longer one"""
OTHER_PRODUCTS = ("build_context.json", "frontend", "quant", "compiler", ".axbuild")
"""what a build writes into output_dir beside the compiled model"""
_FORMS = (".bin", ".npy", ".txt")
_METHODS = ("enable_adaround", "enable_brecq", "enable_lsq")
_NEEDS = (
    (("precision_analysis",), ("precision_analysis_method", "precision_analysis_mode", "input_sample_dir")),
    (("enable_smooth_quant",), ("smooth_quant_threshold", "smooth_quant_strength")),
    (_METHODS, ("finetune_epochs", "finetune_block_size", "finetune_batch_size", "finetune_lr")),
)
"""fields of quant, and those that have an effect with one of them alone"""
QUANTISED = "QuantAxModel"
"""the model_type of a model that is quantised already"""
_OF_QUANTISED = ("input_configs", "precision_analysis", *_NEEDS[0][1])
"""fields of quant that count, or are refused, where the model is quantised already"""
FRONT_END = ("op_processors", "const_processors")
"""fields of the root that only a float model has a use for"""
_QUANTISED_ALREADY = f"with model_type {QUANTISED}, which is quantised already"
_UNBATCHED = "without static_batch_sizes or max_dynamic_batch_size"
_QDQ_TARGETS = ("AX650", "M76H")


def check_target(config: BuildConfig) -> Iterator[AxWarning]:
    target, mode = config.target_hardware or "AX650", config.npu_mode or "NPU1"
    modes = enums.MODES_OF[target]
    if mode not in modes:
        field = "npu_mode" if config.npu_mode else "target_hardware"
        hint = f"{target} has {', '.join(modes)}: how many cores are used, not which"
        raise ContradictionError(f"npu_mode {mode} is not for {target}", config, field, hint)
    if config.model_type == "QuantONNX" and target not in _QDQ_TARGETS:
        hint = f"model_type QuantONNX is for {' and '.join(_QDQ_TARGETS)}"
        raise ContradictionError(f"model_type QuantONNX is not for {target}", config, "model_type", hint)
    yield from ()


def check_names(config: BuildConfig) -> Iterator[AxWarning]:
    name = config.output_name
    if name is not None and (PurePath(name).name != name or name in ("", "..") or HIDDEN.search(name)):
        sentence = f"output_name '{name}' is no file's name"
        raise ContradictionError(sentence, config, "output_name", "the folder is output_dir")
    if name and len(name.encode()) > LONGEST_NAME:
        sentence = f"output_name has {len(name.encode())} bytes, and a file's name at most {LONGEST_NAME}"
        raise ContradictionError(sentence, config, "output_name")
    if name in OTHER_PRODUCTS:
        sentence = f"output_name '{name}' is what a build calls another product of its own"
        raise ContradictionError(sentence, config, "output_name", f"it also writes {', '.join(OTHER_PRODUCTS)}")
    shapes = [entry.rpartition(":")[0] for entry in (config.input_shapes or "").split(";") if entry]
    if twice := [shape for shape in shapes if shapes.count(shape) > 1]:
        raise ContradictionError(f"input_shapes has two shapes for '{twice[0]}'", config, "input_shapes")
    yield from ()


def check_calibration(config: BuildConfig) -> Iterator[AxWarning]:
    entries = config.quant.input_configs or ()
    refuse_twins("quant.input_configs", "tensor_name", entries)
    for index, entry in enumerate(entries):
        path = f"quant.input_configs[{index}]"
        if not entry.calibration_dataset:
            place = entry.places.get("calibration_dataset")
            raise MissingSettingError(f"{path} needs 'calibration_dataset', and its text is empty", place=place)
        mean, std = entry.calibration_mean or (), entry.calibration_std or ()
        if mean and std and len(mean) != len(std):
            sentence = f"{path} has {len(mean)} calibration_mean and {len(std)} calibration_std"
            raise ContradictionError(sentence, entry, "calibration_std")
        form = entry.calibration_format or "Image"
        if form == "NumpyObject" and entry.tensor_name != DEFAULT:
            sentence = f"{path} is NumpyObject for '{entry.tensor_name}', and its samples hold all inputs"
            raise ContradictionError(sentence, entry, "tensor_name", 'write "tensor_name": "DEFAULT"')
        if form != "Image":
            yield from _idle_normalisation(
                entry, path, form, (("calibration_mean", mean, 0), ("calibration_std", std, 1))
            )


def _idle_normalisation(
    entry: Message, path: str, form: str, settings: Sequence[tuple[str, Sequence[float], int]]
) -> Iterator[AxWarning]:
    for field, values, neutral in settings:
        if any(value != neutral for value in values):
            yield idle(f"{path}.{field}", f"with calibration_format {form}, whose samples are taken as they are", entry)


def check_layers(config: BuildConfig) -> Iterator[AxWarning]:
    for index, entry in enumerate(config.quant.layer_configs or ()):
        path = f"quant.layer_configs[{index}]"
        _check_selector(entry, path)
        types = (entry.op_type,) if entry.op_type else entry.op_types or ()
        if "Conv" in types and entry.data_type == "FP32":
            sentence = f"{path} asks for Conv in FP32, which it is never computed in"
            raise ContradictionError(sentence, entry, "data_type", 'for its output alone: "output_data_type": "FP32"')
        if types and "Conv" not in types:
            for field in ("output_data_type", "weight_data_type"):
                if getattr(entry, field) is not None:
                    yield idle(f"{path}.{field}", f"with {', '.join(types)}: it is for Conv alone", entry)


def _check_selector(entry: LayerPrecisionConfig, path: str) -> None:
    given = [name for name in ("layer_name", "op_type", "layer_names", "op_types") if getattr(entry, name)]
    ends = [name for name in ("start_tensor_names", "end_tensor_names") if getattr(entry, name)]
    if len(ends) == 1:
        other = "end_tensor_names" if ends[0].startswith("start") else "start_tensor_names"
        raise ContradictionError(
            f"{path} has {ends[0]} without {other}", entry, ends[0], f'as in "{other}": ["DEFAULT"]'
        )
    if ends:
        given.append(" with ".join(ends))
    hint = "one of layer_name, layer_names, op_type, op_types, or start_tensor_names with end_tensor_names"
    if not given:
        raise ContradictionError(f"{path} chooses no operators", entry, "", hint)
    if len(given) > 1:
        sentence = f"{path} has both {given[0]} and {given[1]}"
        raise ContradictionError(sentence, entry, given[1].split()[0], f"{hint}; two choices are two entries")


def check_quant(config: BuildConfig) -> Iterator[AxWarning]:
    quant = config.quant
    methods = [name for name in _METHODS if getattr(quant, name)]
    if len(methods) > 1:
        raise ContradictionError(
            f"{' and '.join(methods)} are both set", quant, methods[1], "fine-tuning has one method"
        )
    if config.model_type == QUANTISED:
        yield from _quantised_already(config)
    for switches, fields in _NEEDS[:1] if config.model_type == QUANTISED else _NEEDS:
        if not any(getattr(quant, name) for name in switches):
            for name in filter(lambda name: differs(quant, name), fields):
                yield idle(f"quant.{name}", f"without {' or '.join(switches)}", quant)


def _quantised_already(config: BuildConfig) -> Iterator[AxWarning]:
    """What was decided when the model was quantised."""
    quant, front = config.quant, config.onnx_opt
    for name, _, _ in quant.given():
        if name not in _OF_QUANTISED and differs(quant, name):
            yield idle(f"quant.{name}", _QUANTISED_ALREADY, quant)
    for name, _, _ in front.given():
        if differs(front, name):
            yield idle(f"onnx_opt.{name}", _QUANTISED_ALREADY, front)
    for name in FRONT_END:
        if getattr(config, name):
            yield idle(name, _QUANTISED_ALREADY, config)


def check_patches(config: BuildConfig) -> Iterator[AxWarning]:
    refuse_twins("op_processors", "op_name", config.op_processors or ())
    refuse_twins("quant_op_processors", "op_name", config.quant_op_processors or ())
    refuse_twins("const_processors", "name", config.const_processors or ())
    for index, entry in enumerate(config.const_processors or ()):
        path = f"const_processors[{index}]"
        if (entry.data is None) == (entry.data_path is None):
            have = "both data and data_path" if entry.data is not None else "neither data nor data_path"
            raise ContradictionError(f"{path} has {have}", entry, "data_path" if entry.data is not None else "")
        if entry.data_path is not None and PurePath(entry.data_path).suffix.lower() not in _FORMS:
            raise ContradictionError(f"{path}.data_path takes a {', '.join(_FORMS)} file", entry, "data_path")
    yield from ()


def check_compiler(config: BuildConfig) -> Iterator[AxWarning]:
    compiler = config.compiler
    parts = [inherited(sub, compiler) for sub in compiler.sub_configs or ()]
    for path, options in (
        ("compiler", compiler),
        *((f"compiler.sub_configs[{i}]", sub) for i, sub in enumerate(parts)),
    ):
        _check_options(options, path)
    batched = [bool(options.static_batch_sizes or options.max_dynamic_batch_size) for options in (compiler, *parts)]
    if compiler.disable_ir_fix and not any(batched):
        yield idle("compiler.disable_ir_fix", _UNBATCHED, compiler)
    for number, sub in enumerate(compiler.sub_configs or ()):
        if sub.disable_ir_fix and not batched[1 + number]:
            yield idle(f"compiler.sub_configs[{number}].disable_ir_fix", _UNBATCHED, sub)
    levels = {options.check or 0 for options in (compiler, *parts)}
    for field, level in (("check_rtol", 1), ("check_atol", 1), ("check_cosine_simularity", 3)):
        if differs(compiler, field) and level not in levels:
            yield idle(f"compiler.{field}", f"without check {level}", compiler)
    for field in ("check_mode", "check_tensor_black_list", "input_sample_dir"):
        if differs(compiler, field) and levels == {0}:
            yield idle(f"compiler.{field}", "without check", compiler)


def _check_options(options: CompilerFields, path: str) -> None:
    if options.static_batch_sizes and options.max_dynamic_batch_size:
        sentence = f"{path} has both static_batch_sizes and max_dynamic_batch_size"
        raise ContradictionError(sentence, options, "max_dynamic_batch_size", "batches are either listed or found")
    for pattern in options.check_tensor_black_list or ():
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            sentence = f"{path}.check_tensor_black_list has '{pattern}', which is no regular expression: {error}"
            raise ContradictionError(sentence, options, "check_tensor_black_list") from None


CHECKS: tuple[Callable[[BuildConfig], Iterator[AxWarning]], ...] = (
    check_target,
    check_names,
    check_calibration,
    check_layers,
    check_quant,
    check_input_processors,
    check_output_processors,
    check_patches,
    check_compiler,
)
