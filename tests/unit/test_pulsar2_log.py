"""What is read out of a real Pulsar2's log: lines in the vendor's form, colours and progress bars included."""

from axbuild.toolchain.pulsar2.driver.call import Pulsar2FailedError
from axbuild.toolchain.pulsar2.driver.log import Log

AT = "2024-12-10 14:38:30.823 | "


def heard(*lines):
    log = Log()
    for line in lines:
        log.hear(line)
    return log


def test_stages_come_in_the_order_in_which_they_were_begun():
    log = heard(
        "32 File(s) Loaded.\n",
        "Building onnx \u2501\u2501 100% 0:00:00\n",
        "Calibration Progress(Phase 1):  50%|\u2588\rCalibration Progress(Phase 1): 100%|\u2588\u2588|\n",
        "Building native \u2501\u2501 100% 0:00:00\n",
        f"{AT}INFO     | yamain.command.npu_backend_compiler:compile:157 - compile npu subgraph [1]\n",
        "tiling op...   \u2501\u2501 6/6 0:00:00\n",
        f"{AT}INFO     | yamain.command.build:compile_ptq_model:924 - fuse 1 subgraph(s)\n",
    )
    assert log.stages == [
        "data", "optimising the float model", "calibration", "building the NPU's graph", "compilation", "assembly",
    ]  # fmt: skip


def test_figures_are_numbers_by_subgraph():
    log = heard(
        f"{AT}INFO     | yamain.command.build:compile_npu_subgraph:985 - QuantAxModel macs: 280,262,480",
        f"{AT}INFO     | yamain.command.npu_backend_compiler:compile:157 - compile npu subgraph [1]",
        f"{AT}INFO     | yasched.test_onepass:results2model:2594 - max_cycle = 81,026",
        f"{AT}INFO     | yasched.test_onepass:results2model:2594 - max_cycle = 90,000",
        f"{AT}WARNING  | yamain.command.build:compile_npu_subgraph:1035 - graph [subgraph_npu_0] batchs [1, 2]",
    )
    assert log.record() == {
        "stages": ["building the NPU's graph", "compilation"],
        "macs": 280_262_480,
        "max_cycle": {"1": [81_026, 90_000]},
        "batches": {"subgraph_npu_0": [1, 2]},
        "extra_shapes": {},
        "warnings": [],
    }


def test_further_shapes_are_kept_by_group_and_macs_are_those_of_the_models_own():
    log = heard(
        f"{AT}INFO     | yamain.build:build:1 - extra input shape, index: 1, shape: {{'data': (1, 3, 384, 384)}}",
        f"{AT}INFO     | yamain.command.build:build:1 - group 0 QuantAxModel macs: 300,774,272",
        f"{AT}INFO     | yamain.command.build:build:1 - group 1 QuantAxModel macs: 900,000,000",
    )
    assert log.stages == ["building the NPU's graph"]
    assert (log.macs, log.extra_shapes) == (300_774_272, {"1": "{'data': (1, 3, 384, 384)}"})


def test_a_newer_line_of_macs_is_read_as_well():
    assert heard(f"{AT}INFO     | a.b:c:1 - group 0 QuantAxModel macs: 300,774,272").macs == 300_774_272


def test_warnings_stand_once_and_without_what_would_paint_a_terminal():
    line = f"\x1b[32m{AT}\x1b[0m\x1b[1mWARNING \x1b[0m | a.b:c:640 - change input \x1b[31mshape\x1b[0m to\x07 {{}}"
    assert heard(line, line).warnings == ["change input shape to\\x07 {}"]


def test_the_last_error_says_why_and_where_it_does_not_what_was_raised():
    told = heard("Building native", f"{AT}ERROR    | a.b:c:1 - op [x] has \x1b[1mno\x1b[0m kernel", "KeyError: 'x'")
    assert told.reason == "op [x] has no kernel"
    raised = heard(
        "Traceback (most recent call last):", "  File 'a.py', line 1", "onnx.checker.ValidationError: bad node"
    )
    assert raised.reason == "onnx.checker.ValidationError: bad node"


def test_a_failure_names_its_stage_and_without_a_reason_the_last_lines():
    error = Pulsar2FailedError(137, heard("Calibration Progress(Phase 1):  3%"), ["one\n", "\x1b[1mtwo\n"])
    assert error.sentence == "Pulsar2 was killed by signal 9 in calibration"
    assert error.hint == "one / \\x1b[1mtwo"
    error = Pulsar2FailedError(2, heard("usage: main.py build", f"{AT}ERROR    | a:b:1 - no such flag"), [])
    assert (error.sentence, error.hint) == ("Pulsar2 ended with status 2 before its first stage: no such flag", "")
