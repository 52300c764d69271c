"""From whole pictures and the digits' table to the samples that the BUILD files name.

Everything is decided here by plain arithmetic, so that every run makes the same pixels.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from PIL import Image

CROP_SIDE = 224

# The split is by picture: no scene is on both sides. Six pictures calibrate (32 crops), five evaluate (24 crops).
CALIBRATION = {
    "astronaut.png": 6,
    "chelsea.png": 6,
    "china.jpg": 6,
    "coffee.png": 5,
    "hubble.jpg": 4,
    "rocket.jpg": 5,
}
EVALUATION = {
    "camera.png": 5,
    "flower.jpg": 6,
    "ihc.png": 4,
    "motorcycle.png": 6,
    "retina.jpg": 3,
}

TRAINING_PER_DIGIT = 400
CALIBRATION_DIGITS = 32


def crop_box(width: int, height: int, index: int) -> tuple[int, int, int, int]:
    """The index-th square window of a picture: its side falls from the whole short side to 0.55 of it, and its place
    follows the plastic-number sequence, which spreads any number of points evenly."""
    side = int(min(width, height) * (1.0 - 0.15 * (index % 4)))
    across = (0.5 + index * 0.7548776662466927) % 1.0
    down = (0.5 + index * 0.5698402909980532) % 1.0
    left, top = int((width - side) * across), int((height - side) * down)
    return left, top, left + side, top + side


def write_photographs(raw: Path, out: Path) -> None:
    """Square RGB crops of CROP_SIDE pixels as PNG: out/calibration and out/evaluation."""
    for folder, counts in (("calibration", CALIBRATION), ("evaluation", EVALUATION)):
        (out / folder).mkdir(parents=True)
        for name, count in counts.items():
            with Image.open(raw / name) as opened:
                picture = opened.convert("RGB")
            for index in range(count):
                window = picture.crop(crop_box(*picture.size, index))
                scaled = window.resize((CROP_SIDE, CROP_SIDE), Image.Resampling.LANCZOS)
                scaled.save(out / folder / f"{Path(name).stem}_{index}.png")


def read_digits(table: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images u8 [5000, 28, 28] (0 is background) and labels u8 [5000] of the 5,000-digit table."""
    with gzip.open(table, "rt") as lines:
        rows = np.loadtxt(lines, delimiter=",", dtype=np.int64)
    if rows.shape != (5000, 785) or rows.min() < 0 or rows.max() > 255:
        raise ValueError(f"{table}: expected 5000 rows of 784 pixels and a label, got {rows.shape}")
    return rows[:, :784].astype(np.uint8).reshape(-1, 28, 28), rows[:, 784].astype(np.uint8)


def write_digits(table: Path, out: Path) -> None:
    """The first 400 of each digit train and the other 100 test; 32 of the training digits, spread over the
    classes, calibrate as greyscale PNG."""
    images, labels = read_digits(table)
    order = np.argsort(labels, kind="stable")
    rank = np.empty(len(labels), dtype=np.int64)
    for digit in range(10):
        rank[labels == digit] = np.arange(np.count_nonzero(labels == digit))
    training = order[rank[order] < TRAINING_PER_DIGIT]
    test = order[rank[order] >= TRAINING_PER_DIGIT]
    (out / "calibration").mkdir(parents=True)
    for part, chosen in (("training", training), ("test", test)):
        np.save(out / f"{part}_images.npy", images[chosen], allow_pickle=False)
        np.save(out / f"{part}_labels.npy", labels[chosen], allow_pickle=False)
    for count, index in enumerate(training[:: len(training) // CALIBRATION_DIGITS][:CALIBRATION_DIGITS]):
        Image.fromarray(images[index]).save(out / "calibration" / f"digit_{count:02}_is_{labels[index]}.png")
