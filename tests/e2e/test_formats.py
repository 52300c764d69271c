"""Two inputs calibrated on the same values in all four formats, packed in every way that a set may be."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from net_workspace import CHECK, PRECISION
from zoo_workspace import Zoo

MEAN, STD = (103.939, 116.779, 123.68), 58.0
SETS = """
[[float_model]]
name = "float"
src = "net.onnx"

[[calibration_set]]
name = "pictures"
src = "pictures.tar"
tensor_format = "RGB"
mean = [103.939, 116.779, 123.68]
std = [58.0]
size = -1
"""
SET = '\n[[calibration_set]]\nname = "{name}"\nsrc = {src}\nformat = "{format}"\nsize = -1\n'
QUANT = '\n[[quant_model]]\nname = "{name}"\nmodel = ":float"\ncalibration = {calibration}\n'
SOURCES = {
    "arrays": ("Numpy", '"arrays.zip"'),
    "array_glob": ("Numpy", '"loose/*.npy"'),
    "bytes": ("Binary", '"bytes.tar.gz"'),
    "byte_list": ("Binary", '["b/0.bin", "b/1.bin", "b/2.bin"]'),
    "byte_folder": ("Binary", '"b"'),
    "objects": ("NumpyObject", '"objects.tgz"'),
}
QUANTS = {
    "of_pictures": '{ image = ":pictures", vector = ":array_glob" }',
    "of_arrays": '{ image = ":arrays", vector = ":array_glob" }',
    "of_bytes": '{ image = ":bytes", vector = ":byte_list" }',
    "of_folders": '{ image = ":arrays", vector = ":byte_folder" }',
    "of_objects": '":objects"',
}
COUNT = 3


def net() -> onnx.ModelProto:
    """y = mean over pixels of conv(image) + vector."""
    weight = np.random.default_rng(1).standard_normal((4, 3, 1, 1), dtype=np.float32)
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], name="conv"),
        helper.make_node("GlobalAveragePool", ["c"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Add", ["f", "vector"], ["y"], name="join"),
    ]
    inputs = [value("image", TensorProto.FLOAT, [1, 3, 4, 4]), value("vector", TensorProto.FLOAT, [1, 4])]
    outputs = [value("y", TensorProto.FLOAT, [1, 4])]
    graph = helper.make_graph(nodes, "two", inputs, outputs, [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def saved(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def packed(path: Path, files: dict[str, bytes]) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name, content in files.items():
                zipped.writestr(name, content)
        return
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as opened:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Zoo:
    root = tmp_path_factory.mktemp("formats") / "ws"
    m = root / "m"
    for folder in ("loose", "b"):
        (m / folder).mkdir(parents=True)
    (root / "axbuild.toml").touch()
    onnx.save(net(), m / "net.onnx")
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (COUNT, 4, 4, 3), dtype=np.uint8)
    images = (pixels.astype(np.float32) - np.float32(MEAN)) / np.float32(STD)
    images = np.ascontiguousarray(images.transpose(0, 3, 1, 2)[:, np.newaxis])
    vectors = rng.standard_normal((COUNT, 1, 4), dtype=np.float32)
    pictures = {}
    for number in range(COUNT):
        stream = io.BytesIO()
        Image.fromarray(pixels[number]).save(stream, "PNG")
        pictures[f"set/{number}.png"] = stream.getvalue()
        (m / f"loose/{number}.npy").write_bytes(saved(vectors[number]))
        (m / f"b/{number}.bin").write_bytes(vectors[number].tobytes())
    objects = [{"image": image, "vector": vector} for image, vector in zip(images, vectors, strict=True)]
    packed(m / "pictures.tar", pictures)
    packed(m / "arrays.zip", {f"{number}.npy": saved(image) for number, image in enumerate(images)})
    packed(m / "bytes.tar.gz", {f"input1/{number}.bin": image.tobytes() for number, image in enumerate(images)})
    packed(m / "objects.tgz", {f"{number}.npy": saved(one) for number, one in enumerate(objects)})
    sets = [SET.format(name=name, format=form, src=src) for name, (form, src) in SOURCES.items()]
    quants = [QUANT.format(name=name, calibration=calibration) for name, calibration in QUANTS.items()]
    axmodel = '\n[[axmodel]]\nname = "axmodel"\nquant = ":of_objects"\n'
    precision = PRECISION.replace(":quant", ":of_objects")
    (m / "BUILD.toml").write_text("".join([SETS, *sets, *quants, axmodel, CHECK, precision]))
    return Zoo(root, root.parent / "cache")


def test_the_four_formats_of_the_same_values_give_the_same_scales(zoo):
    zoo.build(*(f"//m:{name}" for name in QUANTS))
    models = {(zoo.root / f"axbuild-out/m/{name}/quant/quant_axmodel.onnx").read_bytes() for name in QUANTS}
    assert len(models) == 1


def test_a_model_calibrated_on_dicts_is_compiled_checked_and_measured_on_them(zoo):
    done = zoo.run("test", "//m:check", "//m:precision")
    assert done.code == 0, done.out + done.err


def test_a_missing_partner_is_named_from_both_sides(zoo):
    (zoo.root / "m/b/2.bin").rename(zoo.root / "m/b/third.bin")
    try:
        done = zoo.run("build", "//m:of_folders")
    finally:
        (zoo.root / "m/b/third.bin").rename(zoo.root / "m/b/2.bin")
    assert done.code == 2
    assert "sample '2' is in the set of input 'image' and not in that of 'vector'" in done.err
    assert "sample 'third' is in the set of input 'vector' and not in that of 'image'" in done.err
