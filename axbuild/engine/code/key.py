"""The action key: a readable record of everything that can change an output, and its SHA-256.

The record is text: the line `axbuild-key/1`, then canonical JSON (sorted names, no spaces, ASCII). It holds the
stage's id, the digest of every module and data file of its import closure, the versions of its third-party
distributions, parameters, content digests of the named inputs and, for float stages, the float platform.
Never a path of the machine, a clock or a user. The whole record is kept beside the result, so that `why` can
say which part of it moved; a bare digest could only say that something did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

HEADER = "axbuild-key/1"

Shape = str | dict[str, str]
"""Content of one artifact: a blob's SHA-256, or the names of a tree's files with theirs."""


@dataclass(frozen=True)
class StageCode:
    """What a stage's import closure is made of: file or module name -> SHA-256, and distribution -> version."""

    modules: Mapping[str, str]
    tools: Mapping[str, str]

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Key:
    """digest: SHA-256 of `text`, the canonical record."""

    digest: str
    text: str

    @property
    def record(self) -> dict[str, Any]:
        return parse(self.text)


def canonical(value: Any) -> str:
    """JSON with one spelling: sorted names, no spaces, ASCII; refuses NaN and what JSON cannot say."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def key_of(
    stage_id: str,
    code: StageCode,
    params: Mapping[str, Any],
    inputs: Mapping[str, Shape | list[Shape]],
    platform: str | None,
) -> Key:
    """The key of one action; `inputs` holds content only, `platform` is None for exact stages."""
    modules, tools = _code_text(code)
    # Put together by hand (in sorted order) since the code of a stage is the same for all of its actions.
    text = (
        f'{HEADER}\n{{"code":{modules},"inputs":{canonical(inputs)},"params":{canonical(params)},'
        f'"platform":{canonical(platform)},"stage":{canonical(stage_id)},"tools":{tools}}}'
    )
    return Key(sha256(text.encode()).hexdigest(), text)


@lru_cache(maxsize=1024)
def _code_text(code: StageCode) -> tuple[str, str]:
    return canonical(dict(code.modules)), canonical(dict(code.tools))


def parse(text: str) -> dict[str, Any]:
    """The record behind a key's text; an empty record when the text is of another version."""
    header, _, body = text.partition("\n")
    return json.loads(body) if header == HEADER else {}
