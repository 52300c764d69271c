"""A sample on which a model cannot be computed, as one whose id no row of a table has: one sentence for all stages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from axbuild.errors import AxError


class SampleRefusedError(AxError):
    """AX389. said: onnxruntime's words; sample: its name, "" where whoever ran the model does not know it."""

    code = "AX389"

    def __init__(self, said: str, sample: str = "") -> None:
        on = f"sample '{sample}'" if sample else "a sample"
        hint = "whole numbers must be within the table that they pick rows from"
        super().__init__(f"the model cannot be computed on {on}: {said}", hint=hint)
        self.said, self.sample = said, sample


@contextmanager
def refused_sample(name: str) -> Iterator[None]:
    """Where a model is run on a sample that has a name: the error has it too."""
    try:
        yield
    except SampleRefusedError as error:
        raise error if error.sample else SampleRefusedError(error.said, name) from None
