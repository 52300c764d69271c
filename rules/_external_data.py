"""The data files that an ONNX model keeps its weights in, found without importing onnx.

A model is a protocol-buffers message; this reader walks its fields, skips over everything large, and
collects the `location` of each tensor's external_data (ONNX, docs/ExternalData.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from axbuild.errors import LONGEST_MAGIC, AxError, other_file
from axbuild.workspace.disk import FILE, Disk, join, kind, parent

_WINDOW = 4096
_DEEPEST = 64
_MOST_FIELDS = 2_000_000
"""what a graph of 100,000 nodes has; the client reads so many in a few seconds"""

# message -> {field number: message of that field}; only fields that can lead to a tensor are listed.
_MODEL = {7: "graph", 20: "training", 25: "function"}
_FIELDS = {
    "model": _MODEL,
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}


class NotOnnx(AxError):
    code = "AX112"

    def __init__(self, path: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{path} is not a readable ONNX model: {reason}", hint=hint)


class BadExternalData(AxError):
    code = "AX118"

    def __init__(self, path: str, location: str, reason: str) -> None:
        super().__init__(f"{path} keeps weights in '{location}', {reason}")


def external_data_files(disk: Disk, path: str) -> list[str]:
    """Paths of the external data files of the model at `path`, sorted; all lie in or below its folder."""
    found = []
    for location in _locations(disk, path):
        parts = location.split("/")
        if location.startswith("/") or "\\" in location or ":" in parts[0] or ".." in parts or not location:
            raise BadExternalData(path, location, "which is not a path inside the model's folder")
        file = join(parent(path), "/".join(part for part in parts if part not in ("", ".")))
        if kind(disk, file) != FILE:
            raise BadExternalData(path, location, "and there is no such file")
        found.append(file)
    return sorted(set(found))


def _locations(disk: Disk, path: str) -> list[str]:
    try:
        return disk.ask(path, _read_locations)
    except _Malformed as error:
        raise NotOnnx(path, str(error), error.hint) from None


def _read_locations(file: BinaryIO) -> list[str]:
    size = file.seek(0, 2)
    reader = _MessageReader(file, size)
    try:
        entries = reader.messages("model", 0, size, 0)
        locations = {location for entry in entries if (location := reader.location(*entry)) is not None}
        if not reader.has_graph:
            raise _Malformed("it has no graph")
    except _Malformed as error:
        file.seek(0)
        if other := other_file(file.read(LONGEST_MAGIC)):
            error.hint = f"it {other[0]}: {other[1]}"
        raise
    return sorted(locations)


class _Malformed(Exception):
    hint = ""


class _MessageReader:
    """Fields of a message in a file, read through a small window."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._start = 0
        self._window = b""
        self.has_graph = False
        self._fields_left = _MOST_FIELDS

    def messages(self, message: str, position: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
        """(start, end) of every external_data entry inside the message that stands at position..end."""
        if depth > _DEEPEST:
            raise _Malformed("it is nested too deeply")
        inner = _FIELDS[message]
        for field, start, stop in self._fields(position, end):
            below = inner.get(field)
            if below == "graph" and message == "model":
                self.has_graph = True
            if below == "entry":
                yield start, stop
            elif below and stop > start:
                yield from self.messages(below, start, stop, depth + 1)

    def location(self, position: int, end: int) -> str | None:
        """The value of an external_data entry whose key is "location"."""
        parts = {field: self._bytes(start, stop) for field, start, stop in self._fields(position, end)}
        if parts.get(1) != b"location":
            return None
        try:
            return parts.get(2, b"").decode()
        except UnicodeDecodeError:
            raise _Malformed("a data file's name is not UTF-8") from None

    def _fields(self, position: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(number, start, end) of each length-delimited field; the others are stepped over."""
        while position < end:
            tag, position = self._varint(position, end)
            wire = tag & 7
            self._fields_left -= 1
            if not tag >> 3:
                raise _Malformed(f"byte {position - 1} begins a field without a number")
            if self._fields_left < 0:
                raise _Malformed(f"it has more than {_MOST_FIELDS} fields")
            if wire == 0:
                _, position = self._varint(position, end)
            elif wire in (1, 5):
                position += 8 if wire == 1 else 4
            elif wire == 2:
                length, position = self._varint(position, end)
                if position + length > end:
                    raise _Malformed("it ends too early")
                yield tag >> 3, position, position + length
                position += length
            else:
                raise _Malformed(f"byte {position - 1} begins no field")
        if position > end:
            raise _Malformed("it ends too early")

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while position < end and shift < 64:
            offset = position - self._start
            if not 0 <= offset < len(self._window):
                self._load(position)
                offset = 0
            byte = self._window[offset]
            value |= (byte & 0x7F) << shift
            position += 1
            shift += 7
            if byte < 0x80:
                return value, position
        raise _Malformed("it ends too early")

    def _bytes(self, start: int, end: int) -> bytes:
        if end - start > _WINDOW:
            raise _Malformed("a data file's name is too long")
        offset = start - self._start
        if offset < 0 or end - self._start > len(self._window):
            self._load(start)
            offset = 0
        return self._window[offset : offset + end - start]

    def _load(self, position: int) -> None:
        self._file.seek(position)
        self._start, self._window = position, self._file.read(_WINDOW)
        if not self._window:
            raise _Malformed("it ends too early")
