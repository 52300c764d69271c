"""Stands in for docker's client, for images of the stand-in of Pulsar2; it contains nothing.

    python docker_standin.py FOLDER image inspect ... | info ... | run ...

Each `run` becomes a line of FOLDER/calls.jsonl. FOLDER/image is the digest of the only image there is, called vendor:5,
and FOLDER/daemon, where it is there, names the folder of the daemon's data; the container's commands are those in
FOLDER. As docker's daemon does, it lets them live on when the client is killed.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

CONFIG = "/axbuild/config.json"


def main() -> int:
    folder, command, *rest = sys.argv[1:]
    image = Path(folder, "image").read_text()
    if command == "image":
        if rest[-1] != "vendor:5":
            print(f"Error: No such image: {rest[-1]}", file=sys.stderr)
            return 1
        print(image)
        return 0
    if command == "info":
        print(Path(folder, "daemon").read_text() if Path(folder, "daemon").exists() else "/")
        return 0
    parser = argparse.ArgumentParser()
    for flag in ("--rm", "--interactive"):
        parser.add_argument(flag, action="store_true")
    for option in ("--network", "--user", "--workdir", "--entrypoint", "--gpus"):
        parser.add_argument(option)
    for option in ("--env", "--mount"):
        parser.add_argument(option, action="append", default=[])
    parser.add_argument("image")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    asked = parser.parse_args(rest)
    assert asked.image == image
    mounts = [dict(part.partition("=")[::2] for part in next(csv.reader([mount]))) for mount in asked.mount]
    places = {mount["target"]: mount["source"] for mount in mounts}
    record = vars(asked) | {"mount": mounts}
    if CONFIG in places:
        record["config"] = json.loads(Path(places[CONFIG]).read_text())
    with Path(folder, "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(record) + "\n")
    surroundings = {"PATH": f"{folder}:{os.environ['PATH']}", "STANDIN_MOUNTS": json.dumps(places)}
    return subprocess.run(
        [asked.entrypoint, *asked.arguments],
        cwd=places.get(asked.workdir),
        env=surroundings,
        stdin=None if asked.interactive else subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
