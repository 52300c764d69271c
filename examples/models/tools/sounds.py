"""Speech cut into the steps that silero-vad takes, and made music of which every note is known."""

from __future__ import annotations

import json
import math
import wave
from pathlib import Path
from random import Random

import numpy as np

STEP, CONTEXT, RATE = 512, 64, 16_000
"""samples of a step, those of the step before that come along, samples a second: as silero-vad has them"""
SILENCE = 4
"""seconds of room noise before a recording that has none"""

MUSIC_RATE, MUSIC_LENGTH, HOP, FRAMES, LOWEST, KEYS = 22_050, 43_844, 256, 172, 21, 88
"""as basic-pitch has them; LOWEST: the MIDI number of the first of its keys"""


def recording(file: Path) -> np.ndarray:
    """float32 in -1..1 of a mono wave file of 16 bits and 16 kHz."""
    with wave.open(str(file), "rb") as opened:
        if (opened.getnchannels(), opened.getsampwidth(), opened.getframerate()) != (1, 2, RATE):
            raise ValueError(f"{file.name} is not mono, of 16 bits and {RATE} Hz")
        content = opened.readframes(opened.getnframes())
    return np.frombuffer(content, dtype="<i2").astype(np.float32) / np.float32(32768)


def quiet(seconds: float) -> np.ndarray:
    """Room noise: what a microphone gives where nobody speaks."""
    noise = np.frombuffer(Random("quiet").randbytes(2 * int(seconds * RATE)), dtype="<i2").astype(np.float32)
    return noise / np.float32(32768 * 200)


def steps(sound: np.ndarray) -> np.ndarray:
    """float32 [n, 1, 576]"""
    count = len(sound) // STEP
    padded = np.concatenate([np.zeros(CONTEXT, dtype=np.float32), sound])
    return np.stack([padded[None, index * STEP : index * STEP + STEP + CONTEXT] for index in range(count)])


def spoken(table: Path) -> list[tuple[float, float]]:
    """(begin, end) in seconds of each turn in an .rttm file."""
    rows = [line.split() for line in table.read_text(encoding="utf-8").splitlines()]
    return [(float(row[3]), float(row[3]) + float(row[4])) for row in rows]


def write_speech(raw: Path, out: Path) -> None:
    """One voice calibrates, behind room noise; a telephone call of two others evaluates, labelled by its table."""
    voice = np.concatenate([quiet(SILENCE), recording(raw / "beckett.wav")])
    call, turns = recording(raw / "sample.wav"), spoken(raw / "sample.rttm")
    for part, sound in (("calibration", voice), ("evaluation", call)):
        (out / part).mkdir(parents=True)
        for index, step in enumerate(steps(sound)):
            np.save(out / part / f"step_{index:04}.npy", step, allow_pickle=False)
    middles = {f"step_{index:04}": (index + 0.5) * STEP / RATE for index in range(len(call) // STEP)}
    labels = {name: any(begin <= at < end for begin, end in turns) for name, at in middles.items()}
    (out / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")


Note = tuple[int, float, float]
"""MIDI number, begin and end in seconds"""


def tune(rng: Random) -> list[Note]:
    """Two voices: one note after the other in each."""
    notes: list[Note] = []
    for low, high in ((48, 62), (62, 84)):
        at = rng.uniform(0.0, 0.2)
        while at < MUSIC_LENGTH / MUSIC_RATE - 0.3:
            length = rng.uniform(0.25, 0.6)
            notes.append((rng.randrange(low, high), at, at + length))
            at += length + rng.uniform(0.02, 0.15)
    return notes


def played(notes: list[Note], rng: Random) -> np.ndarray:
    """float32 [1, 43844, 1]: struck strings, six harmonics that die away, rounded to 16 bits as a recording is."""
    time = np.arange(MUSIC_LENGTH) / MUSIC_RATE
    sound = np.zeros(MUSIC_LENGTH)
    for key, begin, end in notes:
        pitch = 440.0 * 2.0 ** ((key - 69) / 12)
        within = np.clip(time - begin, 0.0, None)
        envelope = np.minimum(within / 0.008, 1.0) * np.exp(-2.5 * within) * (time < end)
        harmonics = (math.pow(0.5, n) * np.sin(2 * np.pi * pitch * (n + 1) * within) for n in range(6))
        sound += rng.uniform(0.5, 1.0) * envelope * sum(harmonics)
    codes = np.round(sound * (20_000 / max(1e-9, np.abs(sound).max())))
    return (codes / 32768).astype(np.float32).reshape(1, -1, 1)


def write_music(out: Path) -> None:
    """Tunes, and [key, first frame, last frame] of every note of those that evaluate."""
    labels = {}
    for part, count in (("calibration", 16), ("evaluation", 16)):
        (out / part).mkdir(parents=True)
        for index in range(count):
            rng = Random(f"{part} {index}")
            name, notes = f"tune_{index:02}", tune(rng)
            np.save(out / part / f"{name}.npy", played(notes, rng), allow_pickle=False)
            if part == "evaluation":
                labels[name] = [(key - LOWEST, *(round(at * MUSIC_RATE / HOP) for at in span)) for key, *span in notes]
    (out / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")
