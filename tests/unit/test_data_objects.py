"""Samples of several inputs at once: `.npy` files with a pickled dict, of which none but plain arrays come."""

from __future__ import annotations

import base64
import io
import pickle
import random

import numpy as np
import pytest
from calibration_world import npy, room_in, tar

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.data.arrays import BadArrayError, decode_array
from axbuild.toolchain.data.decode import DecodeParams
from axbuild.toolchain.data.fit import FitParams, fit
from axbuild.toolchain.data.inputs import InputData, load_sample, tensor_input
from axbuild.toolchain.data.objects import decode_object
from axbuild.toolchain.data.pickled import MAX_OPCODES, PickleRefused, read_arrays
from axbuild.toolchain.data.sampled import SampledInput

OBJECTS = DecodeParams("", "NumpyObject", -1, "AutoColorSpace")
SEED = (("rgb", [1, 2, 3, 8, 8]), ("inst_emb", [1, 384]))
"""the inputs of the seed guide's example, rgb at 8 x 8 pixels"""

NUMPY_1_26 = base64.b64decode(
    "gANjbnVtcHkuY29yZS5tdWx0aWFycmF5Cl9yZWNvbnN0cnVjdApxAGNudW1weQpuZGFycmF5CnEBSwCFcQJDAWJxA4dxBFJxBShLASljbnVtcHkKZHR5"
    "cGUKcQZYAgAAAE84cQeJiIdxCFJxCShLA1gBAAAAfHEKTk5OSv////9K/////0s/dHELYoldcQx9cQ0oWAEAAAB4cQ5oAGgBSwCFcQ9oA4dxEFJxEShL"
    "AUsBSwKGcRJoBlgCAAAAZjRxE4mIh3EUUnEVKEsDWAEAAAA8cRZOTk5K/////0r/////SwB0cRdiiUMIAAAAAAAAgD9xGHRxGWJYAQAAAG5xGmgAaAFL"
    "AIVxG2gDh3EcUnEdKEsBSwGFcR5oBlgCAAAAaThxH4mIh3EgUnEhKEsDaBZOTk5K/////0r/////SwB0cSJiiUMIBwAAAAAAAABxI3RxJGJ1YXRxJWIu"
)
"""np.save(file, {"x": np.arange(2, dtype=np.float32).reshape(1, 2), "n": np.array([7])}) by numpy 1.26.4, no header"""


@pytest.fixture
def room(tmp_path):
    return room_in(tmp_path)


def pickled(value, protocol=4) -> bytes:
    return pickle.dumps(np.array(value, dtype=object), protocol=protocol)


def file_of(pickle_bytes: bytes) -> bytes:
    """An .npy file of one object."""
    stream = io.BytesIO()
    header = np.lib.format.header_data_from_array_1_0(np.array({}, dtype=object))
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + pickle_bytes


def sample(seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SEED}


ARRAYS = {
    "float32": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "strided": np.arange(12, dtype=np.int32)[::3],
    "big-endian": np.arange(3, dtype=">f4"),
    "int64": np.arange(-2, 2),
    "bool": np.array([True, False]),
    "uint8": np.arange(4, dtype=np.uint8),
    "float16": np.ones((2, 1), np.float16),
    "scalar": np.array(3, np.float32),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_numpy_gives_the_arrays_back(protocol):
    found = read_arrays(pickled(ARRAYS, protocol), "a.npy")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_what_numpy_1_wrote_is_read_as_well():
    found = read_arrays(NUMPY_1_26, "a.npy")
    assert {name: (str(array.dtype), array.tolist()) for name, array in found.items()} == {
        "x": ("float32", [[0.0, 1.0]]),
        "n": ("int64", [7]),
    }


def test_one_set_serves_all_inputs_by_their_names(room, tmp_path):
    """The seed guide's own lines, saved by np.save: rgb and inst_emb, all samples of the archive."""
    room.inputs = SEED
    samples = {f"data{number}": sample(number) for number in range(3)}
    tar(room.source / "dataset.tar", {f"{name}.npy": npy(value) for name, value in samples.items()})
    decoded = room.run(OBJECTS)
    assert list(decoded) == ["data0", "data1", "data2"]
    for name, value in samples.items():
        record = load_sample(tmp_path / f"out1/samples/{name}.npy")
        for key, array in value.items():
            taken = tensor_input(record, InputData(key, "Numpy"))
            assert taken.dtype == np.float32
            assert taken.flags["ALIGNED"]
            assert np.array_equal(taken, array)


def test_a_set_for_one_input_takes_its_own_array_alone(room):
    room.inputs = SEED
    (room.source / "a.npy").write_bytes(npy(sample()))
    (found,) = room.run(DecodeParams("inst_emb", "NumpyObject", -1, "AutoColorSpace")).values()
    assert np.array_equal(found, sample()["inst_emb"])


def test_records_are_fitted_to_another_shape_field_by_field(room, tmp_path):
    room.inputs = SEED
    (room.source / "a.npy").write_bytes(npy(sample()))
    room.run(OBJECTS)
    (tmp_path / "fitted").mkdir()
    wider = '{"inputs": [{"name": "rgb", "shape": [1, 2, 3, 8, 12], "dtype": "float32"}, '
    (tmp_path / "wide.json").write_text(wider + '{"name": "inst_emb", "shape": [1, 384], "dtype": "float32"}]}')
    fit(tmp_path / "out1/samples", tmp_path / "wide.json", tmp_path / "fitted", params=FitParams(""))
    record = load_sample(tmp_path / "fitted/samples/a.npy")
    assert np.array_equal(record["rgb"][..., :8], sample()["rgb"])
    assert np.array_equal(record["rgb"][..., 8:], sample()["rgb"][..., :4])
    assert np.array_equal(record["inst_emb"], sample()["inst_emb"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rgb": None}, r"'a.npy' has no array for the input 'rgb'; it has inst_emb"),
        ({"mask": np.zeros(1)}, r"'a.npy' has an array for 'mask', which is no input: .* are rgb, inst_emb"),
        ({"inst_emb": np.zeros((1, 383), np.float32)}, r"'a.npy\[inst_emb\]' is float32 \[1, 383\], and .* \[1, 384\]"),
        ({"inst_emb": np.zeros((1, 384))}, r"'a.npy\[inst_emb\]' is float64 \[1, 384\], and model input 'inst_emb' is"),
        ({"inst_emb": np.full((1, 384), np.inf, np.float32)}, r"'a.npy\[inst_emb\]' has values that are not finite"),
    ],
    ids=["missing", "extra", "shape", "dtype", "infinite"],
)
def test_a_dict_that_does_not_fit_the_model_is_named_with_its_file(room, change, sentence):
    room.inputs = SEED
    value = {name: array for name, array in (sample() | change).items() if array is not None}
    (room.source / "a.npy").write_bytes(npy(value))
    with pytest.raises(BadArrayError, match=sentence) as caught:
        room.run(OBJECTS)
    assert exit_code_of(caught.value.code) == 2


def test_a_plain_array_and_a_dict_are_told_apart_with_the_format_to_write():
    x = SampledInput("x", (1,), "float32", True)
    with pytest.raises(BadArrayError, match=r"'a.npy' holds an array, float32 \[1\].*\n  hint: .* format = \"Numpy\""):
        decode_object(npy(np.zeros(1, np.float32)), "a.npy", [x])
    with pytest.raises(BadArrayError, match=r"'a.npy' holds pickled objects.*\n  hint: .* format = \"NumpyObject\""):
        decode_array(npy({"x": np.zeros(1)}), "a.npy", (1,), "float32", "x")


class _Calls:
    def __reduce__(self):
        return exec, ("raise SystemExit",)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([1, 2], "it holds an array"),
        ("text", "it holds a value of type str"),
        ({"x": 1.5}, "it has the opcode BINFLOAT"),
        ({"x": 1}, "under 'x' it holds a value of type int"),
        ({"x": [1, 2]}, "under 'x' it holds a value of type list"),
        ({"x": {"y": np.zeros(1)}}, "under 'x' it holds a value of type dict"),
        ({1: np.zeros(1)}, "a value of type int stands where a text should"),
        ({"x": np.float32(1)}, r"it asks for numpy\._core\.multiarray\.scalar"),
        ({"x": np.array(["a"])}, "an array of dtype U1, which is not of plain numbers"),
        ({"x": np.zeros(1, "V4")}, "an array of dtype V4"),
        ({"x": np.zeros(1, "c8")}, "an array of dtype c8"),
        ({"x": np.zeros(1, [("a", "f4")])}, "it builds what numpy does not build"),
        ({"x": np.array([None], dtype=object)}, "another kind than plain numbers"),
        ({"x": _Calls()}, r"it asks for builtins\.exec"),
        ({"x": random.Random}, r"it asks for random\.Random"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_is_no_dict_of_plain_arrays_is_refused_by_its_name(value, sentence):
    with pytest.raises(PickleRefused, match=sentence) as caught:
        read_arrays(pickled(value), "a.npy")
    assert caught.value.sentence.startswith("'a.npy' is not a pickled dict of plain arrays: ")
    assert exit_code_of(caught.value.code) == 2


HOSTILE = {
    "GLOBAL": (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.", r"it asks for os\.system"),
    "STACK_GLOBAL": (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.", r"it asks for posix\.system"),
    "INST": (b"\x80\x02(X\x02\x00\x00\x00idios\nsystem\n.", "it has the opcode INST"),
    "OBJ": (b"\x80\x02(cnumpy\nndarray\no.", "it has the opcode OBJ"),
    "NEWOBJ": (b"\x80\x02cnumpy\nndarray\n)\x81.", "it has the opcode NEWOBJ"),
    "PERSID": (b"\x80\x02Pid\n.", "it has the opcode PERSID"),
    "EXT1": (b"\x80\x02\x82\x01.", "it has the opcode EXT1"),
    "dotted": (b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.", r"it asks for numpy\.ndarray\.__init__"),
    "no text": (b"\x80\x04K\x01K\x02\x93.", "a value of type int stands where a text should"),
    "calls a type": (b"\x80\x02cnumpy\nndarray\nK\x05\x85R.", "it calls what numpy does not call"),
    "other codec": (b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.", "it calls what"),
    "builds a dict": (b"\x80\x02}}b.", "it builds what numpy does not build"),
    "builds a name": (b"\x80\x02cnumpy\ndtype\n}b.", "it builds what numpy does not build"),
    "huge BINBYTES": (b"\x80\x03B\xff\xff\xff\x7f.", "it is cut off"),
    "huge BINBYTES8": (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "it is cut off"),
    "huge BYTEARRAY8": (b"\x80\x05\x96" + b"\xff" * 8 + b".", "it is cut off"),
    "huge text": (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "it is cut off"),
    "endless name": (b"\x80\x02c" + b"a" * 4000, "it has a name without an end"),
    "marks": (b"\x80\x02" + b"(" * (MAX_OPCODES + 1), f"it has more than {MAX_OPCODES} opcodes"),
    "memo bomb": (b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 9000 + b".", "it goes on behind its end"),
    "bomb as a key": (b"\x80\x02})q\x00" + b"h\x00h\x00\x86q\x00" * 90 + b"Ns.", "it fills a dict where there is none"),
    "holds itself": (b"\x80\x02]q\x00h\x00a.", "it holds a value of type list"),
    "nothing kept": (b"\x80\x02h\x05.", "it recalls what it never kept"),
    "nothing there": (b"\x80\x02R.", "it takes a value where there is none"),
    "no mark": (b"\x80\x02Nt.", "it takes values without a mark"),
    "odd items": (b"\x80\x02}(X\x01\x00\x00\x00au.", "it has a key without a value"),
    "goes on": (b"\x80\x02N.N.", "it goes on behind its end"),
    "two values": (b"\x80\x02NN.", "it goes on behind its end"),
    "protocol 0": (b"(dp0\n.", "it has the opcode DICT"),
    "protocol 6": (b"\x80\x06N.", "it is of protocol 6, and 2 to 5 are read"),
    "no UTF-8": (b"\x80\x02X\x01\x00\x00\x00\xff.", "codec can't decode"),
    "nothing": (b"", "it is cut off"),
}


@pytest.mark.parametrize(("content", "sentence"), HOSTILE.values(), ids=HOSTILE)
def test_a_pickle_that_asks_for_more_is_refused_by_the_name_of_what_it_asks(content, sentence):
    with pytest.raises(PickleRefused, match=sentence):
        read_arrays(content, "a.npy")


def array_of(shape: bytes, data: bytes, kind=b"f4") -> bytes:
    """A dict {"x": array}, of which the shape and the bytes are what is given."""
    x = (
        b"cnumpy\ndtype\nX\x02\x00\x00\x00"
        + kind
        + b"K\x00K\x01\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    held = b"}X\x01\x00\x00\x00x" + empty + b"(K\x01" + shape + x + b"\x89" + data + b"tbs"
    objects = b"cnumpy\ndtype\nX\x02\x00\x00\x00O8K\x00K\x01\x87R"
    return b"\x80\x03" + empty + b"(K\x01)" + objects + b"\x89]" + held + b"atb."


def test_a_shape_is_held_against_the_bytes_there_are_before_an_array_is_made():
    assert read_arrays(array_of(b"K\x01\x85", b"C\x04" + bytes(4)), "a")["x"].tolist() == [0.0]
    for shape in (
        b"K\x02\x85",
        b"J\xff\xff\xff\x7f\x85",
        b"J\xff\xff\xff\xff\x85",
        b"\x8a\xff" + b"\x7f" * 255 + b"\x85",
    ):
        with pytest.raises(PickleRefused, match=r"array of another size|without a proper shape"):
            read_arrays(array_of(shape, b"C\x04" + bytes(4)), "a")
    with pytest.raises(PickleRefused, match="without a proper shape"):
        read_arrays(array_of(b"(" + b"K\x01" * 40 + b"t", b"C\x04" + bytes(4)), "a")
    with pytest.raises(PickleRefused, match="without a proper shape"):
        read_arrays(array_of(b"N\x85", b"C\x04" + bytes(4)), "a")


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_file_cut_off_anywhere_is_an_error_of_ours(protocol):
    content = file_of(pickled({"x": np.zeros(2, np.float32)}, protocol))
    x = SampledInput("x", (2,), "float32", True)
    assert decode_object(content, "a.npy", [x])["x"].tolist() == [0.0, 0.0]
    for end in range(len(content)):
        with pytest.raises(AxError):
            decode_object(content[:end], "a.npy", [x])


def test_whatever_bytes_are_changed_the_answer_is_an_array_or_an_error_of_ours():
    rng = random.Random(7)
    x = SampledInput("x", (2,), "float32", True)
    seeds = [pickled({"x": np.zeros(2, np.float32)}, protocol) for protocol in (2, 4, 5)]
    read = 0
    for _ in range(4000):
        content = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.choice((rng.randrange(256), *b"ciobRstu(h0"))
        try:
            found = decode_object(file_of(bytes(content)), "a.npy", [x])
        except AxError:
            continue
        assert [(array.dtype, array.shape) for array in found.values()] == [(np.float32, (2,))]
        read += 1
    assert 0 < read < 2000
