"""How a file came to be, as the cache remembers it: the actions on the way, back to what no action made.

Content names content: an input is what the nearest earlier result gave under that digest. Where two actions gave the
same bytes, either of them is a way to this file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.store.remembered import LastOf, Remembered, remembered
from axbuild.store.result import digests_of
from axbuild.store.rows import Rows

Named = tuple[tuple[str, str], ...]
"""(role, or role/file in a tree; digest)"""


@dataclass(frozen=True)
class Ancestor:
    """One action. label, action: whose it last was, "" where no workspace has it now; sources: of its inputs those that
    no action made."""

    label: str
    action: str
    stage: str
    code: str
    params: dict[str, Any]
    tools: dict[str, str]
    platform: str | None
    sources: Named


def ancestry(rows: Rows, digest: str) -> list[Ancestor]:
    """The actions behind the file of that digest, its maker first; none where the cache does not know it."""
    makers, owners = _read(rows)
    if digest not in makers:
        return []
    first = max(makers[digest], key=lambda made: made.stored)
    waiting, seen, found = deque([first]), {first.key}, []
    while waiting:
        made = waiting.popleft()
        sources = []
        for name, content in _inputs(made.result.key_record["inputs"]):
            if content not in makers:
                sources.append((name, content))
            elif (before := _before(makers[content], made)).key not in seen:
                seen.add(before.key)
                waiting.append(before)
        found.append(_ancestor(made, owners.get(made.key, ("", "")), tuple(sources)))
    return found


def _before(makers: list[Remembered], reader: Remembered) -> Remembered:
    """Of those that gave the same bytes the last one before they were read."""
    earlier = [made for made in makers if made.stored <= reader.stored]
    return max(earlier or makers, key=lambda made: made.stored)


def _ancestor(made: Remembered, owner: tuple[str, str], sources: Named) -> Ancestor:
    record = made.result.key_record
    about = (record["stage"], record["code"], record["params"], record["tools"], record["platform"])
    return Ancestor(*owner, *about, sources)


def _inputs(inputs: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for role, shape in sorted(inputs.items()):
        for item in shape if isinstance(shape, list) else [shape]:
            if isinstance(item, dict):
                yield from ((f"{role}/{file}", digest) for file, digest in sorted(item.items()))
            else:
                yield role, item


def _read(rows: Rows) -> tuple[dict[str, list[Remembered]], dict[str, tuple[str, str]]]:
    """(digest -> the results that gave it, key -> label and action that have it now)."""
    makers: dict[str, list[Remembered]] = {}
    owners: dict[str, tuple[str, str]] = {}
    for one in remembered(rows):
        if isinstance(one, LastOf):
            owners[one.key] = one.label, one.action
        else:
            for digest in digests_of(one.result.outputs):
                makers.setdefault(digest, []).append(one)
    return makers, owners
