"""A sample on which the model cannot be computed: one sentence, whichever stage runs it first."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised import Net, write_samples

from axbuild.codes import exit_code_of
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.precision.io_data import IoDataParams, io_data
from axbuild.toolchain.precision.measure import MeasureParams, measure
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams, measure_edges
from axbuild.toolchain.quant.unroll import UnrollParams, unroll
from axbuild.toolchain.refused import SampleRefusedError, refused_sample
from axbuild.toolchain.tune.floats import float_tensors
from precision_world import PrecisionWorld

INPUTS = (InputData("", "Numpy"),)
TOOLCHAIN = Path(ort.__file__).parent


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Rows of a table of five, of which the other samples ask for a sixth."""
    net = Net(1, 3)
    net.add("Cast", ["x"], "ids", to=onnx.TensorProto.INT64)
    net.add("Gather", [net.weight("table", 5, 4), "ids"], "e")
    net.add("Relu", ["e"], "y")
    folder = tmp_path_factory.mktemp("refused")
    made = PrecisionWorld.of(folder, net.model("y"), [{"x": np.array([[0, 1, 4]], np.float32)}])
    write_samples(folder / "others", [np.array([[0, 1, 5]], np.float32)])
    return made


@pytest.mark.parametrize(
    "stage",
    [
        lambda w, data, out: measure(
            w.float_file, w.quantised_file, data, w.samples, out, params=MeasureParams(INPUTS)
        ),
        lambda w, data, out: measure_edges(
            w.float_file, w.quantised_file, data, out, params=MeasureEdgesParams(INPUTS, -1)
        ),
        lambda w, data, out: io_data(w.float_file, w.quantised_file, data, out, params=IoDataParams(INPUTS)),
    ],
    ids=["measure", "measure_edges", "io_data"],
)
def test_every_stage_names_the_sample_and_what_is_wrong_with_it(world, tmp_path, stage):
    with pytest.raises(SampleRefusedError) as raised:
        stage(world, [world.folder / "others"], tmp_path)
    assert raised.value.sentence.startswith("the model cannot be computed on sample 's000': ")
    assert "idx=5 must be within the inclusive range [-5,4]" in raised.value.sentence
    assert raised.value.hint == "whole numbers must be within the table that they pick rows from"
    assert (raised.value.code, exit_code_of(raised.value.code)) == ("AX389", 2)


def test_a_state_is_unrolled_over_samples_with_the_same_sentence(tmp_path):
    net = Net(1, 3)
    net.add("Cast", ["x"], "ids", to=onnx.TensorProto.INT64)
    net.add("Gather", [net.weight("table", 5, 4), "ids"], "e")
    net.add("ReduceMean", ["e"], "m", keepdims=0)
    net.add("Add", ["m", "state"], "next")
    model = net.model("next")
    model.graph.input.append(onnx.helper.make_tensor_value_info("state", onnx.TensorProto.FLOAT, []))
    onnx.save(model, tmp_path / "optimized.onnx")
    samples = [np.array([[0, 1, 4]], np.float32), np.array([[0, 1, 5]], np.float32)]
    folder = write_samples(tmp_path / "samples", samples)
    params = UnrollParams((InputData("x", "Numpy"),), {"next": "state"})
    with pytest.raises(SampleRefusedError, match=r"computed on sample 's001': .*idx=5"):
        unroll(tmp_path / "optimized.onnx", [folder], tmp_path, params=params)


def test_where_no_name_is_known_the_sentence_says_so_and_takes_one_that_comes(world):
    session = ort.open_session(world.model.SerializeToString())
    feed = {"x": np.array([[0, 1, 5]], np.float32)}
    with pytest.raises(SampleRefusedError, match="the model cannot be computed on a sample: "):
        session.run(None, feed)
    with pytest.raises(SampleRefusedError, match=r"on a sample: .*idx=5"):
        float_tensors(world.float_file, ["e"], [world.folder / "others"], INPUTS, 4)
    with pytest.raises(SampleRefusedError, match="on sample 'inner'"), refused_sample("outer"), refused_sample("inner"):
        session.run(None, feed)


def test_a_defect_of_ours_is_no_fault_of_the_sample():
    with pytest.raises(ZeroDivisionError), refused_sample("a"):
        raise ZeroDivisionError


RUN_WITH_A_SENTENCE_OF_THEIR_OWN = {
    "axmodel/cpu.py",
    "frontend/check.py",
    "pulsar2/run_model.py",
    "rewrites/resized.py",
}


def test_sessions_that_run_on_samples_are_opened_in_the_one_way():
    """Others run on constants or random values, or say which file it is that does not run."""
    found = {
        path.relative_to(TOOLCHAIN).as_posix()
        for path in TOOLCHAIN.rglob("*.py")
        if "bare_session" in path.read_text(encoding="utf-8")
    }
    assert found - {"ort.py"} == RUN_WITH_A_SENTENCE_OF_THEIR_OWN
