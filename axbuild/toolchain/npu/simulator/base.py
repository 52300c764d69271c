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
KEPT_BYTES = 1 << 28
"""what the jobs of one program may keep"""

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

    def of_job(self, attr: KernelAttr, room: KeptRoom) -> Run:
        """May be called any number of times."""
        return lambda sources, targets: self.run(sources, targets, attr)


class KeptRoom:
    """Bytes that the jobs of one program may keep together: programs of many small tiles would keep gigabytes."""

    def __init__(self) -> None:
        self.left = KEPT_BYTES


class Kept(Generic[T]):
    """What a job makes of the bytes of its constants, for as long as they are the same: in one program, always."""

    def __init__(self, room: KeptRoom) -> None:
        self._room = room
        self._held: tuple[bytes, T] | None = None

    def of(self, constants: Array, make: Callable[[], tuple[T, int]]) -> T:
        """make: what it is, and its bytes; made each time where there is no room for it."""
        if self._held is not None and self._held[0] == constants.tobytes():
            return self._held[1]
        made, size = make()
        if self._held is None:
            if size + constants.nbytes > self._room.left:
                return made
            self._room.left -= size + constants.nbytes
        self._held = constants.tobytes(), made
        return made


class KeepingKernel(Kernel):
    """run takes, last, what the job keeps from run to run."""

    def of_job(self, attr: KernelAttr, room: KeptRoom) -> Run:
        kept: Kept[Any] = Kept(room)
        return lambda sources, targets: self.run(sources, targets, attr, kept)
