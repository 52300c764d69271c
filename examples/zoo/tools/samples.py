"""From the digits' table to the samples that the BUILD files name, decided by plain arithmetic."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from PIL import Image

TRAINING_PER_DIGIT = 400
CALIBRATION_DIGITS = 32


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
