"""The verifier accepts what the compiler makes and names each fault that is planted into a program."""

from __future__ import annotations

from dataclasses import replace

import pytest
from nets import Body
from npu_world import chip, compiled

from axbuild.toolchain.npu.program.form import Activation, DensePlace, Job, Operand, Port, Program, Region
from axbuild.toolchain.npu.program.verify import VerifyError, verify


def row(tensor: str, region: str, begin: int, size: int = 16) -> Operand:
    return Operand(tensor, region, begin, (size,), (1,), "uint8")


def job(index: int, sources: list[Operand], target: Operand, deps: tuple[int, ...], start: int, engine: str) -> Job:
    kernel = "move" if len(sources) == 1 else "add"
    return Job(index, f"j{index}", "op", engine, "copy", kernel, "", tuple(sources), (target,), deps, start, 10, {})


def small() -> Program:
    """a and b come on chip, are added, c goes out; then a's place is used again."""
    a, b, c, d = row("a", "ocm_base", 0), row("b", "ocm_base", 16), row("c", "ocm_base", 32), row("d", "ocm_base", 0)
    jobs = (
        job(0, [row("x", "x", 0)], a, (), 0, "cv0"),
        job(1, [row("x", "x", 0)], b, (), 0, "sdma1"),
        job(2, [a, b], c, (0, 1), 10, "teng2"),
        job(3, [c], row("y", "y", 0), (2,), 20, "cv0"),
        job(4, [row("x", "x", 0)], d, (2,), 20, "sdma1"),
        job(5, [d], row("z", "z", 0), (4,), 30, "sdma1"),
    )
    ports = [Port(name, "uint8", (16,)) for name in "xyz"]
    regions = (Region("ocm_base", "ocm", 48), Region("ddr_swap", "ddr", 0))
    return Program(
        "AX650", "NPU1", 1, 1000, ("cv0", "sdma1", "teng2"), regions, (), (ports[0],), tuple(ports[1:]), (), jobs, 40, 0
    )


def edited(index: int, **changes) -> Program:
    program = small()
    jobs = list(program.jobs)
    jobs[index] = replace(jobs[index], **changes)
    return replace(program, jobs=tuple(jobs))


def refusal(program: Program) -> str:
    with pytest.raises(VerifyError) as caught:
        verify(program)
    assert caught.value.code == "AX405"
    return caught.value.sentence


def test_a_sound_program_is_accepted():
    verify(small())


def test_an_operand_beyond_the_on_chip_memory_is_refused():
    broken = edited(2, outputs=(row("c", "ocm_base", 33),))
    assert refusal(broken) == "Job 2 (j2): 'c' ends at byte 49 of ocm_base, which has 48."


def test_a_read_of_bytes_that_nothing_wrote_is_refused():
    broken = edited(1, outputs=(row("b", "ocm_base", 16, 15),), inputs=(row("x", "x", 0, 15),))
    assert refusal(broken) == "Job 2 (j2): reads 'b' from bytes of ocm_base[16:32] that nothing has written."


def test_two_live_ranges_on_the_same_bytes_are_refused():
    broken = edited(1, outputs=(row("b", "ocm_base", 15),))
    expected = "Job 2 (j2): reads 'a' from bytes of ocm_base[0:16] that hold 'b': their live ranges overlap."
    assert refusal(broken) == expected


@pytest.mark.parametrize(
    ("later", "deps", "verb", "earlier"),
    [(2, (0,), "reads bytes of 'b'", 1), (4, (), "writes bytes of 'd'", 0), (4, (1,), "writes bytes of 'd'", 0)],
    ids=["read after write", "write after read and write", "an unrelated dependency does not help"],
)
def test_a_missing_dependency_is_refused(later, deps, verb, earlier):
    expected = f"Job {later} (j{later}): {verb} that job {earlier} (j{earlier}) touches, and does not wait for it."
    assert refusal(edited(later, deps=deps)) == expected


def test_a_write_after_a_read_must_wait_for_the_reader():
    expected = "Job 4 (j4): writes bytes of 'd' that job 2 (j2) touches, and does not wait for it."
    assert refusal(edited(4, deps=(0,))) == expected


def test_a_job_that_writes_what_it_reads_is_refused():
    jobs = list(small().jobs)
    jobs[2] = replace(jobs[2], outputs=(row("c", "ocm_base", 20),))
    jobs[3] = replace(jobs[3], inputs=(row("c", "ocm_base", 20),))
    expected = "Job 2 (j2): writes bytes of 'c' that it also touches otherwise."
    assert refusal(replace(small(), jobs=tuple(jobs))) == expected


def test_a_write_to_an_input_is_refused():
    broken = edited(3, outputs=(row("y", "x", 0),))
    assert refusal(broken) == "Job 3 (j3): writes 'y' to x, which is read-only."


def test_an_output_that_is_not_written_completely_is_refused():
    broken = edited(3, inputs=(row("c", "ocm_base", 32, 15),), outputs=(row("y", "y", 0, 15),))
    assert refusal(broken) == "Output 'y' is not written completely."


def test_a_job_that_starts_before_what_it_waits_for_is_refused():
    assert refusal(edited(2, start=9)) == "Job 2 (j2): starts at cycle 9, before job 0 has ended at 10."


def test_two_jobs_at_once_on_one_engine_are_refused():
    assert refusal(edited(1, engine="cv0", start=5)).startswith("Job 2 (j2): starts at cycle 10")
    assert refusal(edited(3, engine="sdma1")) == "Job 4 (j4): starts on sdma1 before job 3 has ended there."


def test_a_wrong_total_is_refused():
    assert refusal(replace(small(), max_cycle=39)) == "max_cycle is 39, but the last job ends at 40."


def test_parts_of_one_map_side_by_side_do_not_clash():
    """Two writers of interleaved channels, as the two halves of a channel cut are."""
    program = small()
    halves = [Operand("b", "ocm_base", 16 + i, (8,), (2,), "uint8") for i in (0, 1)]
    source = row("x", "x", 0, 8)
    jobs = list(program.jobs)
    jobs[0] = replace(jobs[0], inputs=(source,), outputs=(halves[0],))
    jobs[1] = replace(jobs[1], inputs=(source,), outputs=(halves[1],))
    jobs[2] = replace(jobs[2], inputs=(row("b", "ocm_base", 16),), kernel="move")
    jobs[4] = replace(jobs[4], deps=())
    verify(replace(program, jobs=tuple(jobs)))
    jobs[1] = replace(jobs[1], outputs=(replace(halves[1], begin=16),))
    assert refusal(replace(program, jobs=tuple(jobs))).startswith("Job 2 (j2): reads 'b'")


def watched(begins: tuple[int, int] = (0, 8)) -> Program:
    """c is made by two jobs, each of which says where its half lies."""
    program = small()
    halves = [replace(row("c", "ocm_base", 32 + 8 * i, 8), dense=DensePlace(at, (1,))) for i, at in enumerate(begins)]
    first = replace(program.jobs[2], inputs=(row("a", "ocm_base", 0, 8),), outputs=(halves[0],))
    second = replace(first, index=3, outputs=(halves[1],), inputs=(row("b", "ocm_base", 16, 8),), start=20)
    last = replace(program.jobs[3], index=4, deps=(2, 3), start=30)
    z = replace(program.jobs[5], index=5, inputs=(row("x", "x", 0),), deps=(), start=10)
    jobs = (*program.jobs[:2], first, second, last, z)
    return replace(program, jobs=jobs, activations=(Activation("c", "uint8", (16,), (1,), (("c", 0),)),))


def test_a_dense_copy_is_written_completely_and_each_byte_once():
    verify(watched())
    assert refusal(watched((0, 0))) == "Job 3 (j2): writes what the dense copy of 'c' already has."
    assert refusal(watched((0, 9))) == "Job 3 (j2): writes beyond the dense copy of 'c'."
    program = watched()
    jobs = [replace(j, outputs=(replace(j.outputs[0], dense=None),)) if j.index == 3 else j for j in program.jobs]
    assert refusal(replace(program, jobs=tuple(jobs))) == "No job writes all of 'c'."


def test_no_dependency_of_a_compiled_program_is_superfluous():
    body = Body()
    x = body.codes("input_0", (1, 8, 12, 12))
    y = body.conv(body.conv(x, 40, 3), 40, linear=True)
    z = body.plus(body.conv(x, 40), y, zero=0)
    model = body.model(body.conv(z, 24))
    swapping, in_bands = compiled(model, chip(20 << 10))[0], compiled(model, chip(22 << 10))[0]
    assert {"ld:input", "ld:param", "ld:ddr_swap", "st:ddr_swap", "st:output"} <= {j.cname for j in swapping.jobs}
    assert {"ld:input", "ld:param", "st:output", ""} == {j.cname for j in in_bands.jobs}
    for program in (swapping, in_bands):
        for later in program.jobs:
            for dep in later.deps:
                jobs = list(program.jobs)
                jobs[later.index] = replace(later, deps=tuple(d for d in later.deps if d != dep))
                assert "does not wait for it." in refusal(replace(program, jobs=tuple(jobs)))
