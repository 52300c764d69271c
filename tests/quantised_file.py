"""A quantised model as it lies in a folder, read back."""

from pathlib import Path

from quantised import Quantised

from axbuild.toolchain.quant.read_quantised import ReadQuantisedParams, read_quantised
from axbuild.toolchain.quant.records import write_records


def written(result: Quantised, folder: Path, content: bytes | None = None) -> Path:
    """The folder with the model and its records; content: of the model, where it is not as it was made."""
    folder.mkdir()
    (folder / "quant_axmodel.onnx").write_bytes(result.content if content is None else content)
    write_records(result.records, folder / "quant_axmodel.json")
    return folder


def read(folder: Path, out: Path, **params) -> Path:
    out.mkdir()
    read_quantised(folder, out, params=ReadQuantisedParams(**params))
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
