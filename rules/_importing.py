"""What `axbuild import` runs: the BUILD.toml that a configuration stands for, printed or written."""

from __future__ import annotations

import sys
from pathlib import Path

from axbuild.errors import AxError
from axbuild.workspace.label import is_name


class ImportRefusedError(AxError):
    code = "AX531"


def import_config(config: Path, input: str, name: str, output: str) -> None:  # noqa: A002  as the option is called
    """output: "-" for standard output."""
    from axbuild.report.build_file import build_text
    from axbuild.toolchain.pulsar2.expand import expand
    from axbuild.toolchain.pulsar2.read import read_config

    name = name or config.resolve().parent.name
    if not is_name(name):
        raise ImportRefusedError(f"'{name}' is no name of a target", hint="--name gives one")
    over = {"input": input} if input else {}
    found = expand(read_config(config), over, name)
    for warning in found.warnings:
        print(warning, file=sys.stderr)
    written = f"# What {config.name} stands for, written by `axbuild import`.\n\n{build_text(found.tables)}"
    if output == "-":
        sys.stdout.write(written)
        return
    try:
        with Path(output).open("x", encoding="utf-8") as file:
            file.write(written)
    except FileExistsError:
        raise ImportRefusedError(
            f"{output} is there already", hint="name another file, or add the text to it"
        ) from None
    except OSError as error:
        raise ImportRefusedError(f"{output} cannot be written: {error.strerror}") from None
