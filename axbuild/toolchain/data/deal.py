"""Stage, an expansion: a large calibration set in shards, each decoded by itself."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from axbuild.toolchain.data.archives import members
from axbuild.toolchain.data.chosen import chosen
from axbuild.toolchain.data.shards import bits_of, shards_of

DECODE = "axbuild.toolchain.data.decode:decode"
SURVEY = "axbuild.toolchain.data.survey:survey"


@dataclass(frozen=True)
class DealParams:
    """As in DecodeParams; most: samples of a shard."""

    most: int
    input: str
    format: str
    size: int
    tensor_format: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    apart: tuple[str, ...] = ()


def deal(source: Path, out: Path, *, params: DealParams) -> None:
    """`source`: as decoding has it. Writes `dealt/`, the files of its samples in the folders of their shards, and
    expansion.json, whose children read the input `interface`; its result is samples/ and shards.json."""
    with members(source) as found:
        files = dict(chosen(found, params.format, params.size))
        shards = shards_of(files, params.most)
        for folder, names in shards.items():
            (out / "dealt" / folder).mkdir(parents=True)
            for name in names:
                file = f"{name}{PurePosixPath(files[name].name).suffix}"
                (out / "dealt" / folder / file).write_bytes(files[name].read())
    plan = _whole(params) if list(shards) == [""] else _parts(list(shards), params)
    (out / "expansion.json").write_text(json.dumps(plan, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _whole(params: DealParams) -> dict[str, Any]:
    result = {"samples/": "child:decode/samples/", "shards.json": "child:decode/shards.json"}
    return {"children": [_decode("decode", "", _asked(params) | {"part": False})], "result": result}


def _parts(folders: list[str], params: DealParams) -> dict[str, Any]:
    """What is said of the samples depends on mean and std, their pixels do not."""
    names = {folder: f"decode_{bits_of(folder)}" for folder in folders}
    alone = _asked(params) | {"size": -1, "mean": [], "std": [], "part": True}
    told = {"shards": folders, "size": params.size, "mean": params.mean, "std": params.std}
    told |= {"input": params.input} if params.input else {}
    surveys = {"surveys": [f"child:{name}/survey.json" for name in names.values()]}
    return {
        "children": [
            *(_decode(name, folder, alone) for folder, name in names.items()),
            {"name": "survey", "stage": SURVEY, "params": told, "inputs": surveys},
        ],
        "result": {f"samples/{folder}": f"child:{name}/samples/" for folder, name in names.items()}
        | {"shards.json": "child:survey/shards.json"},
    }


def _asked(params: DealParams) -> dict[str, Any]:
    return {name: value for name, value in asdict(params).items() if name != "most"}


def _decode(name: str, folder: str, params: dict[str, Any]) -> dict[str, Any]:
    inputs = {"source": f"output:dealt/{folder}", "interface": "input:interface"}
    return {"name": name, "stage": DECODE, "params": params, "inputs": inputs}
