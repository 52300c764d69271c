"""`pulsar2 run`: models of three sorts on raw files give what onnxruntime and InferenceSession give, to the bit."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import axbuild
from axbuild.errors import AxWarning
from axbuild.toolchain.axmodel import read
from axbuild.toolchain.frontend.parsed import parsed
from axbuild.toolchain.pulsar2 import run_model
from axmodel_world import SHAPE, expected
from frontend_world import model, node
from raw_world import OTHER, models, net, reals, run, tree, write

PICTURES = np.random.default_rng(1).integers(0, 256, (9, *SHAPE[1:]), np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def session(file):
    """At the level at which every float pass of axbuild's runs: a higher one moves last bits of float32."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(file, options)


def answers(session, feed, names=("/head/y", "m/relu")):
    """By the file that each is written to."""
    return {f"{n.replace('/', '_')}.bin": x.tobytes() for n, x in zip(names, session.run(names, feed), strict=True)}


def test_a_float_model_gives_what_onnxruntime_gives(made):
    onnx.save(net(), "net.onnx")
    write("in/in_put.bin", reals())
    run("net.onnx")
    assert tree("out") == answers(session("net.onnx"), {"in:put": reals()})


@pytest.mark.parametrize("sort", ["pictures", "quantised"])
def test_a_model_is_parsed_once(made, monkeypatch, sort):
    times = []

    def counted(content):
        times.append(len(content))
        return parsed(content)

    for reader in (run_model, read):
        monkeypatch.setattr(reader, "onnx_in" if reader is read else "parsed", counted)
    file = getattr(made, sort)
    run(file, random_input=True)
    assert times == [file.stat().st_size]


def test_a_quantised_model_gives_its_definition_and_the_backend_the_same_bits(made):
    write("in/in_put.bin", reals(seed=3))
    run(made.quantised, output_dir="reference", enable_perlayer_output=True)
    run(made.quantised, output_dir="backend", mode="NPUBackend", enable_perlayer_output=True)
    found = answers(onnxruntime.InferenceSession(made.quantised), {"in:put": reals(seed=3)})
    reference, backend = tree("reference"), tree("backend")
    assert {name: reference[name] for name in found} == found
    assert len(backend.keys() - found) > 4
    assert {name: reference[name] for name in backend} == backend


def test_a_compiled_model_gives_what_a_session_gives(made):
    write("in/image.bin", PICTURES[:4])
    run(made.pictures)
    (found,) = axbuild.InferenceSession(made.pictures).run(None, {"image": PICTURES[:4]})
    assert tree("out") == {"out_put.bin": found.tobytes()}
    assert np.array_equal(found, expected(PICTURES[:4]))


def test_the_sort_is_told_by_the_content_alone(made):
    for file, shape in ((made.pictures, PICTURES[:4]), (made.quantised, reals()), (made.floats, reals())):
        shutil.copy(file, "model.bin")
        write("in/image.bin", shape)
        write("in/in_put.bin", shape)
        run("model.bin", output_dir=f"out/{file.name}")
    assert [len(tree(f"out/{file.name}")) for file in (made.pictures, made.quantised, made.floats)] == [1, 2, 2]
    assert tree(f"out/{made.quantised.name}") != tree(f"out/{made.floats.name}")


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 9])
@pytest.mark.parametrize("sort", ["pictures", "mixed"])
def test_a_batch_is_its_samples_one_by_one(made, sort, count):
    """9 runs as 4 + 4 + 1, 3 as 2 + 1."""
    write("in/image.bin", PICTURES[:count])
    run(getattr(made, sort), batch_size=count)
    one_by_one = b""
    for picture in PICTURES[:count]:
        write("one/image.bin", picture)
        run(getattr(made, sort), batch_size=1, input_dir="one", output_dir="single")
        one_by_one += tree("single")["out_put.bin"]
    assert tree("out")["out_put.bin"] == one_by_one
    assert one_by_one == expected(PICTURES[:count], on_cpu=sort == "mixed").tobytes()


def test_batch_0_is_the_largest_that_was_compiled(made):
    write("in/image.bin", PICTURES[:4])
    run(made.pictures, batch_size=0)
    assert tree("out")["out_put.bin"] == expected(PICTURES[:4]).tobytes()


def test_group_1_answers_as_the_model_quantised_at_that_shape_does(made):
    """Under its own names; group 0 is the model's own shape."""
    samples = [reals(OTHER, seed=n) for n in range(3)]
    write("in/in_put_1.bin", np.concatenate(samples))
    run(made.groups, group_index=1, batch_size=3)
    alone = [answers(onnxruntime.InferenceSession(made.other), {"in:put": one}) for one in samples]
    found = {name.replace("_1.bin", ".bin"): content for name, content in tree("out").items()}
    assert sorted(tree("out")) == ["_head_y_1.bin", "m_relu_1.bin"]
    assert found == {name: b"".join(one[name] for one in alone) for name in found}
    write("in/in_put.bin", reals(count=2))
    run(made.groups, group_index=0, output_dir="own")
    own = axbuild.InferenceSession(made.groups).run(["/head/y", "m/relu"], {"in:put": reals(count=2)})
    assert tree("own") == {"_head_y.bin": own[0].tobytes(), "m_relu.bin": own[1].tobytes()}


def test_inner_tensors_have_files_too(made):
    write("in/image.bin", PICTURES[:2])
    run(made.pictures, batch_size=2, enable_perlayer_output=True)
    found = tree("out")
    assert sorted(found) == ["codes.bin", "out_put.bin", "pic_turned.bin"]
    assert found["pic_turned.bin"] == PICTURES[:2].transpose(0, 3, 1, 2).tobytes()
    codes = np.frombuffer(found["codes.bin"], np.uint8).astype(np.float32)
    assert ((codes - 128) / 2).tobytes() == found["out_put.bin"]


def test_inner_tensors_of_a_float_model_are_those_of_its_nodes(made):
    onnx.save(net(), "net.onnx")
    write("in/in_put.bin", reals())
    run("net.onnx", enable_perlayer_output=True)
    assert sorted(tree("out")) == [f"{name}.bin" for name in ("_head_y", "c", "c2", "f", "g", "logits", "m_relu", "s")]


def test_a_list_gives_a_run_a_line(made, capsys):
    Path("list.txt").write_bytes(b"0\r\n\r\ncat/grey\r\n  1  \n")
    for number, label in enumerate(("0", "cat/grey", "1")):
        write(f"in/{label}/image.bin", PICTURES[number])
    run(made.pictures, list="list.txt", batch_size=1, output_dir="sim_outputs")
    assert tree("sim_outputs") == {
        f"{label}/out_put.bin": expected(PICTURES[n : n + 1]).tobytes()
        for n, label in enumerate(("0", "cat/grey", "1"))
    }
    assert capsys.readouterr().out.splitlines()[:4] == [
        ">>> [0] start",
        "write [out/put] to [sim_outputs/0/out_put.bin] successfully",
        ">>> [0] finish",
        ">>> [cat/grey] start",
    ]


def test_random_inputs_are_the_same_every_time_and_of_the_inputs_types(made):
    run(made.pictures, random_input=True, batch_size=2)
    first = tree()
    run(made.pictures, random_input=True, batch_size=2)
    assert tree() == first
    assert tree("out")["out_put.bin"] == expected(_picture(first["in/image.bin"], 2)).tobytes()
    run(made.pictures, random_input=True, batch_size=2, input_dir="again")
    assert tree("again") == tree("in")
    values = np.frombuffer(first["in/image.bin"], np.uint8)
    assert values.min() < 64 < 192 < values.max()


def _picture(content, count):
    return np.frombuffer(content, np.uint8).reshape(count, *SHAPE[1:])


def test_the_runs_of_a_list_have_random_inputs_of_their_own(made):
    Path("list.txt").write_text("a\nb\n")
    run(made.floats, random_input=True, list="list.txt")
    found = tree("in")
    assert sorted(found) == ["a/in_put.bin", "b/in_put.bin"]
    assert found["a/in_put.bin"] != found["b/in_put.bin"]


@pytest.mark.parametrize(
    ("kind", "dtype", "low", "high"),
    [("INT64", "int64", 0, 1), ("INT32", "int32", 0, 1), ("BOOL", "bool", 0, 1), ("INT8", "int8", -128, 127)],
)
def test_random_integers_lie_within_what_such_inputs_take(kind, dtype, low, high):
    """Of 32 and 64 bits 0 and 1, which ids, masks and positions take; of 8 bits every value."""
    proto = model([node("Identity", ["x"], ["y"])], inputs=(("x", [64, 64]),), kind=getattr(onnx.TensorProto, kind))
    onnx.save(proto, "same.onnx")
    run("same.onnx", random_input=True)
    found = np.frombuffer(tree("in")["x.bin"], dtype)
    assert (found.min(), found.max()) == (low, high)
    assert tree("out")["y.bin"] == tree("in")["x.bin"]


def test_one_open_size_follows_from_the_bytes():
    onnx.save(model([node("Relu", ["x"], ["y"])], inputs=(("x", ["n", 2, 3]),)), "open.onnx")
    values = np.arange(-12, 18, dtype=np.float32)
    write("in/x.bin", values)
    run("open.onnx")
    assert tree("out")["y.bin"] == np.maximum(values, 0).tobytes()


@pytest.mark.parametrize(
    ("sort", "settings", "said"),
    [
        ("pictures", {"mode": "Reference"}, "mode Reference has no effect: a compiled model is simulated on the NPU"),
        ("floats", {"mode": "Reference"}, "mode Reference has no effect on an ONNX model"),
        ("floats", {"target_hardware": "AX650"}, "target_hardware AX650 has no effect without mode NPUBackend"),
        ("quantised", {"target_hardware": "M76H"}, "target_hardware M76H has no effect without mode NPUBackend"),
    ],
)
def test_what_has_no_effect_is_warned_of_and_changes_no_bit(made, sort, settings, said):
    run(getattr(made, sort), random_input=True)
    with pytest.warns(AxWarning, match=said):
        run(getattr(made, sort), output_dir="again", **settings)
    assert tree("again") == tree("out")
