"""How well a task was done: from a model's answers and the right ones to a number between 0 and 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Labels = dict[str, Any]
Box = tuple[float, float, float, float]
"""left, top, right, bottom"""
Regions = dict[int, list[Box]]
"""boxes by the number of their class"""


@dataclass(frozen=True)
class Answer:
    """One sample: its name, what the model took in, and the outputs that answer, in the model's order."""

    sample: str
    inputs: dict[str, np.ndarray]
    values: list[np.ndarray]

    @property
    def value(self) -> np.ndarray:
        """The one output that answers."""
        (value,) = self.values
        return value


def f1(right: float, found: float, wanted: float) -> float:
    """The harmonic mean of precision and recall."""
    return 2 * right / (found + wanted) if found + wanted else 1.0


def accuracy(answers: list[Answer], labels: Labels) -> float:
    return float(np.mean([answer.value.argmax() == labels[answer.sample] for answer in answers]))


def speech(answers: list[Answer], labels: Labels) -> float:
    """The probability of speech on the right side of one half."""
    return float(np.mean([(answer.value.item() > 0.5) == labels[answer.sample] for answer in answers]))


def characters(answers: list[Answer], labels: Labels) -> float:
    """1 less the edits for each character, of what CTC makes of [1, T, classes] (class 0 is none)."""
    edits = sum(distance(ctc(answer.value[0]), labels[answer.sample]) for answer in answers)
    return max(0.0, 1 - edits / sum(len(labels[answer.sample]) for answer in answers))


def ctc(rows: np.ndarray) -> list[int]:
    best = rows.argmax(axis=1).tolist()
    return [now for before, now in zip([0, *best], best, strict=False) if now not in (0, before)]


def distance(a: list[int], b: list[int]) -> int:
    """Levenshtein's."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        corner, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (x != y))
    return row[-1]


def lines_found(answers: list[Answer], labels: Labels) -> float:
    """A line is found where the map [1, 1, H, W] says text (above 0.3) along the middle of its box; marked pixels
    outside of every box count against it."""
    found = wanted = inside = marked = 0.0
    for answer in answers:
        text = answer.value[0, 0] > 0.3
        boxes = [tuple(map(int, box)) for box in labels[answer.sample]]
        cover = np.zeros_like(text)
        for left, top, right, bottom in boxes:
            cover[top:bottom, left:right] = True
            found += text[(top + bottom) // 2, left:right].mean() > 0.5
        wanted += len(boxes)
        inside += (text & cover).sum()
        marked += text.sum()
    recall, precision = found / wanted, inside / max(marked, 1.0)
    return float(2 * recall * precision / max(recall + precision, 1e-9))


def boxes_found(answers: list[Answer], labels: Labels) -> float:
    """Boxes of YOLOX's raw output [1, n, 5 + classes] against those of the labels."""
    found = {answer.sample: {0: yolox(answer.value[0])} for answer in answers}
    return agreement(found, {sample: [(0, box) for box in labels[sample]] for sample in found})


def regions_found(answers: list[Answer], labels: Labels) -> float:
    """Boxes of PicoDet's raw outputs, [1, n, classes] and [1, n, 4 x bins] of four scales, against labels of the same
    class."""
    found = {answer.sample: picodet(answer.values, answer.inputs["image"].shape[2:]) for answer in answers}
    return agreement(found, labels)


def agreement(found: dict[str, Regions], labels: Labels) -> float:
    """F1 of boxes, best first, that overlap a label of their class by half, one to one.

    labels: (class, box) pairs a sample.
    """
    right = count = wanted = 0
    for sample, classes in found.items():
        wanted += len(labels[sample])
        for number, boxes in classes.items():
            open_labels = [tuple(box) for label, box in labels[sample] if label == number]
            count += len(boxes)
            for box in boxes:
                best = max(open_labels, key=lambda label: overlap(box, label), default=None)
                if best is not None and overlap(box, best) >= 0.5:
                    open_labels.remove(best)
                    right += 1
    return f1(right, count, wanted)


def yolox(rows: np.ndarray, side: int = 416, least: float = 0.1, apart: float = 0.45) -> list[Box]:
    """Boxes above a score, best first, none of which covers another one."""
    grids = [(stride, *np.indices((side // stride, side // stride))) for stride in (8, 16, 32)]
    strides = np.concatenate([np.full(down.size, stride) for stride, down, _ in grids])
    places = np.concatenate([np.stack([across.ravel(), down.ravel()], axis=1) for _, down, across in grids])
    middle = (rows[:, :2] + places) * strides[:, None]
    half = np.exp(rows[:, 2:4]) * strides[:, None] / 2
    return best_of(np.hstack([middle - half, middle + half]), rows[:, 4] * rows[:, 5:].max(axis=1), least, apart)


def picodet(outputs: list[np.ndarray], sides: Sequence[int], least: float = 0.5, apart: float = 0.5) -> Regions:
    """The boxes of each class, each where it is the likeliest one. A distance from the middle of a cell to an edge is
    the mean of a distribution over bins of one stride."""
    scores = np.concatenate(outputs[:4], axis=1)[0]
    bins = np.concatenate(outputs[4:], axis=1)[0].reshape(len(scores), 4, -1)
    weights = np.exp(bins - bins.max(axis=2, keepdims=True))
    distances = weights @ np.arange(bins.shape[2]) / weights.sum(axis=2)
    cells = [np.indices([-(-side // stride) for side in sides]).reshape(2, -1) for stride in (8, 16, 32, 64)]
    strides = np.repeat((8, 16, 32, 64), [cell.shape[1] for cell in cells])[:, None]
    middle = (np.concatenate(cells, axis=1)[::-1].T + 0.5) * strides
    boxes = np.hstack([middle - distances[:, :2] * strides, middle + distances[:, 2:] * strides])
    own = [np.where(scores.argmax(axis=1) == number, scores[:, number], 0.0) for number in range(scores.shape[1])]
    return {number: best_of(boxes, score, least, apart) for number, score in enumerate(own)}


def best_of(boxes: np.ndarray, scores: np.ndarray, least: float, apart: float) -> list[Box]:
    """Boxes [n, 4] above a score, best first, none of which covers another one."""
    kept: list[Box] = []
    for index in np.argsort(-scores, kind="stable")[: int((scores > least).sum())]:
        box: Box = tuple(boxes[index].tolist())
        if all(overlap(box, other) < apart for other in kept):
            kept.append(box)
    return kept


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def notes(answers: list[Answer], labels: Labels) -> float:
    """Keys that sound (above 0.5) frame by frame, of [1, frames, keys]."""
    right = found = wanted = 0
    for answer in answers:
        sounding = np.zeros(answer.value.shape[1:], dtype=bool)
        for key, begin, end in labels[answer.sample]:
            sounding[begin:end, key] = True
        said = answer.value[0] > 0.5
        right, found, wanted = right + (said & sounding).sum(), found + said.sum(), wanted + sounding.sum()
    return float(f1(right, found, wanted))


def neighbours(answers: list[Answer], labels: Labels) -> float:
    """The nearest other sentence, by the cosine of mean token vectors, is the one that says the same."""
    vectors = []
    for answer in answers:
        mask = answer.inputs["attention_mask"][0, :, None]
        mean = (answer.value[0] * mask).sum(axis=0) / mask.sum()
        vectors.append(mean / np.linalg.norm(mean))
    alike = np.stack(vectors) @ np.stack(vectors).T
    np.fill_diagonal(alike, -1)
    names = [answer.sample for answer in answers]
    nearest = [names[index] for index in alike.argmax(axis=1)]
    return float(np.mean([labels[name] == other for name, other in zip(names, nearest, strict=True)]))


FIGURES: dict[str, Callable[[list[Answer], Labels], float]] = {
    "accuracy": accuracy,
    "boxes_found": boxes_found,
    "characters": characters,
    "lines_found": lines_found,
    "neighbours": neighbours,
    "notes": notes,
    "regions_found": regions_found,
    "speech": speech,
}
OF_ALL_OUTPUTS = {"regions_found"}
"""figures of what a model's outputs say together"""
