"""The same bytes: from build to build, from job order to job order, and from one instruction set to another."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo_workspace import Zoo, copy_zoo

# What a processor of 2008 has: numpy's baseline, an OpenBLAS kernel without AVX, a libm without AVX and FMA.
MASKS = {
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Nehalem",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL,-ERMS",
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("bits")
    zoo = Zoo(copy_zoo(room / "workspace"), room / "cache")
    zoo.build("//digits:axmodel", "//digits:check")
    return zoo


def digests(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_two_clean_builds_give_the_same_bytes(zoo: Zoo, tmp_path: Path) -> None:
    other = Zoo(copy_zoo(tmp_path / "somewhere else"), tmp_path / "cache")
    assert other.build("//digits:axmodel", "--jobs", "1").counts.keys() == {"executed"}
    mine, theirs = (digests(one.root / "axbuild-out" / "digits" / "axmodel") for one in (zoo, other))
    assert "compiled.axmodel" in mine
    assert mine == theirs


def test_a_second_build_in_another_folder_and_order_reproduces_every_byte(zoo: Zoo) -> None:
    outcome = zoo.run("build", "//digits:check", "--check_reproducible")
    assert outcome.code == 0, outcome.out + outcome.err
    assert "reproducible: " in outcome.out + outcome.err


def run_masked(arguments: list[str], masks: dict[str, str]) -> dict[str, dict[str, object]]:
    environment = {key: value for key, value in os.environ.items() if key not in MASKS} | masks
    script = Path(__file__).with_name("exact_stages.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_exact_stages_give_the_same_bytes_without_the_new_instruction_sets(zoo: Zoo, tmp_path: Path) -> None:
    events = zoo.build("//digits:check", "//digits:quant", "//digits:float").events
    blobs = {event["action"]: event["outputs"] for event in events if event["event"] == "action_finished"}
    cache = Path(zoo.environment["AXBUILD_CACHE_DIR"])

    def blob(digest: str) -> Path:
        return cache / "cas" / digest[:2] / digest

    samples = tmp_path / "samples"
    samples.mkdir()
    for name, digest in blobs["decode"]["samples/"].items():
        (samples / name).write_bytes(blob(digest).read_bytes())
    inputs = [
        blob(blobs["optimize"]["optimized/"]["optimized.onnx"]),
        blob(blobs["spread/observe"]["statistics.msgpack"]),
        samples,
    ]
    plain = run_masked([*map(str, inputs), str(tmp_path / "plain")], {})
    masked = run_masked([*map(str, inputs), str(tmp_path / "masked")], MASKS)
    print("instruction sets in use:", plain["features"])
    print("instruction sets left when masked:", masked["features"])
    assert not set(MASKS["NPY_DISABLE_CPU_FEATURES"].split()) & set(masked["features"]["numpy"])
    assert len(plain["digests"]) > 60
    assert plain["digests"] == masked["digests"]
