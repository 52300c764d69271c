"""The command line and config files of `pulsar2 run`."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from npu_world import CHIPS

from axbuild.codes import CODES, USER_ERROR
from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.message import settings_of
from axbuild.toolchain.pulsar2.run import run
from axbuild.toolchain.pulsar2.run_schema import RunConfig
from frontend_world import model, node
from raw_world import tree, write

FORMS = {
    "run.json": '{ // relaxed\n "model": "net.onnx", "input_dir": "in", "output_dir": "out", "random_input": true,\n}',
    "run.yaml": "model: net.onnx\ninput_dir: in\noutput_dir: out\nrandom_input: true\n",
    "run.toml": 'model = "net.onnx"\ninput_dir = "in"\noutput_dir = "out"\nrandom_input = true\n',
    "run.prototxt": 'model: "net.onnx"\ninput_dir: "in"\noutput_dir: "out"\nrandom_input: true\n',
}
FOLDERS = ["--model", "net.onnx", "--input_dir", "in", "--output_dir", "out"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(model([node("Relu", ["x"], ["y"])], inputs=(("x", [2, 3]),)), "net.onnx")
    for name, text in FORMS.items():
        Path(name).write_text(text)
    write("given/x.bin", np.arange(-3, 3, dtype=np.float32))
    return tmp_path


@pytest.mark.parametrize("name", FORMS)
def test_four_formats_say_the_same(name):
    assert run(["--config", name], CHIPS) == 0
    found = tree("out"), tree("in")
    assert run([*FOLDERS, "--random_input"], CHIPS) == 0
    assert (tree("out"), tree("in")) == found
    assert len(found[0]["y.bin"]) == 24


def test_the_command_line_wins_over_the_file():
    assert run(["--config", "run.json", "--input_dir", "given", "--random_input", "false"], CHIPS) == 0
    assert np.frombuffer(tree("out")["y.bin"], np.float32).tolist() == [0, 0, 0, 0, 1, 2]


@pytest.mark.parametrize("said", [["--random_input"], ["--random_input", "1"], ["--random_input", "true"]])
def test_a_truth_is_bare_or_1_or_true(said):
    assert run([*FOLDERS, *said], CHIPS) == 0
    assert sorted(tree("in")) == ["x.bin"]


def test_help_names_every_setting(capsys):
    assert run(["-h"], CHIPS) == 0
    found = capsys.readouterr().out
    assert found.startswith("usage: axbuild pulsar2 run ")
    for name in (*settings_of(RunConfig), "config"):
        assert f"--{name}" in found


def test_a_warning_is_a_line_beside_the_output(capsys):
    assert run([*FOLDERS, "--random_input", "--mode", "Reference"], CHIPS) == 0
    assert capsys.readouterr().err == "warning AX576: mode Reference has no effect on an ONNX model\n"


WRONG = [
    (["--modle", "net.onnx"], "there is no flag --modle"),
    (["net.onnx"], "'net.onnx' stands behind no flag"),
    (["--config", "gone.json"], "cannot read gone.json"),
    (["--config", "net.onnx"], "is no configuration file by its name"),
    (["--config", "wrong.json"], "has no field 'bach_size'"),
    (["--config", "typed.json"], "batch_size takes a whole number from 0 to 65536"),
    ([*FOLDERS, "--batch_size", "-1"], "batch_size takes a whole number from 0 to"),
    ([*FOLDERS, "--batch_size", "two"], "batch_size takes a whole number from 0 to"),
    ([*FOLDERS, "--group_index", "-1"], "group_index takes a whole number of at least 0"),
    ([*FOLDERS, "--mode", "reference"], "mode takes Reference or NPUBackend"),
    ([*FOLDERS, "--target_hardware", "AX999"], "target_hardware takes AX650,"),
    ([*FOLDERS, "--random_input", "maybe"], "random_input takes true or false"),
    (FOLDERS[:2], "--input_dir is missing"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_what_is_wrong_is_said_and_nothing_is_written(arguments, said):
    Path("wrong.json").write_text(json.dumps({"bach_size": 1}))
    Path("typed.json").write_text(json.dumps({"batch_size": 1.5}))
    before = tree()
    with pytest.raises(AxError) as raised:
        run(arguments, CHIPS)
    assert said in raised.value.sentence
    assert CODES[raised.value.code][0] == USER_ERROR
    assert tree() == before
