"""Bring the models of this workspace and real data for each into fetched/; run by `make zoo`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import onnx
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tools"))

from files import write_files
from photographs import write_photographs
from sounds import write_music, write_speech
from text import write_text
from wheels import Recipe
from words import write_sentences


def write(raw: Path, wheels: Path, ready: Path) -> None:
    models = ready / "models"
    models.mkdir()
    for file in sorted([*raw.glob("*.onnx"), *raw.glob("*.pth")]):
        shutil.move(file, models / file.name)
    write_photographs(raw, ready / "photographs")
    write_labelled(raw, ready / "labelled")
    write_text(raw, ready / "photographs", ready)
    encode_lines(models / "ppocr_rec.onnx", ready / "lines" / "labels.json")
    encode_regions(models / "layout.onnx", ready / "sheets" / "labels.json")
    write_speech(raw, ready / "speech")
    write_music(ready / "music")
    write_sentences(raw / "minilm_tokenizer.json", HERE / "sentences.txt", ready / "sentences")
    write_files(wheels, raw / "magika.json", ready / "files")


def write_labelled(raw: Path, out: Path) -> None:
    """ImageNet's pictures imagenet_NN_CLASS.jpg as networks are evaluated on them: the middle 7/8 of the short side."""
    (out / "evaluation").mkdir(parents=True)
    labels = {}
    for file in sorted(raw.glob("imagenet_*.jpg")):
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        side = min(picture.size) * 7 // 8
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        middle = picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
        middle.save(out / "evaluation" / f"{file.stem}.png")
        labels[file.stem] = int(file.stem.rpartition("_")[2])
    (out / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")


def classes_of(model: Path) -> list[str]:
    """What a model of PaddleOCR tells apart, as its metadata lists it."""
    (listed,) = [entry.value for entry in onnx.load(model).metadata_props if entry.key == "character"]
    return listed.splitlines()


def encode_regions(model: Path, file: Path) -> None:
    """The class of each region becomes its number."""
    number = {name: index for index, name in enumerate(classes_of(model))}
    sheets = json.loads(file.read_text(encoding="utf-8"))
    labels = {name: [(number[kind], box) for kind, box in regions] for name, regions in sheets.items()}
    file.write_text(json.dumps(labels) + "\n", encoding="utf-8")


def encode_lines(model: Path, file: Path) -> None:
    """Each line's label becomes the numbers of its characters: class 0 is none of them, and the last one a space."""
    number = {character: index for index, character in enumerate(classes_of(model), start=1)}
    number[" "] = len(number) + 1
    lines = json.loads(file.read_text(encoding="utf-8"))
    labels = {name: [number[character] for character in line] for name, line in lines.items()}
    file.write_text(json.dumps(labels) + "\n", encoding="utf-8")


RECIPE = Recipe(HERE, write)

if __name__ == "__main__":
    RECIPE.run()
