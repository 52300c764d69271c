"""From whole photographs to square crops, decided by plain arithmetic, so that every run makes the same pixels."""

from __future__ import annotations

from pathlib import Path

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
