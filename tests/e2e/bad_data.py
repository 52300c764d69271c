"""Mistakes and malice in data: archives, pictures, arrays, and objects that would run code where they are unpickled."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from PIL import Image

from bad_world import SHAPE, Make, Mistake, both, configured, npy, written, zeros
from broken_models import model, node

GOOD = zeros()
NOISE = npy(np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))
LFS = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
DECODE = "//:model_quant decode: "


def tarred(told: str, *members: tuple[str, bytes | tuple[bytes, str]], form: str = "", size: int = -1) -> Mistake:
    """member: its content, or its kind and what it leads to; size: bytes that are left of the archive."""
    name = f"set.tar{'.gz' if form else ''}"
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{form}") as archive:
        for path, content in members:
            info = tarfile.TarInfo(path)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                archive.addfile(info)
    cut = stream.getvalue()[: size if size >= 0 else None]
    return Mistake(told, both(written(name, cut), configured(name)))


def zipped(told: str, members: Mapping[str | zipfile.ZipInfo, bytes], change: Any = bytes, packed: int = 8) -> Mistake:
    """change: made of the archive's bytes. packed: 8 deflates, 0 stores."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packed) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return Mistake(told, both(written("set.zip", change(stream.getvalue())), configured("set.zip")))


def named(told: str, name: str, content: str | bytes) -> Mistake:
    """A file called as an archive is."""
    return Mistake(told, both(written(name, content), configured(name)))


def samples(told: str, form: str, **files: bytes) -> Mistake:
    """A folder of samples; a_npy is a.npy."""
    makes = [written(f"set/{'.'.join(name.rsplit('_', 1))}", content) for name, content in files.items()]
    return Mistake(told, both(*makes, configured("set", form)))


def array(told: str, content: bytes) -> Mistake:
    return samples(told, "Numpy", a_npy=content)


def picture(told: str, content: bytes) -> Mistake:
    return samples(told, "Image", a_png=content)


def held(told: str, value: object) -> Mistake:
    """A NumpyObject file of any value."""
    return samples(told, "NumpyObject", a_npy=npy(np.array(value, dtype=object), allow_pickle=True))


def folder(told: str, make: Make) -> Mistake:
    return Mistake(told, both(lambda root: (root / "set").mkdir(), make, configured("set")))


def pixels(width: int = 8, mode: str = "RGB", form: str = "PNG", noise: bool = False) -> bytes:
    image = Image.new(mode, (width, 8))
    if noise:
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def claims_pixels(side: int) -> bytes:
    """A PNG of so many pixels a side, which are not there."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(999))) + chunk(b"IEND", b"")


def states(descr: str, shape: object, rest: bytes = b"") -> bytes:
    """An .npy file whose header says what it is told to."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    header += b" " * (63 - len(header) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + rest


def grey_model(*shape: int) -> Make:
    """net.onnx takes in something else than three channels."""
    return lambda root: onnx.save(model([node("Relu", ["x"], ["y"])], shape=shape), root / "net.onnx")


def encrypted(content: bytes) -> bytes:
    flagged = bytearray(content)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        flagged[content.find(signature) + flags] |= 1
    return bytes(flagged)


def changed_within(content: bytes) -> bytes:
    place = content.find(b"a.npy") + 200
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def link_in_zip() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("a.npy")
    info.external_attr = 0o120777 << 16
    return info


class Malice:
    """What runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch pwned",)


ARCHIVES = {
    "a tar that leads out": tarred(f"error AX331: {DECODE}set.tar has a member '../../a.npy'", ("../../a.npy", GOOD)),
    "a tar from the root": tarred("member '/tmp/a.npy', whose name leads out of the archive", ("/tmp/a.npy", GOOD)),
    "a link in a tar": tarred("'a.npy' that is a link or a device", ("a.npy", (tarfile.SYMTYPE, "/etc/passwd"))),
    "a hard link in a tar": tarred("'a.npy' that is a link or a device", ("a.npy", (tarfile.LNKTYPE, "/etc/passwd"))),
    "a device in a tar": tarred("'a.npy' that is a link or a device", ("a.npy", (tarfile.CHRTYPE, ""))),
    "a pipe in a tar": tarred("'a.npy' that is a link or a device", ("a.npy", (tarfile.FIFOTYPE, ""))),
    "an empty tar": tarred(f"error AX335: {DECODE}the calibration set has no sample of format Numpy among 0 files"),
    "a name twice in a tar": tarred("set.tar has two members named 'a.npy'", ("a.npy", GOOD), ("a.npy", GOOD)),
    "controls in a tar": tarred(r"a member 'a\x1b[31m\n.npy', whose name is not plain text", ("a\x1b[31m\n.npy", GOOD)),
    "a tar cut in a member": tarred("error AX332: ", ("a.npy", GOOD), ("b.npy", GOOD), size=900),
    "a tar cut in a header": tarred(
        "set.tar is cut off: the block of zeros", ("a.npy", GOOD), ("b.npy", GOOD), size=1800
    ),
    "a tar cut between members": tarred(
        "set.tar is cut off: the block of zeros", ("a.npy", GOOD), ("b.npy", GOOD), size=1536
    ),
    "a tar.gz cut off": tarred("error AX332: ", ("a.npy", NOISE), form="gz", size=400),
    "a tar.gz of zeros": tarred("set.tar.gz unpacks to more than 67108864 bytes", ("a.npy", bytes(1 << 27)), form="gz"),
    "a tar that is none": named("set.tar is not a readable tar archive", "set.tar", "hello" * 999),
    "a tar.gz that is none": named(
        "set.tar.gz is not a readable tar archive: Not a gzipped", "set.tar.gz", "hello" * 999
    ),
    "a tar of no bytes": named("set.tar is not a readable tar archive: empty file", "set.tar", ""),
    "a pointer of Git LFS": named(
        "error AX510: this is not the file itself\n  hint: it is a Git LFS pointer", "set.tar", LFS
    ),
    "a zip that leads out": zipped("set.zip has a member '../a.npy', whose name leads out", {"../a.npy": GOOD}),
    "a zip with backslashes": zipped(r"set.zip has a member '..\a.npy', whose name leads out", {"..\\a.npy": GOOD}),
    "a zip with a drive": zipped("set.zip has a member 'C:/a.npy', whose name leads out", {"C:/a.npy": GOOD}),
    "a link in a zip": zipped("'a.npy' that is a link or a device", {link_in_zip(): b"/etc/passwd"}),
    "a zip of zeros": zipped("set.zip unpacks to more than 67108864 bytes", {"a.npy": bytes(1 << 27)}),
    "an encrypted zip": zipped("member 'a.npy' of set.zip is encrypted", {"a.npy": GOOD}, encrypted),
    "a zip cut off": zipped("set.zip is not a readable zip archive", {"a.npy": GOOD}, lambda content: content[:60]),
    "a zip with one bit changed": zipped(
        "'a.npy' of set.zip is damaged: Bad CRC-32", {"a.npy": NOISE}, changed_within, 0
    ),
    "an archive of another kind": named("set.7z is an archive of a kind that is not read", "set.7z", "7z"),
    "an archive among files": samples(
        "one archive or loose files; a.tar stands among 2 files", "Numpy", a_tar=b"x", b_npy=GOOD
    ),
    "an empty folder": folder("config.json:7: error AX111: the folder 'set' holds no file", lambda root: None),
    "a folder in itself": folder(
        "error AX110: the link 'set/a' leads back", lambda root: (root / "set/a").symlink_to(".")
    ),
    "a pipe among samples": folder(
        "error AX111: the folder 'set' holds no file", lambda root: os.mkfifo(root / "set/a.npy")
    ),
    "a pipe as archive": Mistake(
        "config.json:7: error AX109: the link 'set.tar' leads to no file",
        both(lambda root: os.mkfifo(root / "set.tar"), configured("set.tar")),
    ),
    "files of no format": samples("has no sample of format Numpy among 1 file", "Numpy", a_txt=b"x"),
    "arrays as pictures": samples("'a.npy' is of format Numpy and the set is of format Image", "Image", a_npy=GOOD),
    "two samples of one name": samples("'a.NPY' and 'a.npy' are samples of one name", "Numpy", a_npy=GOOD, a_NPY=GOOD),
}

PICTURES = {
    "no picture": picture(
        f"error AX333: {DECODE}'a.png' is not a readable picture: its content is of no known", b"hello"
    ),
    "a picture of no bytes": picture("'a.png' is not a readable picture", b""),
    "a picture cut off": picture("'a.png' is not a readable picture", pixels(form="JPEG", noise=True)[:600]),
    "a picture of 100,000 pixels a side": picture(
        "'a.png' is not a readable picture: Image size", claims_pixels(100_000)
    ),
    "a picture of 12,000 pixels a side": picture(
        "'a.png' has 12000 x 12000 pixels; 134217728 are", claims_pixels(12_000)
    ),
    "a picture of floats": picture("'a.png' has pixels of mode F", pixels(mode="F", form="TIFF")),
    "a drawing": picture("its content is of no known format", b"<svg/>"),
    "controls in a picture's name": Mistake(
        r"'a\x1b[31m\n.png' is not a readable picture",
        both(written("set/a\x1b[31m\n.png", b"x"), configured("set", "Image")),
    ),
    "a model of one channel": Mistake(
        "pictures in BGR need a model input of shape [1, 3, height, width], and 'x' is [1, 1,",
        both(grey_model(1, 1, 8, 8), written("set/a.png", pixels()), configured("set", "Image")),
    ),
    "a model of vectors": Mistake(
        "pictures in BGR need a model input of shape [1, 3, height, width], and 'x' is [1, 8]",
        both(grey_model(1, 8), written("set/a.png", pixels()), configured("set", "Image")),
    ),
}

ARRAYS = {
    "another shape": array(f"error AX334: {DECODE}'a.npy' is float32 [1, 3, 8, 7], and model input", zeros(1, 3, 8, 7)),
    "another type": array("'a.npy' is int64 [1, 3, 8, 8], and model input 'x' is float32", zeros(dtype=np.int64)),
    "a wider type": array("'a.npy' is float64 [1, 3, 8, 8], and model input 'x' is float32", zeros(dtype=np.float64)),
    "complex numbers": array("'a.npy' is complex64 [1, 3, 8, 8]", zeros(dtype=np.complex64)),
    "texts": array("'a.npy' is <U1 [1, 3, 8, 8]", npy(np.full(SHAPE, "a"))),
    "no numbers": array("'a.npy' has values that are not finite", npy(np.full(SHAPE, np.nan, np.float32))),
    "infinities": array("'a.npy' has values that are not finite", npy(np.full(SHAPE, np.inf, np.float32))),
    "an array cut off": array("'a.npy' is cut off: its header states [1, 3, 8, 8] and 759 bytes", GOOD[:-9]),
    "an array that goes on": array("'a.npy' goes on behind its array", GOOD + b"x"),
    "an array of no bytes": array("'a.npy' is not an .npy file", b""),
    "an array of 12 TB": array("'a.npy' is float32 [1, 3, 1000000, 1000000]", states("<f4", (1, 3, 10**6, 10**6))),
    "code for a shape": array(
        "'a.npy' is not an .npy file: shape is not valid", states("<f4", "__import__('os').getcwd()")
    ),
    "a format of tomorrow": array("'a.npy' has version 7.0 of the .npy format", b"\x93NUMPY\x07\x00" + GOOD[8:]),
    "objects among arrays": array(
        "'a.npy' holds pickled objects", npy(np.array([Malice()], object), allow_pickle=True)
    ),
    "bytes of another number": samples(
        "'a.bin' has 100 bytes, and model input 'x' is float32", "Binary", a_bin=bytes(100)
    ),
    "bytes of no numbers": samples("'a.bin' has values that are not finite", "Binary", a_bin=b"\xff" * 768),
    "a command as object": held(
        "error AX345: //:model_quant decode: 'a.npy' is not a pickled dict of plain arrays: it asks for posix.system",
        Malice(),
    ),
    "a command within a dict": held("it asks for posix.system, which is not made", {"x": Malice()}),
    "a list as object": held("is not a pickled dict of plain arrays", [1]),
    "a text for an array": held("under 'x' it holds a value of type str", {"x": "text"}),
    "a number for a name": held("a value of type int stands where a text should", {1: np.zeros(1)}),
    "an object without the input": held("'a.npy' has no array for the input 'x'; it has q", {"q": np.zeros(1)}),
    "an object with another input": held(
        "'a.npy' has an array for 'q', which is no input", {"x": np.zeros(SHAPE, np.float32), "q": np.zeros(1)}
    ),
    "controls in an object's name": held(r"no array for the input 'x'; it has \x1b[31m", {"\x1b[31m": np.zeros(1)}),
    "an object of an exabyte": samples(
        "is not a pickled dict of plain arrays: it is cut off",
        "NumpyObject",
        a_npy=states("|O", ()) + b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60),
    ),
    "an object cut off": samples(
        "is not a pickled dict of plain arrays: it is cut off",
        "NumpyObject",
        a_npy=npy(np.array({"x": np.zeros(SHAPE)}, object), allow_pickle=True)[:-20],
    ),
    "an array for an object": samples(
        "'a.npy' holds an array, float32 [1, 3, 8, 8], and a NumpyObject sample is a dict", "NumpyObject", a_npy=GOOD
    ),
}
