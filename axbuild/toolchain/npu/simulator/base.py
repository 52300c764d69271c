"""What a kernel of the simulator is: numpy on one thread, independent of the ONNX bodies that it must equal bit for
bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.lower.attr import KernelAttr


class ValueRangeError(AxError):
    """AX409: a value met at run time that an operator cannot take; a kernel's sentence is the end of the machine's."""

    code = "AX409"


@dataclass(frozen=True)
class Kernel:
    """run(source views, target views, attributes): maps are NHWC, element types those of the views.

    sources: number of operands read; attr: the dataclass of its attributes.
    """

    run: Callable[[list[Array], list[Array], Any], None]
    sources: int
    attr: type[KernelAttr]
