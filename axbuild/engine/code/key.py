"""The action key: a readable record of everything that can change an output, and its SHA-256.

The record is text: the line `axbuild-key/1`, then canonical JSON (sorted names, no spaces, ASCII). It holds the
stage's id, the digest of its code (a map from every module and data file of its import closure to theirs), the
versions of its third-party distributions, parameters, content digests of the named inputs and, for float stages,
the float platform. Never a path of the machine, a clock or a user. The whole record is kept beside the result, and
each map of code once under its digest, so that `why` can say which part moved; a bare digest could only say that
something did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from axbuild.dataclass import dataclass
from axbuild.store.digests import canonical, digest_of_bytes, digest_of_value

HEADER = "axbuild-key/1"

Shape = str | dict[str, str]
"""Content of one artifact: a blob's SHA-256, or the names of a tree's files with theirs."""


@dataclass(frozen=True)
class StageCode:
    """What a stage's import closure is made of: file or module name -> SHA-256, and distribution -> version."""

    modules: Mapping[str, str]
    tools: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the modules."""
        return digest_of_value(self.modules)

    @cached_property
    def tools_text(self) -> str:
        return canonical(self.tools)


@dataclass(frozen=True)
class Key:
    """digest: SHA-256 of `text`, the canonical record."""

    digest: str
    text: str

    @property
    def record(self) -> dict[str, Any]:
        return parse(self.text)


def key_of(
    stage_id: str,
    code: StageCode,
    params: Mapping[str, Any],
    inputs: Mapping[str, Shape | list[Shape]],
    platform: str | None,
) -> Key:
    """The key of one action; `inputs` holds content only, `platform` is None for exact stages."""
    # Put together by hand (in sorted order) since the code of a stage is the same for all of its actions.
    text = (
        f'{HEADER}\n{{"code":"{code.digest}","inputs":{canonical(inputs)},"params":{canonical(params)},'
        f'"platform":{canonical(platform)},"stage":{canonical(stage_id)},"tools":{code.tools_text}}}'
    )
    return Key(digest_of_bytes(text.encode()), text)


def parse(text: str) -> dict[str, Any]:
    """The record behind a key's text; an empty record when the text is of another version."""
    header, _, body = text.partition("\n")
    return json.loads(body) if header == HEADER else {}
