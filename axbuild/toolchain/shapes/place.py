"""Input shapes of a group, as a user reads them, and errors that say in which group they arose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from axbuild.errors import AxError
from axbuild.toolchain.graph import Shape


class ExtraShapeError(AxError):
    """Input shapes that the model cannot have beside its own."""

    code = "AX317"


def shown(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"'{name}' {list(shape)}" for name, shape in shapes.items())


@contextmanager
def at(shapes: Mapping[str, Shape]) -> Iterator[None]:
    """What is raised inside says at which input shapes."""
    try:
        yield
    except AxError as error:
        sentence = f"with the extra shape {shown(shapes)}: {error.sentence}"
        raise AxError(sentence, hint=error.hint, code=error.code) from error
