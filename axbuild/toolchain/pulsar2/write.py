"""The configuration as JSON: what is set and nothing else, so that it is read back as the same."""

from __future__ import annotations

import json
from typing import Any

from axbuild.toolchain.pulsar2.message import Message


def written(config: Message) -> str:
    """JSON of a config; of a resolved one, everything that the build went by."""
    return json.dumps(_plain(config), indent=2, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return {name: _plain(item) for name, _, item in value.given()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
