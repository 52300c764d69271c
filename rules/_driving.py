"""Quantising and compiling by a real Pulsar2: attributes of our rules become the vendor's settings, by the paths that
they name; what has no such path the vendor does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from axbuild.graph.plan import Outputs, Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.attributes import shown
from axbuild.workspace.rule import DEFAULT, Attribute, Choice, Settled, Stage

from ._chips import chosen
from ._nouns import FrontEnd, Pulsar2AxModel, Pulsar2Compilation, Pulsar2Quant, Samples
from ._processors import NEUTRAL, not_calibrated, settle, unlike
from ._sub_configs import profiled
from .checking import folder_of
from .shapes import Sizes, check_groups

QUANTISE = Stage(
    "axbuild.toolchain.pulsar2.driver.quantise:pulsar2_quantise",
    outputs=("quant/", "frontend/", "report.json", "log.txt"),
    external="pulsar2",
    device=True,
)
COMPILE = Stage(
    "axbuild.toolchain.pulsar2.driver.compile:pulsar2_compile",
    outputs=("compiled.axmodel", "compiler/", "report.json", "log.txt"),
    external="pulsar2",
)

PREFLIGHT = Stage(
    "axbuild.toolchain.pulsar2.driver.preflight:pulsar2_preflight", outputs=("quantisation.json", "compilation.json")
)

AXBUILD, PULSAR2 = "axbuild", "pulsar2"
_ONE_CORE = "NPU1"
"""the mode that every chip has; a quantisation is the same for all"""
_ONE_GPU = "cuda:0"
"""what a GPU is called where Pulsar2 sees no other"""
_OF_PARTS = {"check_cosine": "check_cosine_simularity"}

Config = dict[str, Any]


def toolchain_attribute() -> Choice:
    """The attribute `toolchain`."""
    return Choice(
        "What quantises the model and compiles it: axbuild itself, or a real Pulsar2, the one that `pulsar2` under "
        "[toolchain] in axbuild.toml names.",
        (AXBUILD, PULSAR2),
        default=AXBUILD,
    )


def quantised_by_pulsar2(t: Settled, attributes: Mapping[str, Attribute]) -> Pulsar2Quant:
    """What a quant_model asks of a real Pulsar2."""
    front: FrontEnd | None = t.model.front
    if front is None:
        sentence = "a real Pulsar2 takes float models from a file of ONNX, and a rule of this workspace made this one"
        raise t.error("model", sentence, hint=f"build it with toolchain = {shown(AXBUILD)}", code="AX583")
    own = written(t, attributes, ("model", "calibration", "toolchain"))
    quant = own.pop("quant", {}) | {"input_configs": [_input_config(key, one) for key, one in t.calibration.items()]}
    if quant.get("device"):
        quant["device"] = _ONE_GPU
    pictures = {key: one for key, one in t.calibration.items() if one.format == "Image"}
    # The order of channels in calibration is that of the processors, and so is the layout.
    orders = [_processor({"tensor_name": key, **_form(one)}) for key, one in pictures.items()]
    config = own | _front_end(t, front) | {"quant": quant} | ({"input_processors": orders} if orders else {})
    return Pulsar2Quant(front.whole, t.calibration, config, t.device, front.params["front"]["input_shapes"])


def compiled_by_pulsar2(
    t: Settled, plan: Plan, quant: Pulsar2Quant, attributes: Mapping[str, Attribute]
) -> Pulsar2AxModel:
    """Quantisation for the axmodel's chip, which all of its modes and batches share, and compilation."""
    chip = {"target_hardware": chosen(t)[0].name}
    settings = quant.config | chip | {"npu_mode": _ONE_CORE}
    processors = settle(t, quant)
    asked = _compilation(t, quant, attributes, processors, chip)
    others = [_normalised_otherwise(processors, one) for one in unlike(quant, processors) if one["format"] == "Image"]
    told = {"unlike": others} if others else {}
    plan.preflight(PREFLIGHT, params={"quantisation": settings, "compilation": asked.config} | told)
    sets = datasets(quant)
    params = {"config": settings, "places": list(sets)}
    quantised = plan.run(QUANTISE, model=quant.source, data=[*sets.values()], params=params, device=quant.device)
    compiled = compiling(plan, COMPILE, quantised["quant/"], asked)
    plan.output("compiled.axmodel", compiled["compiled.axmodel"])
    for folder in ("quant/", "frontend/"):
        plan.output(folder, quantised[folder])
    if profiled(t):
        plan.output("compiler/", compiled["compiler/"])
    hand_over_logs(plan, quantisation=quantised, compilation=compiled)
    return Pulsar2AxModel(compiled["compiled.axmodel"], quant, quantised["quant/"], settings, asked)


def compiling(plan: Plan, stage: Stage, quantised: Artifact, asked: Pulsar2Compilation) -> Outputs:
    params = {"config": asked.config, "places": list(asked.data)}
    return plan.run(stage, quant=quantised, data=[*asked.data.values()], params=params)


def hand_over_logs(plan: Plan, **runs: Outputs) -> None:
    for name, done in runs.items():
        plan.output(f"pulsar2/{name}.json", done["report.json"])
        plan.output(f"pulsar2/{name}.log", done["log.txt"])


def datasets(quant: Pulsar2Quant) -> dict[str, Artifact]:
    """The calibration sets, by where their paths stand in the vendor's settings."""
    sets = enumerate(quant.samples.values())
    return {f"quant.input_configs.{number}.calibration_dataset": samples.source for number, samples in sets}


def on_calibration_data(asked: Pulsar2Compilation, quant: Pulsar2Quant) -> Pulsar2Compilation:
    """The compilation with data to check on, which would be random numbers otherwise."""
    entries = {"input_configs": quant.config["quant"]["input_configs"]}
    return Pulsar2Compilation(asked.config | {"quant": entries}, asked.data | datasets(quant))


def _compilation(
    t: Settled, quant: Pulsar2Quant, attributes: Mapping[str, Attribute], processors: list[Config], chip: Config
) -> Pulsar2Compilation:
    """What the axmodel asks for."""
    apart = ("quant", "input_processors", "output_processors", "sub_configs", "src_extra_shapes")
    config = written(t, attributes, apart) | {"npu_mode": t.npu_mode, "model_type": "QuantAxModel"} | chip
    config["input_processors"] = _with_shapes(t, quant, [_processor(entry) for entry in processors])
    if outputs := t.plain("output_processors"):
        config["output_processors"] = [{"tensor_name": DEFAULT} | entry for entry in outputs]
    if parts := t.plain("sub_configs"):
        config.setdefault("compiler", {})["sub_configs"] = [_sub_config(t, entry) for entry in parts]
    folders = {
        f"compiler.sub_configs.{number}.input_sample_dir": folder_of(t, "sub_configs", one.input_sample_dir)
        for number, one in enumerate(t.sub_configs)
    }
    asked = Pulsar2Compilation(config, {place: folder for place, folder in folders.items() if folder})
    return on_calibration_data(asked, quant) if any(one.check for one in t.sub_configs) else asked


def _normalised_otherwise(processors: list[Config], calibrated: Config) -> str:
    """What to warn of where calibration normalised pictures otherwise."""
    (own,) = (one for one in processors if one["tensor_name"] == calibrated["tensor_name"])
    here, there = (f"mean {shown(one['mean'])} and std {shown(one['std'])}" for one in (own, calibrated))
    return f"the input processor of '{own['tensor_name']}' takes {here}, and calibration took {there}"


def _with_shapes(t: Settled, quant: Pulsar2Quant, processors: list[Config]) -> list[Config]:
    """The processors with the shape of their input in each shape group, as many for every input."""
    groups = check_groups(t)
    if not groups:
        return processors
    by_name = {entry["tensor_name"]: entry for entry in processors}
    named = {name for group in groups for name in group}
    if DEFAULT in named and len(by_name) == 1:
        return [entry | _extra(DEFAULT, groups, {}, t) for entry in processors]
    if DEFAULT in named:
        sentence = f"src_extra_shapes names {DEFAULT}, which is a model's only input; there are {', '.join(by_name)}"
        raise t.error("src_extra_shapes", sentence, code="AX115")
    default = by_name.pop(DEFAULT, {})  # every input has an entry of its own then
    if not default and (unknown := sorted(named - by_name.keys())):
        raise not_calibrated(t, "src_extra_shapes", unknown[0], quant)
    return [
        (by_name.get(name) or {**default, "tensor_name": name}) | _extra(name, groups, quant.shapes, t)
        for name in sorted(named | by_name.keys())
    ]


def _extra(name: str, groups: Sequence[Sizes], own: Sizes, t: Settled) -> Config:
    shapes = [group.get(name) or own.get(name) for group in groups]
    if None in shapes:
        sentence = f"src_extra_shapes has a group without '{name}', and a real Pulsar2 takes a shape of every input"
        hint = "write it in each group, or its own shape in the float model's input_shapes"
        raise t.error("src_extra_shapes", sentence, hint=hint, code="AX583")
    return {"src_extra_shapes": [{"shape": list(shape)} for shape in shapes if shape]}


def written(
    t: Settled, attributes: Mapping[str, Attribute], apart: tuple[str, ...], over: Config | None = None
) -> Config:
    """What is not as it is by default, by the vendor's paths; raises an error about what has none. apart: attributes
    that are told otherwise; over: settings that it joins."""
    config = deepcopy(over or {})
    for name, attribute in attributes.items():
        value = t.plain(name)
        if name in apart or value is None or _same(value, attribute.default):
            continue
        if not attribute.vendor:
            raise _not_passed_on(t, name)
        *way, last = attribute.vendor.split(".")
        table = config
        for step in way:
            table = table.setdefault(step, {})
        table[last] = value
    return config


def _same(value: Any, default: Any) -> bool:
    return value == default or (not value and not default)


def _not_passed_on(t: Settled, name: str, what: str = "") -> Exception:
    sentence = f"a real Pulsar2 is not told of {what or name}"
    return t.error(name, sentence, hint=f"leave it out, or build with toolchain = {shown(AXBUILD)}", code="AX583")


def _form(samples: Samples) -> Config:
    return {"tensor_format": samples.tensor_format, "tensor_layout": samples.tensor_layout}


def _front_end(t: Settled, front: FrontEnd) -> Config:
    """What the float model's target says, which Pulsar2's own front end does."""
    said = front.params["front"]
    for name in ("fix", "inputs", "outputs", "rename"):
        if said[name]:
            raise _not_passed_on(t, "model", f"the float model's {name}")
    shapes = ";".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in said["input_shapes"].items())
    switches = {"enable_onnxsim": front.params["enable_onnxsim"]}
    switches |= {name: said[name] for name in ("disable_onnx_optimization", "disable_transformation_check")}
    switches |= {name: front.asked[name] for name in ("model_check", "save_tensors_data")}
    config: Config = {"model_type": front.asked["model_type"]}
    if shapes:
        config["input_shapes"] = shapes
    if wanted := {name: True for name, on in switches.items() if on}:
        config["onnx_opt"] = wanted
    return config


def _input_config(key: str, samples: Samples) -> Config:
    config: Config = {"tensor_name": key, "calibration_format": samples.format, "calibration_size": samples.size}
    named = (("calibration_mean", samples.mean), ("calibration_std", samples.std))
    return config | {name: list(values) for name, values in named if values}


def _processor(entry: Config) -> Config:
    """A settled processor without what is so by default."""
    written = {name: value for name, value in entry.items() if name in NEUTRAL}
    return {
        name: value for name, value in written.items() if name == "tensor_name" or not _same(value, NEUTRAL.get(name))
    }


def _sub_config(t: Settled, entry: Config) -> Config:
    if "effort" in entry:
        raise _not_passed_on(t, "sub_configs", "sub_configs.effort")
    return {_OF_PARTS.get(name, name): value for name, value in entry.items() if name != "input_sample_dir"}
