"""A compiled model on files of a user, on the simulated NPU: the function behind `axbuild run`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from axbuild.errors import counted
from axbuild.progress import tell
from axbuild.toolchain.axmodel.feed import Feed, files_of
from axbuild.toolchain.axmodel.runners import Sample
from axbuild.toolchain.axmodel.runs import split
from axbuild.toolchain.axmodel.session import InferenceSession, SessionError
from axbuild.toolchain.file_names import file_name
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import type_of_dtype
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What is asked of a run. inputs: PATH or NAME=PATH; output_dir: where to write what comes out, None for nowhere;
    batch_size: samples that run together, 0 for as many as the largest compiled batch; layers: write what is inside the
    NPU's programs too; top: largest values to show."""

    inputs: tuple[str, ...]
    output_dir: Path | None = None
    batch_size: int = 0
    group_index: int = 0
    layers: bool = False
    top: int = 5
    json: bool = False


def run(file: Path, asked: Asked) -> None:
    """Print what the model in `file` answers, and write it where asked. Raises SessionError and what readers raise."""
    session = InferenceSession(file)
    group = session.group(asked.group_index)
    feed = Feed(files_of(group.inputs, asked.inputs))
    files = _files(session, asked) if asked.output_dir else {}
    together = asked.batch_size or (1 if feed.count == 1 else group.batches()[-1])
    samples: list[dict[str, Any]] = []
    seconds = 0.0
    for chunk in _chunks(feed, together):
        tell("sample", len(samples) + len(chunk), feed.count)
        began = time.perf_counter()
        answers = session.answers([one for _, one in chunk], asked.group_index, layers=asked.layers)
        seconds += time.perf_counter() - began
        for (name, _), answer in zip(chunk, answers, strict=True):
            if asked.output_dir:
                _write(asked.output_dir / name, answer, files)
            samples.append({"name": name, "outputs": [_facts(t, answer[t.name], asked.top) for t in group.outputs]})
            if not asked.json:
                print("\n".join(_lines(samples[-1])), flush=True)
    about = _about(session, together, feed.count, seconds, asked)
    told = json.dumps(_plain(about | {"samples": samples})) if asked.json else "\n".join(_closing(about, asked))
    print(told, flush=True)


def _plain(value: Any) -> Any:
    """With text for numbers that JSON has not ("nan", "inf", "-inf")."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _files(session: InferenceSession, asked: Asked) -> dict[str, str]:
    """File -> its tensor; raises SessionError where two tensors would have the same one."""
    found: dict[str, str] = {}
    layers = session.layers(asked.group_index) if asked.layers else ()
    for name in (*(tensor.name for tensor in session.group(asked.group_index).outputs), *layers):
        file = f"{file_name(name)}.npy"
        if file in found:
            raise SessionError(f"'{found[file]}' and '{name}' would both be written to {file}")
        found[file] = name
    return found


def _write(folder: Path, answer: Sample, files: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, tensor in files.items():
            np.save(folder / file, answer[tensor], allow_pickle=False)
    except OSError as error:
        raise SessionError(f"{folder} cannot be written: {error.strerror}") from None


def _facts(tensor: BoundaryTensor, array: Array, top: int) -> dict[str, Any]:
    """An output of one sample in figures; `top` where it is a list of values, by descending value."""
    found: dict[str, Any] = {"name": tensor.name, "dtype": type_of_dtype(tensor.dtype).name, "shape": list(array.shape)}
    if array.size:
        found |= {"min": array.min().item(), "max": array.max().item(), "mean": float(array.mean(dtype=np.float64))}
    if top and array.size > 1 and array.size == max(array.shape):
        values = array.reshape(-1)
        order = np.argsort(-values.astype(np.float64), kind="stable")[:top]
        found["top"] = [[int(index), values[index].item()] for index in order]
    return found


def _lines(sample: dict[str, Any]) -> Iterator[str]:
    for number, output in enumerate(sample["outputs"]):
        shape = "x".join(map(str, output["shape"]))
        values = [f"{key} {output[key]:.6g}" for key in ("min", "mean", "max") if key in output]
        yield "  ".join([f"{'' if number else sample['name']:<20}", output["name"], output["dtype"], shape, *values])
        if "top" in output:
            yield f"{'':<20}  top  " + ", ".join(f"{index}: {value:.6g}" for index, value in output["top"])


def _about(session: InferenceSession, together: int, count: int, seconds: float, asked: Asked) -> dict[str, Any]:
    container, run = session.group(asked.group_index), min(together, count)
    cycles, clock = session.estimate(run, asked.group_index)
    return {
        "target_hardware": container.target_hardware,
        "npu_mode": container.npu_mode,
        "simulated": True,
        "count": count,
        "run": run,
        "batches": split(run, container.batches()),
        "estimated_cycles": cycles,
        "clock_mhz": clock,
        "seconds": round(seconds, 6),
    }


def _closing(about: dict[str, Any], asked: Asked) -> Iterator[str]:
    batches = about["batches"]
    parts = f" as batches of {' + '.join(map(str, batches))}" if batches != [about["run"]] else ""
    if asked.output_dir:
        yield f"written to {asked.output_dir}"
    yield (
        f"{counted(about['count'], 'sample')} on the simulated {about['target_hardware']} {about['npu_mode']} "
        f"in {about['seconds']:.3g} s, in runs of {about['run']}{parts}; "
        f"the cost model estimates {about['estimated_cycles']:,} cycles a run, "
        f"{about['estimated_cycles'] / about['clock_mhz'] / 1e3:.3g} ms on the NPU"
    )
