"""A set of samples in shards that hardly move when it grows: by the bits of what their names hash to.

All are one shard while they are few; more than that part by the first bit of their hashes, each half again by the next
one where it is still too large. So a sample that is added or taken away changes its own shard and no other.

`shards.json`: {"format": "axbuild-shards/1", "shards": {folder: names of samples}}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from axbuild.errors import AxError

FORMAT = "axbuild-shards/1"
Shards = dict[str, list[str]]
"""folder -> the names of the samples in it, in order"""


class ShardsError(AxError):
    """A list of shards that is damaged or of another format."""

    code = "AX344"


_BITS = 256


def shards_of(names: Iterable[str], most: int) -> Shards:
    """Folders nest as hashes do: "" is all of a set, "0/" and "1/" are its halves, "0/1/" is a quarter."""
    return dict(_parted([(_bits(name), name) for name in sorted(names)], "", most))


def joined(counts: Mapping[str, int], most: float) -> list[str]:
    """Folders that hold the shards in `counts` (folder -> samples) and are as large as they may be: of at most so many
    samples, or a single shard."""
    return _joined(sorted(counts), "", counts, most)


def write_shards(shards: Shards, path: Path) -> None:
    path.write_text(json.dumps({"format": FORMAT, "shards": shards}, sort_keys=True) + "\n", encoding="utf-8")


def read_shards(path: Path) -> Shards:
    """Raises ShardsError."""
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ShardsError(f"the list of shards is not of the format {FORMAT}")
        return {str(folder): [str(name) for name in names] for folder, names in content["shards"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardsError(f"the list of shards is damaged: {type(error).__name__}") from None


def bits_of(folder: str) -> str:
    """What a shard's action is told by: "01" of "0/1/"."""
    return folder.replace("/", "")


def _bits(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest())


def _parted(rows: Sequence[tuple[int, str]], folder: str, most: int) -> Iterable[tuple[str, list[str]]]:
    depth = len(folder) // 2
    if len(rows) <= most or depth == _BITS:
        yield folder, [name for _, name in rows]
        return
    for bit in (0, 1):
        half = [row for row in rows if row[0] >> (_BITS - 1 - depth) & 1 == bit]
        if half:
            yield from _parted(half, f"{folder}{bit}/", most)


def _joined(folders: Sequence[str], folder: str, counts: Mapping[str, int], most: float) -> list[str]:
    inside = [one for one in folders if one.startswith(folder)]
    if not inside:
        return []
    if folder in counts or sum(counts[one] for one in inside) <= most:
        return [folder]
    return [*_joined(inside, f"{folder}0/", counts, most), *_joined(inside, f"{folder}1/", counts, most)]
