"""A checked configuration as the tables of a BUILD file that it stands for (decision 056).

A field is written where the configuration sets it, under the name that the attribute has here; what `settled` warns of
as without effect is left out. Whatever is set and stands for no attribute is refused by name. Paths stay as they are.

A rule file calls this while a package loads, so it imports nothing but the configuration's own declarations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from axbuild.toolchain.pulsar2.calibration import Calibration, calibration_of
from axbuild.toolchain.pulsar2.checks import FRONT_END, QUANTISED
from axbuild.toolchain.pulsar2.mapped import MappedFields, PlacedTable
from axbuild.toolchain.pulsar2.message import settings_of
from axbuild.toolchain.pulsar2.processors import extra_shapes, input_processors, output_processors
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.sub_configs import CHECKING, checks, group_patterns, sub_configs

BuildTable = tuple[str, dict[str, Any]]
"""rule, and attributes with `name` among them"""

_OF_FLOAT = (
    "enable_onnxsim",
    "disable_onnx_optimization",
    "disable_transformation_check",
    "model_check",
    "save_tensors_data",
)
_OF_QUANT = (
    "highest_mix_precision",
    "conv_bias_data_type",
    "refine_weight_threshold",
    "disable_auto_refine_scale",
    "ln_scale_data_type",
    "disable_quant_optimization",
    "check",
    "transformer_opt_level",
    "enable_smooth_quant",
    "enable_easy_quant",
)
_SMOOTH = ("smooth_quant_threshold", "smooth_quant_strength")
_TUNERS = ("enable_adaround", "enable_lsq", "enable_brecq")
_TUNING = ("finetune_epochs", "finetune_block_size", "finetune_batch_size", "finetune_lr", "device")
_ANALYSIS = ("precision_analysis_method", "precision_analysis_mode", "input_sample_dir")
_OF_AXMODEL = (
    "static_batch_sizes",
    "max_dynamic_batch_size",
    "enable_data_soft_compression",
    "disable_ir_fix",
    "npu_perf",
    "ddr_bw_limit",
    "enable_slice_mode",
    "enable_tile_mode",
)
OF_THE_COMMAND = ("output_dir", "output_name", "work_dir")
"""where the vendor's command puts what the targets give; no target has them, nor `debug`, one more file of it"""

_NO_PRECISION = (
    "compares with the float model, which a build from a QuantAxModel does not have: analyse where it is quantised"
)
_NO_EXTRA_SHAPES = (
    "needs the float model, at whose further shapes the quantised one is made: build with model_type ONNX"
)


def tables(config: BuildConfig, name: str) -> list[BuildTable]:
    """The targets NAME_float, NAME_calib (NAME_calib_INPUT for each of several sets), NAME_quant, NAME (the axmodel),
    NAME_check where the compiled model is checked, and NAME_precision where precision is analysed. Of a model that is
    quantised already NAME_quant is a quant_axmodel, and there is no NAME_float."""
    root, quant, compiler = (
        MappedFields(config),
        MappedFields(config.quant, "quant"),
        MappedFields(config.compiler, "compiler"),
    )
    quantised = config.model_type == QUANTISED
    found, calibration = (_begun_quantised if quantised else _begun)(config, root, quant, name)
    found.append(("axmodel", {"name": name, "quant": f":{name}_quant"} | _axmodel(config, root, compiler, calibration)))
    if config.compiler.check:
        own = checks(compiler, "level", "mode", "")
        found.append(("check", {"name": f"{name}_check", "axmodel": f":{name}"} | own))
    else:
        compiler.without_effect(CHECKING)
    if config.quant.precision_analysis:
        found.append(("precision_analysis", {"name": f"{name}_precision"} | _analysis(quant, name)))
    quant.without_effect(("precision_analysis", *_ANALYSIS))
    root.without_effect(OF_THE_COMMAND)
    for fields in (root, quant, compiler):
        fields.finish({})
    return found


def _begun(
    config: BuildConfig, root: MappedFields, quant: MappedFields, name: str
) -> tuple[list[BuildTable], Calibration]:
    """A float model and its data, quantised."""
    calibration = calibration_of(config, quant, name)
    found: list[BuildTable] = [
        ("float_model", {"name": f"{name}_float"} | _float_model(config, root)),
        *(("calibration_set", attributes) for attributes in calibration.sets),
        ("quant_model", {"name": f"{name}_quant"} | _quant_model(config, root, quant, calibration, name)),
    ]
    return found, calibration


def _begun_quantised(
    config: BuildConfig, root: MappedFields, quant: MappedFields, name: str
) -> tuple[list[BuildTable], Calibration]:
    """A model that is quantised already; its data where the configuration names it."""
    if config.quant.precision_analysis:
        raise quant.refusal("precision_analysis", _NO_PRECISION)
    for number, entry in enumerate(config.input_processors or ()):
        if entry.src_extra_shapes:
            raise MappedFields(entry, f"input_processors[{number}]").refusal("src_extra_shapes", _NO_EXTRA_SHAPES)
    named = config.quant.input_configs
    calibration = calibration_of(config, quant, name) if named else Calibration([], {}, frozenset())
    own = {"name": f"{name}_quant"} | root.copy(src="input")
    if named:
        own["calibration"] = calibration.labels
    if shapes := root.take("input_shapes"):
        own |= PlacedTable({"input_shapes": shapes_of(shapes)}, root.places(input_shapes="input_shapes"))
    own |= _quant_patches(config, root)
    root.without_effect(("model_type", *FRONT_END))
    quant.without_effect(name for name, _, _ in config.quant.given())  # as `checks` warns
    sets = [("calibration_set", attributes) for attributes in calibration.sets]
    return [*sets, ("quant_axmodel", own)], calibration


def shapes_of(text: str) -> dict[str, list[int]]:
    """`a:1x3x224x224;b:1x1x112x112` as a table; a name may hold colons."""
    entries = [entry.rpartition(":") for entry in text.split(";") if entry]
    return {name: [int(size) for size in sizes.split("x")] for name, _, sizes in entries}


def _float_model(config: BuildConfig, root: MappedFields) -> PlacedTable:
    found = root.copy(src="input") | root.copy("model_type")
    if shapes := root.take("input_shapes"):
        found |= PlacedTable({"input_shapes": shapes_of(shapes)}, root.places(input_shapes="input_shapes"))
    found |= MappedFields(config.onnx_opt, "onnx_opt").copy(*_OF_FLOAT)
    for list_, names in (("op_processors", ("op_name", "attrs")), ("const_processors", ("name", "data", "data_path"))):
        root.take(list_)
        if entries := [MappedFields(entry, list_).copy(*names) for entry in getattr(config, list_) or ()]:
            found |= PlacedTable({}, root.places(**{list_: list_}))
            found.put(list_, [_whole(entry) for entry in entries])
    return found


def _whole(entry: PlacedTable) -> PlacedTable:
    """A constant's values; whole ones without a point, as a shape is written."""
    if "data" in entry:
        entry["data"] = [int(item) if float(item).is_integer() else item for item in entry["data"]]
    return entry


def _quant_model(
    config: BuildConfig, root: MappedFields, quant: MappedFields, calibration: Calibration, name: str
) -> PlacedTable:
    places = quant.places(layer_configs="layer_configs")
    found = PlacedTable({"model": f":{name}_float", "calibration": calibration.labels}, places)
    found |= quant.copy(method="calibration_method")
    quant.take("layer_configs")
    if rules := config.quant.layer_configs:
        found.put(
            "layer_configs",
            [
                MappedFields(entry, f"quant.layer_configs[{number}]").copy(*settings_of(type(entry)))
                for number, entry in enumerate(rules)
            ],
        )
    found |= quant.copy(*_OF_QUANT)
    _only_with(quant, found, ("enable_smooth_quant",), _SMOOTH)
    found |= quant.copy(*_TUNERS)
    _only_with(quant, found, _TUNERS, _TUNING)
    return found | _quant_patches(config, root)


def _quant_patches(config: BuildConfig, root: MappedFields) -> PlacedTable:
    found = PlacedTable({}, root.places(quant_op_processors="quant_op_processors"))
    root.take("quant_op_processors")
    if patches := config.quant_op_processors:
        found.put("quant_op_processors", [MappedFields(entry).copy("op_name", "attrs") for entry in patches])
    return found


def _only_with(quant: MappedFields, found: PlacedTable, switches: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Copy fields that only count where a switch is on."""
    if any(quant.value(switch) for switch in switches):
        found |= quant.copy(*names)
    quant.without_effect(names)


def _axmodel(config: BuildConfig, root: MappedFields, compiler: MappedFields, calibration: Calibration) -> PlacedTable:
    found = root.copy("target_hardware", "npu_mode") | compiler.copy(*_OF_AXMODEL)
    lists = ("input_processors", "output_processors")
    found |= PlacedTable({}, root.places(**dict(zip(lists, lists, strict=True))))
    apart = ("compiler_group_patterns", "sub_configs")
    found |= PlacedTable({}, compiler.places(**dict(zip(apart, apart, strict=True))))
    for list_ in lists:
        root.take(list_)
    for list_ in apart:
        compiler.take(list_)
    entries: dict[str, Sequence[Mapping[str, Any]]] = {
        "input_processors": input_processors(config, calibration.formats),
        "output_processors": output_processors(config),
        "src_extra_shapes": extra_shapes(config),
        "compiler_group_patterns": group_patterns(config.compiler, "compiler.compiler_group_patterns"),
        "sub_configs": sub_configs(config.compiler),
    }
    for attribute, own in entries.items():
        if own:
            found.put(attribute, own)
    return found


def _analysis(quant: MappedFields, name: str) -> PlacedTable:
    backend = quant.value("precision_analysis_mode") == "NPUBackend"
    renamed = dict(zip(("method", "mode", "input_sample_dir"), _ANALYSIS, strict=True))
    return {"quant": f":{name}" if backend else f":{name}_quant"} | quant.copy(**renamed)
