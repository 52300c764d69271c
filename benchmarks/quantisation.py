"""How much quantisation costs in accuracy, beside onnxruntime's own: python benchmarks/quantisation.py [--json FILE]

After `axbuild build //mobilenet:axmodel //digits:axmodel` in the example's workspace. For each model, the float logits,
those of our quantised model and those of onnxruntime's static quantisation (MinMax, U8 activations, S8 weights a
channel, the same 32 calibration samples) on pictures that calibrated neither. One JSON object comes out: a name and a
figure each. SQNR is 10 log10(signal / noise) over all logits; cosine is the mean over pictures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from axbuild import InferenceSession
from axbuild.toolchain.data.decode import DecodeParams, decode
from axbuild.toolchain.data.inputs import InputData, load_sample, paired, tensor_input
from axbuild.toolchain.data.processors import source_input

ZOO = Path(__file__).resolve().parents[1] / "examples" / "zoo"
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Model:
    """A model of the zoo as it was built, and the pictures it is judged on, uint8 HWC."""

    name: str
    optimized: Path
    quantised: Path
    compiled: Path
    data: InputData
    calibration: list[Array]
    evaluation: list[Array]
    labels: Array | None


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Feeds of onnxruntime's calibration."""

    def __init__(self, feeds: Sequence[dict[str, Array]]) -> None:
        self.feeds: Iterator[dict[str, Array]] = iter(feeds)

    def get_next(self) -> dict[str, Array] | None:
        return next(self.feeds, None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--zoo", type=Path, default=ZOO, help="the example's workspace, fetched and built")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    for model in (mobilenet(options.zoo), digits(options.zoo)):
        figures.update(judged(model))
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0


def mobilenet(zoo: Path) -> Model:
    """19 breeds of dogs; the pictures of `evaluation` come from other photographs than those of `calibration`."""
    fetched = zoo / "fetched" / "photographs"
    sets = [decoded(zoo, "mobilenet", fetched / part) for part in ("calibration", "evaluation")]
    return built(zoo, "mobilenet", sets[0], sets[1], None)


def digits(zoo: Path) -> Model:
    """Handwritten digits with their labels."""
    fetched = zoo / "fetched" / "digits"
    pictures = [picture[:, :, np.newaxis] for picture in np.load(fetched / "test_images.npy", allow_pickle=False)]
    labels = np.load(fetched / "test_labels.npy", allow_pickle=False)
    return built(zoo, "digits", decoded(zoo, "digits", fetched / "calibration"), pictures, labels)


def built(zoo: Path, name: str, calibration: list[Array], evaluation: list[Array], labels: Array | None) -> Model:
    folder = zoo / "axbuild-out" / name / "axmodel"
    optimized, quantised = folder / "frontend" / "optimized.onnx", folder / "quant" / "quant_axmodel.onnx"
    if not optimized.exists() or not quantised.exists():
        sys.exit(f"{folder} is not built: run `axbuild build //{name}:axmodel` in {zoo}")
    settings = calibration_set(zoo, name)
    data = InputData(inputs_of(optimized)[0].name, "Image", tuple(settings["mean"]), tuple(settings["std"]))
    compiled = folder / "compiled.axmodel"
    return Model(name, optimized, quantised, compiled, data, calibration, evaluation, labels)


def calibration_set(zoo: Path, package: str) -> dict[str, Any]:
    """The package's `calib` as its BUILD file states it."""
    tables = tomllib.loads((zoo / package / "BUILD.toml").read_text(encoding="utf-8"))["calibration_set"]
    return next(table for table in tables if table["name"] == "calib")


def decoded(zoo: Path, package: str, pictures: Path) -> list[Array]:
    """All pictures of a folder, resized to the model's input as a build does it, in order of name."""
    optimized = zoo / "axbuild-out" / package / "axmodel" / "frontend" / "optimized.onnx"
    if not optimized.exists():
        sys.exit(f"{optimized} is missing: run `axbuild build //{package}:axmodel` in {zoo}")
    (port,) = inputs_of(optimized)
    with tempfile.TemporaryDirectory() as name:
        interface = Path(name) / "interface.json"
        described = {"name": port.name, "shape": port.shape, "dtype": "float32"}
        interface.write_text(json.dumps({"inputs": [described], "outputs": []}), encoding="utf-8")
        params = DecodeParams("", "Image", -1, calibration_set(zoo, package)["tensor_format"])
        decode(pictures, interface, Path(name), params=params)
        return [load_sample(files[0]) for _, files in paired([Path(name) / "samples"])]


def inputs_of(model: Path) -> Any:
    return session(model).get_inputs()


def session(model: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def judged(model: Model) -> dict[str, float]:
    """Figures of one model, each name prefixed with the model's."""
    feeds = [{model.data.name: tensor_input(picture, model.data)} for picture in model.evaluation]
    reference = logits(session(model.optimized), feeds)
    with tempfile.TemporaryDirectory() as name:
        peer = logits(session(onnxruntime_static(model, Path(name))), feeds)
    candidates = {"axbuild": logits(session(model.quantised), feeds), "onnxruntime": peer}
    if model.compiled.exists():
        candidates["simulated"] = simulated(model)
    figures: dict[str, float] = {"pictures": len(feeds)}
    if model.labels is not None:
        figures["float_accuracy"] = accuracy(reference, model.labels)
    for who, values in candidates.items():
        figures[f"{who}_cosine"] = round(cosine(reference, values), 6)
        figures[f"{who}_sqnr_db"] = round(sqnr(reference, values), 2)
        figures[f"{who}_same_class"] = float((reference.argmax(axis=1) == values.argmax(axis=1)).mean())
        if model.labels is not None:
            figures[f"{who}_accuracy"] = accuracy(values, model.labels)
    return {f"{model.name}_{key}": value for key, value in figures.items()}


def onnxruntime_static(model: Model, folder: Path) -> Path:
    """onnxruntime's static quantisation of the optimised float model in our scheme."""
    feeds = [{model.data.name: tensor_input(picture, model.data)} for picture in model.calibration]
    quantize_static(
        model.optimized,
        folder / "static.onnx",
        Reader(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )
    return folder / "static.onnx"


def logits(running: Any, feeds: Sequence[dict[str, Array]]) -> Array:
    """float32 [pictures, classes]"""
    return np.concatenate([running.run(None, feed)[0] for feed in feeds])


def simulated(model: Model) -> Array:
    """The compiled model on the pictures themselves; it normalises by itself."""
    running = InferenceSession(model.compiled)
    (port,) = running.get_inputs()
    dtype, layout = ("uint8" if "uint8" in port.type else "float32"), "NHWC" if port.shape[-1] in (1, 3) else "NCHW"
    feeds = [{port.name: source_input(picture, model.data, dtype, layout)} for picture in model.evaluation]
    return np.concatenate([running.run(None, feed)[0] for feed in feeds])


def accuracy(values: Array, labels: Array) -> float:
    return float((values.argmax(axis=1) == labels).mean())


def sqnr(reference: Array, values: Array) -> float:
    signal, noise = (float((part.astype(np.float64) ** 2).sum()) for part in (reference, values - reference))
    return 10 * float(np.log10(signal / noise))


def cosine(reference: Array, values: Array) -> float:
    a, b = reference.astype(np.float64), values.astype(np.float64)
    return float(((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).mean())


if __name__ == "__main__":
    sys.exit(main())
