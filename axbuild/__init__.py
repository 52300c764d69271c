"""axbuild: builds, checks and runs models for edge NPUs.

What it offers is imported on first use. This file may cost a build no start-up time, and is part of every stage's code:
it holds nothing that changes from release to release.
"""

from __future__ import annotations

# `typing` takes as long to import as the rest of a build that has nothing to do; checkers know this name.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from axbuild.toolchain.axmodel.session import InferenceSession
    from axbuild.version import __version__

__all__ = ["InferenceSession", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "InferenceSession":
        from axbuild.toolchain.axmodel.session import InferenceSession

        return InferenceSession
    if name == "__version__":
        from axbuild.version import __version__

        return __version__
    raise AttributeError(f"module 'axbuild' has no attribute '{name}'")
