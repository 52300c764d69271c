"""axbuild: builds, checks and runs models for edge NPUs.

`axbuild.InferenceSession` is imported on first use: nothing else here may cost a build its start-up time.
"""

from __future__ import annotations

# `typing` takes as long to import as the rest of a build that has nothing to do; checkers know this name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from axbuild.toolchain.axmodel.session import InferenceSession

__all__ = ["InferenceSession", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "InferenceSession":
        from axbuild.toolchain.axmodel.session import InferenceSession

        return InferenceSession
    raise AttributeError(f"module 'axbuild' has no attribute '{name}'")
