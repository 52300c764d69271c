"""Where the process begins. Nothing heavy is imported here: a build that has nothing to do ends before click."""

from __future__ import annotations

import sys

USAGE_VERSION = (["version"], ["--version"])


def main() -> None:
    """The console script `axbuild`."""
    arguments = sys.argv[1:]
    if arguments in USAGE_VERSION:
        from axbuild import __version__

        print(f"axbuild {__version__}")
        return
    from axbuild.cli.app import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
