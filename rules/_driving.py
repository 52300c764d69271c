"""Quantising and compiling by a real Pulsar2: attributes of our rules become the vendor's settings, by the paths that
they name; what has no such path the vendor does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.attributes import shown
from axbuild.workspace.rule import DEFAULT, Attribute, Choice, Settled, Stage

from ._chips import chosen
from ._nouns import FloatModel, Pulsar2AxModel, Pulsar2Quant, Samples
from ._processors import NEUTRAL, settle, unlike

QUANTISE = Stage(
    "axbuild.toolchain.pulsar2.driver.quantise:pulsar2_quantise",
    outputs=("quant/", "frontend/", "report.json", "log.txt"),
    external="pulsar2",
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
    model: FloatModel = t.model
    own = _written(t, attributes, ("model", "calibration", "toolchain"))
    front = _front_end(t, model)
    quant = own.pop("quant", {}) | {"input_configs": [_input_config(key, one) for key, one in t.calibration.items()]}
    pictures = {key: one for key, one in t.calibration.items() if one.format == "Image"}
    # The order of channels in calibration is that of the processors, and so is the layout.
    orders = [_processor({"tensor_name": key, **_form(one)}) for key, one in pictures.items()]
    config = own | front | {"model_type": "ONNX", "quant": quant} | ({"input_processors": orders} if orders else {})
    assert model.front is not None
    return Pulsar2Quant(model.front.source, t.calibration, config)


def compiled_by_pulsar2(
    t: Settled, plan: Plan, quant: Pulsar2Quant, attributes: Mapping[str, Attribute]
) -> Pulsar2AxModel:
    """Quantisation for the axmodel's chip, which all of its modes and batches share, and compilation."""
    if t.src_extra_shapes:
        raise _not_passed_on(t, "src_extra_shapes")
    chip = {"target_hardware": chosen(t)[0].name}
    settings = quant.config | chip | {"npu_mode": _ONE_CORE}
    sets = [samples.source for samples in quant.samples.values()]
    processors = settle(t, quant)
    config = _compilation(t, attributes, processors) | chip
    others = [_normalised_otherwise(processors, one) for one in unlike(quant, processors) if one["format"] == "Image"]
    told = {"unlike": others} if others else {}
    plan.preflight(PREFLIGHT, params={"quantisation": settings, "compilation": config} | told)
    quantised = plan.run(QUANTISE, model=quant.source, datasets=sets, params={"config": settings})
    compiled = plan.run(COMPILE, quant=quantised["quant/"], params={"config": config})
    plan.output("compiled.axmodel", compiled["compiled.axmodel"])
    for folder in ("quant/", "frontend/"):
        plan.output(folder, quantised[folder])
    if t.npu_perf:
        plan.output("compiler/", compiled["compiler/"])
    for name, done in (("quantisation", quantised), ("compilation", compiled)):
        plan.output(f"pulsar2/{name}.json", done["report.json"])
        plan.output(f"pulsar2/{name}.log", done["log.txt"])
    return Pulsar2AxModel(compiled["compiled.axmodel"])


def _compilation(t: Settled, attributes: Mapping[str, Attribute], processors: list[Config]) -> Config:
    """The settings of the axmodel, but for its chip."""
    apart = ("quant", "input_processors", "output_processors", "sub_configs")
    config = _written(t, attributes, apart) | {"npu_mode": t.npu_mode, "model_type": "QuantAxModel"}
    config["input_processors"] = [_processor(entry) for entry in processors]
    if outputs := t.plain("output_processors"):
        config["output_processors"] = [{"tensor_name": DEFAULT} | entry for entry in outputs]
    if parts := t.plain("sub_configs"):
        config.setdefault("compiler", {})["sub_configs"] = [_sub_config(t, entry) for entry in parts]
    return config


def _normalised_otherwise(processors: list[Config], calibrated: Config) -> str:
    """What to warn of where calibration normalised pictures otherwise."""
    (own,) = (one for one in processors if one["tensor_name"] == calibrated["tensor_name"])
    here, there = (f"mean {shown(one['mean'])} and std {shown(one['std'])}" for one in (own, calibrated))
    return f"the input processor of '{own['tensor_name']}' takes {here}, and calibration took {there}"


def _written(t: Settled, attributes: Mapping[str, Attribute], apart: tuple[str, ...]) -> Config:
    """What is not as it is by default, by the vendor's paths; raises an error about what has none. apart: attributes
    that are told otherwise."""
    config: Config = {}
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


def _front_end(t: Settled, model: FloatModel) -> Config:
    """What the float model's target says, which Pulsar2's own front end does."""
    if model.front is None or model.given is not None:
        sentence = "a real Pulsar2 takes float models from a file of ONNX, patched or not"
        raise t.error("model", sentence, hint=f"build this one with toolchain = {shown(AXBUILD)}", code="AX583")
    said = model.front.params["front"]
    for name in ("fix", "inputs", "outputs", "rename"):
        if said[name]:
            raise _not_passed_on(t, "model", f"the float model's {name}")
    shapes = ";".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in said["input_shapes"].items())
    switches = {"enable_onnxsim": model.front.params["enable_onnxsim"]}
    switches |= {name: said[name] for name in ("disable_onnx_optimization", "disable_transformation_check")}
    opt = {"onnx_opt": {name: True for name, on in switches.items() if on}}
    return ({"input_shapes": shapes} if shapes else {}) | (opt if opt["onnx_opt"] else {})


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
    for name in ("effort", "input_sample_dir"):
        if name in entry:
            raise _not_passed_on(t, "sub_configs", f"sub_configs.{name}")
    return {"check_cosine_simularity" if name == "check_cosine" else name: value for name, value in entry.items()}
