"""Drawn text: lines, pages and captchas by Pillow's own font, on paper as worn as scans are.

Every choice comes from a seeded random.Random, whose stream no version of Python changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFilter, ImageFont

Box = tuple[int, int, int, int]
"""left, top, right, bottom"""

LINE = (320, 48)
DIRECTION = (192, 48)
PAGE = (480, 480)
SHEET = (608, 800)
CAPTCHA = 416
CHARACTERS = "ABDEFGHKMNPQRSTXYZabdefhkmnrtyz2345678"


def words_of(file: Path) -> list[str]:
    """The plain words of a text, in its order."""
    return re.findall(r"[A-Za-z][A-Za-z'-]*[,.;]?", file.read_text(encoding="utf-8"))


def endless(words: list[str], rng: Random) -> Iterator[str]:
    """The words in order from a place of chance, over and over."""
    start = rng.randrange(len(words))
    while True:
        yield from words[start:]
        start = 0


def font(size: int) -> ImageFont.FreeTypeFont:
    loaded = ImageFont.load_default(size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType: its own font has one size only")
    return loaded


def line_of(words: Iterator[str], face: ImageFont.FreeTypeFont, width: int) -> str:
    """As many words as fit, the first one cut to size where it alone does not."""
    line = next(words)
    while face.getlength(line) > width:
        line = line[:-1]
    for word in words:
        if face.getlength(f"{line} {word}") > width:
            return line
        line = f"{line} {word}"
    return line


def colours(rng: Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Paper and ink."""
    paper = tuple(rng.randrange(170, 256) for _ in range(3))
    ink = tuple(rng.randrange(0, 110) for _ in range(3))
    return paper, ink


def worn(picture: Image.Image, rng: Random, strength: float) -> Image.Image:
    """Grain, and now and then out of focus."""
    noise = Image.frombytes("L", picture.size, rng.randbytes(picture.width * picture.height))
    grained = Image.blend(picture, Image.merge("RGB", [noise] * 3), strength * rng.random())
    return grained.filter(ImageFilter.GaussianBlur(rng.choice((0, 0.4, 0.8))))


def draw_line(words: Iterator[str], size: tuple[int, int], rng: Random) -> tuple[Image.Image, str]:
    """One line of text that fills the picture's height, and what it says."""
    paper, ink = colours(rng)
    picture = Image.new("RGB", size, paper)
    face = font(rng.randrange(26, 36))
    text = line_of(words, face, size[0] - 12)
    top = rng.randrange(0, 8)
    ImageDraw.Draw(picture).text((6, top), text, ink, face)
    return worn(picture, rng, 0.25), text


def draw_page(words: Iterator[str], rng: Random) -> tuple[Image.Image, list[Box]]:
    """Separate lines of all sizes, and the box of each."""
    paper, ink = colours(rng)
    picture = Image.new("RGB", PAGE, paper)
    pencil = ImageDraw.Draw(picture)
    top, boxes = rng.randrange(10, 40), []
    while top < PAGE[1] - 60:
        face = font(rng.randrange(16, 40))
        left = rng.randrange(8, 160)
        text = line_of(words, face, PAGE[0] - left - 8)
        pencil.text((left, top), text, ink, face)
        boxes.append(rounded(pencil.textbbox((left, top), text, face)))
        top = boxes[-1][3] + rng.randrange(14, 50)
    return worn(picture, rng, 0.2), boxes


def draw_sheet(words: Iterator[str], figure: Image.Image, rng: Random) -> tuple[Image.Image, list[tuple[str, Box]]]:
    """A page of a paper: a title, two columns, a figure with its caption; and the box of each region."""
    picture = Image.new("RGB", SHEET, colours(rng)[0])
    pencil = ImageDraw.Draw(picture)
    regions: list[tuple[str, Box]] = []

    def write(kind: str, place: tuple[int, int], width: int, size: int, before: str = "") -> None:
        face = font(size)
        text = before + line_of(words, face, width)
        pencil.text(place, text, "black", face)
        regions.append((kind, rounded(pencil.textbbox(place, text, face))))

    write("title", (40, 30), SHEET[0] - 80, 30)
    side = rng.randrange(200, 250)
    column, height = rng.randrange(2), rng.randrange(100, 440)
    for number in range(2):
        left = 40 + 272 * number
        for top in range(100, 760, 17):
            if number != column or not height - 17 < top < height + side + 24:
                write("text", (left, top), 250, 12)
    left = 40 + 272 * column
    picture.paste(figure.resize((250, side)), (left, height))
    regions.append(("figure", (left, height, left + 250, height + side)))
    write("figure_caption", (left, height + side + 4), 180, 10, "Figure 1: ")
    return worn(picture, rng, 0.1), joined(regions)


def joined(regions: list[tuple[str, Box]]) -> list[tuple[str, Box]]:
    """Lines of text that follow each other closely in one column are one region."""
    found: list[tuple[str, Box]] = []
    for kind, box in regions:
        before = found[-1] if found else None
        if before and kind == before[0] == "text" and 0 <= box[1] - before[1][3] < 17:
            _, (left, top, right, _) = found.pop()
            box = (left, top, max(right, box[2]), box[3])
        found.append((kind, box))
    return found


def rounded(box: tuple[float, ...]) -> Box:
    left, top, right, bottom = map(round, box)
    return left, top, right, bottom


def draw_captcha(background: Image.Image, rng: Random) -> tuple[Image.Image, list[Box]]:
    """A photograph with characters to be found on it, and the box of each."""
    picture = background.resize((CAPTCHA, CAPTCHA))
    boxes: list[Box] = []
    for row, column in rng.sample([(row, column) for row in range(3) for column in range(3)], rng.randrange(3, 6)):
        glyph = Image.new("L", (120, 120))
        ImageDraw.Draw(glyph).text((60, 60), rng.choice(CHARACTERS), 255, font(rng.randrange(70, 100)), anchor="mm")
        turned = glyph.rotate(rng.randrange(-40, 41), Image.Resampling.BICUBIC)
        left, top = 10 + column * 132 + rng.randrange(14), 10 + row * 132 + rng.randrange(14)
        colour = tuple(rng.choice((0, 40, 220, 255)) for _ in range(3))
        picture.paste(Image.new("RGB", glyph.size, colour), (left, top), turned)
        x0, y0, x1, y1 = turned.getbbox() or (0, 0, 120, 120)
        boxes.append((left + x0, top + y0, left + x1, top + y1))
    return picture, boxes


PARTS = {"calibration": 32, "evaluation": 40}


def write_text(raw: Path, photographs: Path, out: Path) -> None:
    """Pictures under out/KIND/PART/, and what stands on those that evaluate in out/KIND/labels.json.

    Words and photographs of one part stand in no picture of the other.
    """
    for kind in ("lines", "directions", "pages", "rotations", "sheets", "captchas"):
        labels: dict[str, object] = {}
        for part, count in PARTS.items():
            folder = out / kind / part
            folder.mkdir(parents=True)
            words = words_of(raw / f"{part}_words.txt")
            pictures = sorted((photographs / part).iterdir())
            for index in range(count if kind != "sheets" else count // 4):
                rng = Random(f"{kind} {part} {index}")
                name = f"{kind}_{index:02}"
                with Image.open(pictures[index % len(pictures)]) as opened:
                    picture, label = drawn(kind, endless(words, rng), opened.convert("RGB"), rng, index)
                picture.save(folder / f"{name}.png")
                if part == "evaluation":
                    labels[name] = label
        (out / kind / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")


def drawn(
    kind: str, words: Iterator[str], photograph: Image.Image, rng: Random, index: int
) -> tuple[Image.Image, object]:
    """One picture of a kind and its label."""
    if kind == "lines":
        return draw_line(words, LINE, rng)
    if kind == "directions":
        picture, _ = draw_line(words, DIRECTION, rng)
        return picture.rotate(180 * (index % 2)), index % 2
    if kind == "pages":
        return draw_page(words, rng)
    if kind == "rotations":
        picture, _ = draw_page(words, rng)
        turned = picture.rotate(-90 * (index % 4)).resize((224, 224), Image.Resampling.LANCZOS)
        return turned, index % 4
    if kind == "captchas":
        return draw_captcha(photograph, rng)
    return draw_sheet(words, photograph, rng)
