"""What `pulsar2 build` says, in the order of the vendor's stages and with the words that people look for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axbuild.engine.records.events import ActionFinished
from axbuild.errors import counted
from axbuild.report.pulsar2_checked import checks
from axbuild.report.pulsar2_compiled import compiled, fused, processed, transformed
from axbuild.report.pulsar2_tables import layer_table, model_table, quant_table, shape_of, shapes_of
from axbuild.report.story import Chapter, Line, Products
from axbuild.report.text_table import TextTable
from axbuild.store.fetch import shown
from axbuild.toolchain.by_name import DEFAULT, said_of
from axbuild.toolchain.pulsar2.checks import QUANTISED
from axbuild.toolchain.pulsar2.facts import StateCounts, model_facts, snapshot
from axbuild.toolchain.pulsar2.processors import extra_shapes
from axbuild.toolchain.pulsar2.schema import BuildConfig, InputProcessorConfig, InputQuantConfig
from axbuild.toolchain.pulsar2.schema import shapes_of as shapes_in

if TYPE_CHECKING:
    from axbuild.report.story import Told

OPTIMIZE, PATCH, DECODE, SURVEY, SPREAD = "optimize", "patch", "decode", "survey", "spread"
READ, SMOOTH, KEEP, TUNED = "read_quantised", "smooth", "keep_pairs", "finish"
QUANTIZE, PARTITION, FUSE, COMPARE = "quantize", "partition", "fuse", "compare"
CALIBRATE, IO_DATA, ANALYSE = "calibrate", "io_data", "analyse"

_PATCHED_CONSTANT = re.compile(r"(update data of const tensor) '(.*)' to \[(.*)\]", re.DOTALL)
_PATCHED_OPERATOR = re.compile(r"set op '")


def chapters(config: BuildConfig) -> list[Chapter]:
    """Of a build of `config`, which is resolved: every field says what counts."""
    teller, groups = _Teller(config), 1 + len(extra_shapes(config))
    quantised, quant = config.model_type == QUANTISED, config.quant
    told = [
        Chapter(READ, teller.read),
        Chapter(OPTIMIZE, teller.opening),
        Chapter(DECODE, teller.data),
        Chapter(SPREAD, loaded),
        Chapter(OPTIMIZE, teller.model),
        Chapter(DECODE, teller.settings),
        Chapter(KEEP, teller.smoothed),
        Chapter(TUNED, teller.tuned),
        Chapter(QUANTIZE, teller.quantised, least=groups),
        Chapter(IO_DATA, teller.exported),
        Chapter(ANALYSE, teller.analysed),
        Chapter(PARTITION, transformed, least=groups),
        Chapter(PARTITION, processed, action=PARTITION),
        Chapter(FUSE, compiled),
        *([Chapter(COMPARE, loaded)] if quantised and quant.input_configs else []),
        Chapter(COMPARE, checks, at_end=True),
        Chapter(COMPARE if is_checked(config) else FUSE, fused),
    ]
    wanted = {
        READ: quantised,
        OPTIMIZE: not quantised,
        DECODE: bool(quant.input_configs) and (not quantised or is_checked(config)),
        SPREAD: not quantised,
        KEEP: not quantised and bool(quant.enable_smooth_quant),
        TUNED: not quantised and any((quant.enable_adaround, quant.enable_lsq, quant.enable_brecq)),
        QUANTIZE: not quantised,
        IO_DATA: not quantised,
        ANALYSE: bool(quant.precision_analysis),
        COMPARE: is_checked(config),
    }
    return [one for one in told if wanted.get(one.after, True)]


def is_checked(config: BuildConfig) -> bool:
    return bool(config.compiler.check or any(one.check for one in config.compiler.sub_configs or ()))


class _Teller:
    def __init__(self, config: BuildConfig) -> None:
        self.config, self.out = config, Path(config.output_dir or "")

    def opening(self, products: Products) -> Iterator[Told]:
        """What the configuration changes of the model, and what it leaves to defaults."""
        config = self.config
        interface = _interface(products)
        yield from self._patches(products)
        if shapes := shapes_in(config.input_shapes or ""):
            yield Line(f"change input shape to {shapes_of(shapes)}", "WARNING")
        for index, shapes in enumerate(shape_groups(config, list(interface["inputs"])), 1):
            yield Line(f"extra input shape, index: {index}, shape: {shapes_of(shapes)}")
        yield from self._ends(interface["outputs"])

    def _ends(self, outputs: Iterable[str]) -> Iterator[Line]:
        """What is left to defaults at the model's ends."""
        config = self.config
        named = {one.tensor_name for one in config.output_processors or ()}
        left = [name for name in outputs if not named & {name, DEFAULT}]
        if left:
            yield Line(f"apply default output processor configuration to {left}", "WARNING")
        if any(_same_colours(one) for one in config.input_processors or ()):
            because = "src_format is AutoColorSpace or src_format and tensor_format are the same"
            yield Line(f"ignore input csc config because of {because}", "WARNING")

    def read(self, products: Products) -> Iterator[Told]:
        """A model that is quantised already, and what its inputs' processors go by."""
        config, interface = self.config, _interface(products)
        yield from self._ends(interface["outputs"])
        yield model_table(model_facts(Path(config.input or "")))
        yield Line(f"load quantised model from [{config.input}]")
        yield from _snapshots(_records(products, READ))
        for name in interface["inputs"]:
            mean, std = _normalisation(config, name)
            told = f"mean {mean}, std {std}" if mean or std else "neither mean nor std"
            yield Line(f"normalisation of [{name}]: {told}, as the configuration says")

    def _patches(self, products: Products) -> Iterator[Line]:
        for one in self.config.op_processors or ():
            for name, value in (one.attrs or {}).items():
                yield Line(f"set op [{one.op_name}] attr [{name}] to {value}")
        for note in products.notes(PATCH):
            if not _PATCHED_OPERATOR.match(note):
                yield Line(_PATCHED_CONSTANT.sub(r"\1 [\2], (\3)", note), "WARNING")

    def data(self, products: Products) -> Iterator[Line]:
        for one in self.config.quant.input_configs or ():
            yield Line(f"extract [{_without_secrets(str(one.calibration_dataset))}] to [{self._dataset(one)}]...")

    def _dataset(self, one: InputQuantConfig) -> Path:
        return self.out / "quant/dataset" / str(one.tensor_name)

    def model(self, products: Products) -> Iterator[Told]:
        yield model_table(model_facts(Path(self.config.input or "")))
        yield Line("Building onnx")
        yield Line(f"save optimized onnx to [{self.out / 'frontend/optimized.onnx'}]")

    def settings(self, products: Products) -> Iterator[Told]:
        yield quant_table(self._data_rows(_interface(products)["inputs"]))
        rows = [(_selected(one), _precision(one)) for one in self.config.quant.layer_configs or ()]
        if rows:
            yield layer_table(rows)
        if self.config.model_type != QUANTISED:
            yield Line(f"Transformer optimize level: {self.config.quant.transformer_opt_level}")

    def _data_rows(self, inputs: dict[str, Any]) -> Iterator[tuple[str, ...]]:
        formats = {one.tensor_name: str(one.tensor_format) for one in self.config.input_processors or ()}
        for one in self.config.quant.input_configs or ():
            for name, shape in inputs.items():
                if one.tensor_name in (name, DEFAULT):
                    order = formats.get(name) or formats.get(DEFAULT) or "AutoColorSpace"
                    mean, std = (str(list(values or ())) for values in (one.calibration_mean, one.calibration_std))
                    yield (name, str(shape), str(self._dataset(one)), str(one.calibration_format), order, mean, std)

    def smoothed(self, products: Products) -> Iterator[Line]:
        yield Line("Enable Smooth Quant, this pass is used for outlier activation.")
        (smooth, *_), (kept, *_) = products.ended(SMOOTH), products.ended(KEEP)
        yield from _lines(products.text(smooth, "outliers.txt"))
        yield from _lines(products.text(kept, "smooth_quant.log"))

    def tuned(self, products: Products) -> Iterator[Line]:
        yield from _lines(products.text(products.ended(TUNED)[0], "finetune.log"))

    def quantised(self, products: Products) -> Iterator[Line]:
        found = _records(products, QUANTIZE)
        yield from self._passes(products, found)
        yield from _snapshots(found)
        yield Line("Network Quantization Finished.")
        if not self.config.quant.disable_quant_optimization:
            yield Line("Do quant optimization")
        yield Line(f"quant.axmodel export success: [{self.out / 'quant/quant_axmodel.onnx'}]")

    def exported(self, products: Products) -> Iterator[Line]:
        yield Line(f"export io data to folder: [{self.out / 'quant/debug/io'}]")

    def _passes(self, products: Products, found: StateCounts) -> Iterator[Line]:
        """What became of the statistics, under the vendor's names and in its order; the vendor's passes that have no
        counterpart here are not named, and grids that a model brings with it go through none."""
        quant, calibrated = self.config.quant, bool(products.ended(CALIBRATE))
        named = {
            "Set MixPrecision": bool(quant.layer_configs or quant.highest_mix_precision),
            "Set LN Quant dtype Quant": quant.ln_scale_data_type not in (None, "FP32"),
            "Runtime Calibration": calibrated,
        }
        yield from _running(named)
        if calibrated:
            yield Line(f"Calibration Progress(Phase 1): {counted(sum(_samples(products)[:1]), 'sample')}")
        named = {
            "Quantization Alignment": calibrated,
            "Refine Scale": calibrated and not quant.disable_auto_refine_scale,
            "Passive Parameter Quantization": "PASSIVE_BAKED" in found.states,
            "Parameter Baking": "BAKED" in found.states,
        }
        yield from _running(named)

    def analysed(self, products: Products) -> Iterator[Told]:
        event = products.ended(ANALYSE)[0]
        lines = products.text(event, "precision_analysis_table.txt").splitlines()
        yield TextTable(tuple(lines), spare=("Type", "DType", "Shape", "Output Tensor"))
        yield Line(f"save precision analysis table to [{self.out / 'quant/debug/precision_analysis_table.txt'}]")
        yield Line(f"save precision analysis graph to [{self.out / 'quant/debug/precision_analysis.mmd'}]")


def _normalisation(config: BuildConfig, name: str) -> tuple[list[float], list[float]]:
    """mean and std of an input by the configuration: what its processor says, else what its pictures are given."""
    processor = said_of(name, {str(one.tensor_name): one for one in config.input_processors or ()})
    mean, std = (processor.mean, processor.std) if processor else (None, None)
    data = said_of(name, {str(one.tensor_name): one for one in config.quant.input_configs or ()})
    if data is not None and data.calibration_format == "Image":
        mean = data.calibration_mean if mean is None else mean
        std = data.calibration_std if std is None else std
    return list(mean or ()), list(std or ())


def _records(products: Products, stage: str) -> StateCounts:
    return snapshot(products.json(products.ended(stage)[0], "quant_axmodel.json"))


def _snapshots(found: StateCounts) -> Iterator[Line]:
    """How much of the network is quantised."""
    rows = {
        "Num of Op": found.operators[0],
        "Num of Quantized Op": found.operators[1],
        "Num of Variable": found.variables[0],
        "Num of Quantized Var": found.variables[1],
    }
    yield from _counted(" Network Snapshot ", rows)
    yield from _counted(" Quantization Snapshot ", {"Num of Quant Config": found.records} | found.states)


def shape_groups(config: BuildConfig, inputs: list[str]) -> list[dict[str, tuple[int, ...]]]:
    """The further shape groups: in each, input -> shape."""
    only = {DEFAULT: inputs[0]} if len(inputs) == 1 else {}
    return [{only.get(name, name): tuple(shape) for name, shape in group.items()} for group in extra_shapes(config)]


def _interface(products: Products) -> dict[str, dict[str, str]]:
    """inputs and outputs of the model, name -> shape."""
    for event in [*products.ended(OPTIMIZE), *products.ended(READ)][:1]:
        found = products.json(event, "interface.json")
        return {side: {one["name"]: shape_of(one["shape"]) for one in tensors} for side, tensors in found.items()}
    return {"inputs": {}, "outputs": {}}


def loaded(products: Products) -> Iterator[Line]:
    """Once every data set is there: what spreads samples over observations has seen all, as has a comparison."""
    yield from (Line(f"{count} File(s) Loaded.") for count in _samples(products))
    yield from map(Line, (*products.notes(DECODE), *products.notes(SURVEY)))


def _without_secrets(data: str) -> str:
    return shown(data) if "://" in data else data


def _samples(products: Products) -> list[int]:
    """How many samples each data set gave that calibrates, or did."""
    calibrating = {event.label for event in (*products.ended(SPREAD), *products.ended(READ))}
    counts: dict[str, int] = {}
    for event in products.ended(DECODE):
        if event.label in calibrating:
            of = event.action.partition("/")[0]
            counts[of] = counts.get(of, 0) + len(_files(event, "samples/"))
    return list(counts.values())


def _files(event: ActionFinished, tree: str) -> dict[str, str]:
    found: dict[str, str] = event.outputs.get(tree, {})
    return found


def _same_colours(one: InputProcessorConfig) -> bool:
    return one.csc_mode is not None and one.src_format in ("AutoColorSpace", one.tensor_format)


def _selected(one: Any) -> str:
    if one.start_tensor_names or one.end_tensor_names:
        return f"{', '.join(one.start_tensor_names or ())} -> {', '.join(one.end_tensor_names or ())}"
    single = one.layer_name or one.op_type
    return single or ", ".join(one.layer_names or one.op_types or ())


def _precision(one: Any) -> str:
    said = [str(one.data_type or "U8")]
    said += [f"weight {one.weight_data_type}"] if one.weight_data_type else []
    said += [f"output {one.output_data_type}"] if one.output_data_type else []
    return ", ".join(said)


def _running(passes: dict[str, bool]) -> Iterator[Line]:
    return (Line(f"AX {name} Pass Running ...", "") for name, runs in passes.items() if runs)


def _lines(text: str) -> Iterator[Line]:
    return (Line(line, "") for line in text.splitlines())


def _counted(title: str, rows: dict[str, int]) -> Iterable[Line]:
    yield Line(title.center(40, "-"), "")
    yield from (Line(f"{name + ':':<30}[{count}]", "") for name, count in rows.items())
