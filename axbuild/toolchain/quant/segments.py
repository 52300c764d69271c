"""A float model as a row of segments, in `segments.json`: "format", "inputs": the model's, "segments": a list of their
fields, in order of the graph."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from axbuild.errors import AxError

FORMAT = "axbuild-segments/1"


class SegmentsError(AxError):
    """A list of segments that is damaged or of another format."""

    code = "AX367"


@dataclass(frozen=True)
class Segment:
    """nodes: by name. reads: tensors from before it, the model's inputs among them; writes: those of its own that later
    segments read. seconds: what observing a sample takes, about."""

    nodes: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Segments:
    """inputs: the model's; the first segment reads them all."""

    inputs: tuple[str, ...]
    segments: tuple[Segment, ...]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True) + "\n", "utf-8")

    @staticmethod
    def read(path: Path) -> Segments:
        """Raises SegmentsError."""
        try:
            content = json.loads(path.read_bytes())
            if content["format"] != FORMAT:
                raise SegmentsError(f"the list of segments is not of the format {FORMAT}")
            return Segments(tuple(content["inputs"]), tuple(_segment(**row) for row in content["segments"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SegmentsError(f"the list of segments is damaged: {type(error).__name__}") from None


def _segment(nodes: list[str], reads: list[str], writes: list[str], seconds: float) -> Segment:
    return Segment(tuple(nodes), tuple(reads), tuple(writes), float(seconds))
