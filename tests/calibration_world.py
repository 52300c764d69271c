"""A calibration set on disk and the run that decodes it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from axbuild.toolchain.data.decode import DecodeParams, decode

PICTURES = DecodeParams("", "Image", 32, "RGB")
ARRAYS = DecodeParams("", "Numpy", 32, "RGB")
BYTES = DecodeParams("", "Binary", 32, "RGB")


def png(color, size=(4, 4), mode="RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, color).save(stream, "PNG")
    return stream.getvalue()


def npy(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def tar(path: Path, files: dict[str, bytes], mode="w") -> Path:
    with tarfile.open(path, mode) as opened:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return path


def room_in(tmp_path):
    """A folder `source`, an interface with one input x [1, 3, 4, 4], and `run` which returns the samples by name."""

    class Room:
        source = tmp_path / "source"
        inputs = (("x", [1, 3, 4, 4]),)
        dtype = "float32"
        count = 0

        def run(self, params):
            self.count += 1
            out = tmp_path / f"out{self.count}"
            out.mkdir()
            described = [{"name": name, "shape": shape, "dtype": self.dtype} for name, shape in self.inputs]
            (tmp_path / "interface.json").write_text(json.dumps({"inputs": described, "outputs": []}))
            decode(self.source, tmp_path / "interface.json", out, params=params)
            return {path.stem: np.load(path) for path in sorted((out / "samples").iterdir())}

    Room.source.mkdir()
    return Room()
