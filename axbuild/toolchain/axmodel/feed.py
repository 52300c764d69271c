"""Files that a user gives for the inputs of a compiled model: pictures, .npy, .bin, and folders of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain.axmodel.runners import Sample
from axbuild.toolchain.axmodel.session import SessionError, require_known
from axbuild.toolchain.data import arrays, images
from axbuild.toolchain.data.colour import YUV
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.data.processors import source_input
from axbuild.toolchain.file_names import file_name
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import type_of_dtype
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.program.form import bytes_of
from axbuild.toolchain.plain_file import is_there

RAW = ".bin"


@dataclass(frozen=True)
class SampleFile:
    """One file for one input, which holds a sample or, of .npy and .bin, several along the input's batch axis."""

    tensor: BoundaryTensor
    path: Path

    def count(self) -> int:
        """Samples in it; raises SessionError or BadArrayError where it does not fit the input."""
        return self._count(self._content())

    def named(self) -> Iterator[tuple[str, Array]]:
        """(name, array as the compiled model takes it in) of each sample."""
        content = self._content()
        count = self._count(content)
        array = self._array(content, count)
        for number in range(count):
            name = self.path.stem if count == 1 else f"{self.path.stem}.{number}"
            yield name, self.tensor.sample(array, number)

    @property
    def _suffix(self) -> str:
        return self.path.suffix.lower()

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise SessionError(f"{self.path} cannot be read: {error.strerror}") from None

    def _count(self, content: bytes) -> int:
        if self._suffix in arrays.SUFFIXES:
            return self._counted(arrays.header(content, self.path.name)[0])
        if self._suffix != RAW:
            self._require_picture()
            return 1
        one = bytes_of(self.tensor.shape, self.tensor.dtype)
        if not content or len(content) % one or (len(content) > one and self.tensor.batch_axis is None):
            raise SessionError(
                f"'{self.path.name}' has {len(content):,} bytes, and a sample of input '{self.tensor.name}' "
                f"has {one:,} ({described(self.tensor)})"
            )
        return len(content) // one

    def _array(self, content: bytes, count: int) -> Array:
        shape, dtype = self.tensor.at_batch(count), self.tensor.dtype
        if self._suffix in arrays.SUFFIXES:
            return arrays.decode_array(content, self.path.name, shape, dtype, self.tensor.name)
        return np.frombuffer(content, dtype).reshape(shape) if self._suffix == RAW else self._picture(content)

    def _counted(self, shape: tuple[int, ...]) -> int:
        axis = self.tensor.batch_axis
        if axis is None or len(shape) != len(self.tensor.shape):
            return 1
        return max(1, shape[axis] // self.tensor.shape[axis])

    def _require_picture(self) -> None:
        if self.tensor.color in YUV:
            raise SessionError(
                f"input '{self.tensor.name}' takes the bytes of a {self.tensor.color} picture, "
                f"{described(self.tensor)}, and '{self.path.name}' is neither .npy nor .bin",
                hint="convert the picture, and save its bytes as .bin",
            )
        if not self.tensor.layout:
            raise SessionError(
                f"input '{self.tensor.name}' takes {described(self.tensor)}, which is no picture, "
                f"and '{self.path.name}' is neither .npy nor .bin",
                hint="with input_processors in the axmodel its pre-processing is compiled in, and it takes pictures",
            )
        if not self.tensor.color:
            raise SessionError(
                f"input '{self.tensor.name}' takes {described(self.tensor)}, not the levels of a picture, and "
                f"'{self.path.name}' is neither .npy nor .bin",
                hint="it is fed values that its user makes of pictures; an input takes their levels where "
                "input_processors give it a tensor_format and calibration's mean and std",
            )

    def _picture(self, content: bytes) -> Array:
        nhwc = self.tensor.layout == "NHWC"
        height, width = self.tensor.shape[1:3] if nhwc else self.tensor.shape[2:4]
        picture = images.decode_image(content, self.path.name, (height, width), self.tensor.color)
        about = InputData(self.tensor.name, "Image")
        return source_input(picture.pixels, about, self.tensor.dtype, self.tensor.layout)


def described(tensor: BoundaryTensor) -> str:
    return f"{type_of_dtype(tensor.dtype).name} {list(tensor.shape)}"


def files_of(inputs: Sequence[BoundaryTensor], given: Sequence[str]) -> dict[str, list[SampleFile]]:
    """Input -> its files, in the order given, those of a folder by name. given: PATH or NAME=PATH.

    Raises SessionError where a name is unknown, a path does not exist, or an input is left without a file.
    """
    known = {tensor.name: tensor for tensor in inputs}
    found: dict[str, list[SampleFile]] = {name: [] for name in known}
    for text in given:
        name, path = _split(text, known)
        found[name] += [SampleFile(known[name], file) for file in _files(path)]
    if missing := [known[name] for name, files in found.items() if not files]:
        lines = ", ".join(f"'{tensor.name}' {described(tensor)}" for tensor in missing)
        raise SessionError(
            f"nothing is given for the input{'s' if len(missing) > 1 else ''} {lines}",
            hint=f"--input {missing[0].name}=FILE, a {'picture, ' if missing[0].color else ''}.npy or .bin file",
        )
    return found


def files_in(folder: Path, inputs: Sequence[BoundaryTensor]) -> dict[str, list[SampleFile]]:
    """Input -> its files in a folder: an entry for each input, a file or a folder of them, called as the input is with
    "_" for each character but letters, digits, "_" and "-"; those of a single input may lie in the folder itself.

    Raises SessionError where an input has none, or an entry is for none.
    """
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    called = {file_name(tensor.name): tensor for tensor in inputs}
    owners = [called.get(entry.name if entry.is_dir() else entry.stem) for entry in entries]
    if len(inputs) == 1 and not any(owners):
        owners = [inputs[0]] * len(entries)
    found: dict[str, list[SampleFile]] = {tensor.name: [] for tensor in inputs}
    for entry, owner in zip(entries, owners, strict=True):
        if owner is None:
            raise SessionError(f"the sample '{entry.name}' is for no input; expected {_expected(inputs)}")
        found[owner.name] += [SampleFile(owner, file) for file in _files(entry)]
    if missing := [tensor for tensor in inputs if not found[tensor.name]]:
        raise SessionError(f"there are no samples for the input '{missing[0].name}'; expected {_expected(inputs)}")
    return found


def _expected(inputs: Sequence[BoundaryTensor]) -> str:
    return ", ".join(f"{file_name(tensor.name)} (.npy, .bin or a folder), {described(tensor)}" for tensor in inputs)


def _split(text: str, known: Mapping[str, BoundaryTensor]) -> tuple[str, Path]:
    name, sign, path = text.partition("=")
    if sign and name in known:
        return name, Path(path)
    if is_there(Path(text)) and len(known) == 1:
        return next(iter(known)), Path(text)
    if is_there(Path(text)):
        raise SessionError(f"--input {text} says not for which input it is; the model has {', '.join(known)}")
    if sign:
        require_known(name, known, "input")
    raise SessionError(f"--input {text}: there is no such file or folder")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        if not files:
            raise SessionError(f"the folder {path} holds no file")
        return files
    if not path.is_file():
        raise SessionError(f"there is no file or folder {path}")
    return [path]


class Feed:
    """Samples in the order of their files; those of several inputs are paired by their place."""

    def __init__(self, files: Mapping[str, Sequence[SampleFile]]) -> None:
        self._files = files
        counts = {name: sum(file.count() for file in own) for name, own in files.items()}
        self._common = {name for name, own in files.items() if own[0].tensor.batch_axis is None and counts[name] == 1}
        batched = {name: count for name, count in counts.items() if name not in self._common}
        if len(set(batched.values())) > 1:
            shown = ", ".join(f"'{name}' {count}" for name, count in batched.items())
            raise SessionError(f"the inputs are given different numbers of samples: {shown}")
        self.count = next(iter(batched.values()), 1)

    def __iter__(self) -> Iterator[tuple[str, Sample]]:
        """(name, what it holds for each input) of each sample; named by the first input's files, each name once."""
        common = {name: next(self._samples(name))[1] for name in self._common}
        own = [name for name in self._files if name not in self._common] or list(self._common)[:1]
        taken: dict[str, int] = {}
        for row in zip(*(self._samples(name) for name in own), strict=True):
            name = row[0][0]
            taken[name] = taken.get(name, 0) + 1
            unique = name if taken[name] == 1 else f"{name}~{taken[name]}"
            yield unique, common | {key: array for key, (_, array) in zip(own, row, strict=True)}

    def _samples(self, name: str) -> Iterator[tuple[str, Array]]:
        for file in self._files[name]:
            yield from file.named()
