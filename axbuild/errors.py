"""The one error type users see.

A module that can go wrong in its own way declares its own subclass there, which builds
the sentence from its parts; what its code means stands in `codes`, which stages never read.
Errors cross from workers to the client as records (JSON), so everything a user reads is in the record.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

# What moves the cursor, ends a line, reorders or hides text: C0 and C1 controls, line separators, marks of direction,
# invisible formats and tags, halves of surrogate pairs. Joiners stay: Persian and emoji are written with them.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Text of others (names in models and archives, messages of libraries) as it may stand in a line: every such
    character written as Python would, `\\x1b`, `\\n`, `\\u202e`."""
    return HIDDEN.sub(lambda found: ascii(found[0])[1:-1], text)


def counted(number: int, what: str) -> str:
    """A number with its noun: "1 sample", "1,200 samples"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class Place(NamedTuple):
    """Where in a text file an error stands; line counts from 1, 0 when only the file is known."""

    file: str
    line: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class AxError(Exception):
    """A mistake with a code, a sentence in the user's terms, perhaps a place and a way out."""

    code = "AX900"

    def __init__(self, sentence: str, *, place: Place | None = None, hint: str = "", code: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.place = place
        self.hint = hint
        self.code = code or type(self).code

    def __str__(self) -> str:
        lines = [
            f"{self.place}: error {self.code}: {self.sentence}" if self.place else f"error {self.code}: {self.sentence}"
        ]
        if self.place and self.place.text:
            lines.append(f"  {self.place.line} | {self.place.text}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(visible(line) for line in lines)

    def record(self) -> dict[str, Any]:
        place = self.place and {"file": self.place.file, "line": self.place.line, "text": self.place.text}
        return {"code": self.code, "sentence": self.sentence, "hint": self.hint, "place": place}

    @staticmethod
    def from_record(record: dict[str, Any]) -> AxError:
        place = Place(**record["place"]) if record.get("place") else None
        return AxError(record["sentence"], place=place, hint=record.get("hint", ""), code=record["code"])


class AxWarning(UserWarning):
    """What a stage passes to `warnings.warn`; stored with its action's result and replayed on every hit."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"warning {code}: {sentence}")
        self.code = code
        self.sentence = sentence


class AxNote(AxWarning):
    """What a stage has to say at the end of a build and that is no warning: a diagnostic without a code."""

    def __init__(self, sentence: str) -> None:
        super().__init__("", sentence)


def lfs_hint(content: bytes) -> str:
    """What to do where a file's content is only Git's pointer to it; "" where it is the file itself."""
    pointer = content.startswith(b"version https://git-lfs.github.com/spec/")
    return "it is a Git LFS pointer, not the file itself: run `git lfs pull`" if pointer else ""


_OTHER_FILES = {
    b"version https://git-lfs": ("is a Git LFS pointer, not the file itself", "run `git lfs pull`"),
    b"PK\x03\x04": ("is a zip archive, as PyTorch's .pt files are, and no ONNX model", "export the model to ONNX"),
    b"\x80\x02": ("is a pickle, as older PyTorch files are, and no ONNX model", "export the model to ONNX"),
    b"\x89HDF\r\n": ("is an HDF5 file, as Keras writes them, and no ONNX model", "export the model to ONNX"),
    b"\x1f\x8b": ("is a gzip archive, and no ONNX model", "unpack it"),
}
"""first bytes of what is often given in place of an ONNX model -> what it is, and the way out"""

LONGEST_MAGIC = max(map(len, _OTHER_FILES))


def other_file(content: bytes) -> tuple[str, str] | None:
    """(what a file is, the way out), where it begins like something else than an ONNX model."""
    return next((told for magic, told in _OTHER_FILES.items() if content.startswith(magic)), None)
