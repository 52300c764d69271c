"""TOML files that a rule pack is made from beside its Python, such as one file a chip."""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from axbuild.workspace.disk import Seen, digest_of_listing, look, scan
from axbuild.workspace.toml_text import TomlText


class Tables:
    """The TOML files of one folder, read while rules load: part of the pack's digest, and watched as rule files are.

    tables: file name -> content. seen: the folder and each file as they were when read. digest: of all bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.tables: dict[str, dict[str, Any]] = {}
        self.seen = {folder: Seen(look(str(folder)), time.time_ns(), digest_of_listing(scan(str(folder))))}
        whole = sha256()
        for path in sorted(folder.glob("*.toml")):
            signature, taken_ns = look(str(path)), time.time_ns()
            data = path.read_bytes()
            digest = sha256(data).digest()
            self.seen[path] = Seen(signature, taken_ns, digest)
            self.tables[path.name] = TomlText.of(f"{folder.name}/{path.name}", data.decode()).data
            whole.update(path.name.encode() + b"\0" + digest)
        self.digest = whole.digest()
