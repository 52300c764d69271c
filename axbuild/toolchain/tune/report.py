"""What tuning a block came to, in a file beside its scheme."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from axbuild.toolchain.tune.plan import BlocksError


@dataclass(frozen=True)
class Outcome:
    """before, after: noise over signal of the block's outputs, by its exact integers on all samples. refusal: why it
    was left as it was, "" where it was not."""

    before: float
    after: float
    refusal: str = ""

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(vars(self), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @staticmethod
    def read(file: Path) -> Outcome:
        """Raises BlocksError."""
        try:
            content = json.loads(file.read_bytes())
            return Outcome(float(content["before"]), float(content["after"]), str(content["refusal"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BlocksError(f"the report of a block is damaged: {type(error).__name__}") from None
