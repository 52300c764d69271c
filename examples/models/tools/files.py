"""What magika reads of a file: members of pinned wheels, told by the ends of their names."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ENDINGS = {
    ".cpp": "cpp",
    ".css": "css",
    ".csv": "csv",
    ".gz": "gzip",
    ".ini": "ini",
    ".jpg": "jpeg",
    ".json": "json",
    ".md": "markdown",
    ".onnx": "onnx",
    ".png": "png",
    ".py": "python",
    ".rst": "rst",
    ".so": "elf",
    ".wav": "wav",
    ".yaml": "yaml",
}
FEWEST_BYTES = 256
EACH = 12
"""files of one kind at most, half of which evaluate"""
SIDE, BLOCK, PADDING = 1024, 4096, 256
"""as magika's config.min.json has them: beg_size and end_size, block_size, padding_token"""


def features(content: bytes) -> np.ndarray:
    """int32 [1, 2048]: the first and the last bytes without the white space around them, as magika cuts them."""
    first = content[:BLOCK].lstrip()[:SIDE]
    last = content[-BLOCK:].rstrip()[-SIDE:]
    head = [*first, *[PADDING] * (SIDE - len(first))]
    tail = [*[PADDING] * (SIDE - len(last)), *last]
    return np.array([[*head, *tail]], dtype=np.int32)


def members(wheels: Path) -> Iterator[tuple[str, bytes]]:
    """(kind, content) of every file whose name tells its kind, wheel by wheel."""
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                kind = ENDINGS.get(Path(info.filename).suffix)
                if kind and info.file_size >= FEWEST_BYTES:
                    yield kind, archive.read(info)


def write_files(wheels: Path, config: Path, out: Path) -> None:
    """out/calibration/*.npy, out/evaluation/*.npy, and out/labels.json: the place of each one's kind among the
    model's answers. Files of a kind take turns in calibrating and evaluating."""
    space = json.loads(config.read_text(encoding="utf-8"))["target_labels_space"]
    for part in ("calibration", "evaluation"):
        (out / part).mkdir(parents=True)
    seen: dict[str, int] = dict.fromkeys(ENDINGS.values(), 0)
    labels = {}
    for kind, content in members(wheels):
        index = seen[kind]
        seen[kind] += 1
        if index < EACH:
            part = "evaluation" if index % 2 else "calibration"
            name = f"{kind}_{index:02}"
            np.save(out / part / f"{name}.npy", features(content), allow_pickle=False)
            if part == "evaluation":
                labels[name] = space.index(kind)
    (out / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")
