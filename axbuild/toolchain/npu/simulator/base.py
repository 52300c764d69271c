"""What a kernel of the simulator is: numpy on one thread, independent of the ONNX bodies that it must equal bit for
bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import KernelAttr


class ValueRangeError(AxError):
    """AX409: a value met at run time that an operator cannot take; a kernel's sentence is the end of the machine's."""

    code = "AX409"


T = TypeVar("T")

Run = Callable[[list[Array], list[Array]], None]
"""of one job: from its source views to its target views"""


@dataclass(frozen=True)
class Kernel:
    """run(source views, target views, attributes): maps are NHWC, element types those of the views.

    sources: number of operands read; attr: the dataclass of its attributes.
    """

    run: Callable[..., None]
    sources: int
    attr: type[KernelAttr]

    def of_job(self, attr: KernelAttr) -> Run:
        """May be called any number of times."""
        return lambda sources, targets: self.run(sources, targets, attr)


class Kept(Generic[T]):
    """What a job makes of the bytes of its constants, for as long as they are the same: in one program, always."""

    def __init__(self) -> None:
        self._held: tuple[bytes, T] | None = None

    def of(self, constants: Array, make: Callable[[], T]) -> T:
        content = constants.tobytes()
        if self._held is None or self._held[0] != content:
            self._held = content, make()
        return self._held[1]


class KeepingKernel(Kernel):
    """run takes, last, what the job keeps from run to run."""

    def of_job(self, attr: KernelAttr) -> Run:
        kept: Kept[Any] = Kept()
        return lambda sources, targets: self.run(sources, targets, attr, kept)
