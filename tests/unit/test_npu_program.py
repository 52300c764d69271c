"""The program format: one spelling a program, and a reader that believes nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from nets import Body
from npu_world import compiled

from axbuild.codes import exit_code_of
from axbuild.toolchain.kinds.codes import TYPES
from axbuild.toolchain.kinds.registry import CLASSES
from axbuild.toolchain.npu.program.decode import KINDS, decode
from axbuild.toolchain.npu.program.encode import dump, encode, plain
from axbuild.toolchain.npu.program.form import ITEM_BYTES, MAGIC, ProgramError, link
from axbuild.toolchain.npu.simulator.machine import InputError, Machine, simulate


@pytest.fixture(scope="module")
def made():
    body = Body()
    x = body.codes("input_0", (1, 4, 6, 6))
    return compiled(body.model(body.conv(body.conv(x, 8, 3), 40)))


def altered(program, change) -> bytes:
    """The encoding with `change` done to its plain form."""
    record = json.loads(dump(program))
    change(record)
    return MAGIC + msgpack.packb(record)


def test_a_program_survives_the_round_trip(made):
    program, _ = made
    assert decode(encode(program)) == program
    assert encode(decode(encode(program))) == encode(program)


def test_both_spellings_have_the_same_content(made):
    program, _ = made
    assert json.loads(dump(program)) == plain(program)
    assert dump(program) == json.dumps(plain(program), sort_keys=True, separators=(",", ":")) + "\n"


def test_compiling_twice_gives_the_same_bytes():
    def once() -> tuple[bytes, bytes]:
        body = Body()
        x = body.codes("input_0", (1, 4, 6, 6))
        program, params = compiled(body.model(body.conv(x, 8, 3)))
        return encode(program), params

    assert once() == once()


def first_job(**changes):
    return lambda record: record["jobs"][0].update(changes)


def operand(position: int, value, side: str = "in"):
    return lambda record: record["jobs"][0][side][0].__setitem__(position, value)


def tensor(position: int, value):
    return lambda record: record["tensors"][0].__setitem__(position, value)


def computed(change):
    """A change of what the last job that computes writes."""
    return lambda record: change(next(j for j in reversed(record["jobs"]) if not j["cname"])["out"][0])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.update(format="axref-job/1"), "not of format axref-job/3"),
        (lambda r: r.pop("jobs"), "field 'jobs' is missing"),
        (lambda r: r.update(extra=1), "unknown field 'extra'"),
        (lambda r: r.update(batch=0), "expected an integer from 1"),
        (lambda r: r.update(macs=True), "expected an integer"),
        (lambda r: r.update(inputs={}), "expected a list"),
        (lambda r: r["regions"].pop(), "Regions must be distinct"),
        (lambda r: r["regions"][0].update(size=1 << 40), "expected an integer from 0"),
        (lambda r: r["regions"][0].update(space="rom"), "'rom' is unknown"),
        (lambda r: r["blobs"][0].update(digest="../x"), "the digest is no SHA-256"),
        (lambda r: r["outputs"][0].update(shape=[1 << 20] * 4), "is larger than"),
        (lambda r: r["outputs"][0].update(shape=[1] * 9), "at most 8 integers"),
        (lambda r: r["outputs"][0].update(dtype="object"), "'object' is unknown"),
        (lambda r: r["outputs"][0].update(dtype="float64"), "'float64' is unknown"),
        (first_job(index=1), "job 0.index"),
        (first_job(deps=[0]), "job 0.deps"),
        (first_job(eu="gpu0"), "'gpu0' is unknown"),
        (first_job(kind="shell"), "'shell' is unknown"),
        (first_job(attr={"a": 1.5}), "expected an integer, text or a list"),
        (first_job(attr={"a": ["x"]}), "expected an integer"),
        (lambda r: r["jobs"][3].update(deps=[1, 0]), "not in ascending order"),
        (operand(1, "elsewhere", "out"), "there is no region 'elsewhere'"),
        (operand(1, "params", "out"), "names a blob and another region"),
        (operand(2, -1), "expected an integer from 0"),
        (operand(2, 5), "shape, strides and end"),
        (operand(4, "complex64"), "unknown dtype"),
        (operand(5, [1, 2]), "shape, strides and end"),
        (operand(6, [-1, 1, 1, 1]), "expected an integer from 0"),
        (operand(7, 99), "expected an integer from -1"),
        (lambda r: r["jobs"][0]["in"][0].extend([0, []]), "job 0.in: an operand has 8 fields."),
        (tensor(0, 5), "expected text"),
        (tensor(1, "object"), "unknown dtype"),
        (tensor(1, "uint32"), "unknown dtype"),
        (tensor(2, [1, 4, 6]), "shape and strides of 'input_0' disagree"),
        (tensor(3, [-1, 1, 1, 1]), "expected an integer from 0"),
        (tensor(4, []), "expected one or more pairs"),
        (tensor(4, [["input_0", 0], ["input_0", 0]]), "'input_0' is not made of 2 equal parts"),
        (tensor(4, [["input_0", 1]]), "Tensor 'input_0' lies outside 'input_0'"),
        (lambda r: r["tensors"].append(r["tensors"][0]), "Two tensors have the same name"),
        (lambda r: r["tensors"].pop(), "what 't1' is in a dense copy does not lie in one"),
        (computed(lambda o: o.__setitem__(8, 1 << 20)), "in a dense copy does not lie in one"),
        (computed(lambda o: o.__setitem__(9, [1])), "in a dense copy does not lie in one"),
        (lambda r: r["jobs"][0]["out"][0].append(0), "job 0.out: an operand has 8 or 10 fields."),
        (lambda r: r["jobs"][0]["in"][0].pop(), "job 0.in: an operand has 8 fields."),
    ],
)
def test_a_malformed_program_is_refused(made, change, sentence):
    with pytest.raises(ProgramError) as caught:
        decode(altered(made[0], change))
    assert sentence in str(caught.value)
    assert caught.value.code == "AX400"
    assert exit_code_of(caught.value.code) == 2


def test_an_operand_that_leaves_its_region_is_refused(made):
    def grow(record):
        record["jobs"][0]["in"][0][2:4] = [1000, 1000 + record["jobs"][0]["in"][0][3]]

    with pytest.raises(ProgramError, match="of 'params', which has 1408"):
        decode(altered(made[0], grow))


def test_every_kind_of_work_and_every_element_type_has_its_place_in_the_format():
    assert {kind.job for kind in CLASSES} <= KINDS
    assert {kind.carried for kind in TYPES} <= set(ITEM_BYTES)
    assert all(np.dtype(name).itemsize == size for name, size in ITEM_BYTES.items())


def test_foreign_bytes_are_refused(made):
    data = encode(made[0])
    for foreign in (b"", b"ELF", data[:40], data[:-1], data + b"\x00", MAGIC + b"\xc1", MAGIC + b"\x90"):
        with pytest.raises(ProgramError):
            decode(foreign)


def test_damaged_bytes_give_an_error_or_a_program_but_nothing_else(made):
    """400 random changes of a few bytes each; a program that still reads is also run."""
    program, params = made
    data = np.frombuffer(encode(program), np.uint8)
    rng = np.random.default_rng(0)
    feed = {"input_0": np.zeros((1, 4, 6, 6), np.uint8)}
    refused = 0
    for _ in range(400):
        damaged = data.copy()
        damaged[rng.integers(0, len(data), 3)] = rng.integers(0, 256, 3)
        try:
            simulate(decode(damaged.tobytes()), params, feed)
        except (ProgramError, InputError):
            refused += 1
    assert refused > 200


def test_linking_moves_blobs_and_nothing_else(made):
    program, params = made
    offsets = {blob.digest: 4096 + blob.offset for blob in program.blobs}
    linked = link(program, offsets)
    assert linked.jobs is program.jobs
    feed = {"input_0": np.arange(144, dtype=np.uint8).reshape(1, 4, 6, 6)}
    expected = simulate(program, params, feed)
    found = simulate(linked, bytes(4096) + params, feed)
    assert {name: array.tobytes() for name, array in found.items()} == {n: a.tobytes() for n, a in expected.items()}
    with pytest.raises(ProgramError, match="lacks the blob"):
        link(program, {})


def test_a_machine_runs_again_and_again_with_the_same_result(made):
    program, params = made
    machine = Machine(program, params)
    rng = np.random.default_rng(1)
    feeds = [{"input_0": rng.integers(0, 256, (1, 4, 6, 6)).astype(np.uint8)} for _ in range(2)]
    first, other, again = (machine.run(feeds[i]) for i in (0, 1, 0))
    (name,) = first
    assert np.array_equal(first[name], again[name])
    assert not np.array_equal(first[name], other[name])


@pytest.mark.parametrize(
    ("feed", "sentence"),
    [
        ({}, "'input_0' is missing"),
        ({"input_0": np.zeros((1, 4, 6, 6), np.uint8), "y": np.zeros(1)}, "'y' is not an input"),
        ({"input_0": np.zeros((1, 4, 6, 5), np.uint8)}, "got uint8 [1, 4, 6, 5]"),
        ({"input_0": np.zeros((1, 4, 6, 6), np.float32)}, "must be uint8 [1, 4, 6, 6], got float32"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(made, feed, sentence):
    with pytest.raises(InputError) as caught:
        simulate(*made, feed)
    assert sentence in caught.value.sentence


def test_a_tensor_that_is_not_there_cannot_be_watched(made):
    program, params = made
    feed = {"input_0": np.zeros((1, 4, 6, 6), np.uint8)}
    with pytest.raises(InputError, match="The program has no tensor 'inptu_0' to watch") as caught:
        Machine(program, params).run(feed, watch=("inptu_0",))
    assert caught.value.hint == "did you mean 'input_0'?"
    assert caught.value.code == "AX401"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kernel": "magic"}, "'magic' is no kernel"),
        ({"inputs": ()}, "is no kernel of these operands"),
        ({"attr": {}}, "attribute 'bias' is missing"),
    ],
)
def test_a_job_that_no_kernel_can_run_is_refused_before_anything_runs(made, changes, sentence):
    program, params = made
    jobs = tuple(replace(job, **changes) if job.kernel == "conv" else job for job in program.jobs)
    with pytest.raises(ProgramError) as caught:
        Machine(replace(program, jobs=jobs), params)
    assert sentence in caught.value.sentence


def test_constants_that_are_too_short_are_refused(made):
    program, params = made
    with pytest.raises(ProgramError, match="lies outside"):
        Machine(program, params[:-1])
