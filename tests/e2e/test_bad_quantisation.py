"""What users get wrong about quantisation: each mistake has its code, a sentence and exit code 2, and costs nothing.

And what looks like a mistake and is none: it builds, and the chip answers as the quantised model does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from quantised import Net

from net_workspace import AXMODEL, CHECK, QUANT, net_workspace
from zoo_workspace import Zoo

SHAPE = (1, 3, 8, 8)
Change = Callable[[Path], None]


def net(first: str = "", *, still: float | None = None) -> Net:
    """Convolutions, a Silu and a residual, behind an operator `first`; still: what the residual's addend always is."""
    n = Net(*SHAPE)
    seen = n.add(first, ["x"], "seen") if first else "x"
    n.conv(seen, "c", 4, 3)
    n.add("Relu", ["c"], "r")
    n.conv("r", "d", 4, 4)
    n.add("Sigmoid", ["d"], "gate")
    n.add("Mul", ["d", "gate"], "silu")
    if still is not None:
        n.add("Mul", ["r", n.constant("none", np.float32(0))], "nothing")
        n.add("Add", ["nothing", n.constant("still", np.float32(still))], "flat")
    n.add("Add", ["silu", "r" if still is None else "flat"], "s")
    n.conv("s", "y", 4, 4)
    return n


def samples() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0.1, 1.0, SHAPE).astype(np.float32) for _ in range(4)]


# Changes of the package ---------------------------------------------------------------------------------------------


def rules(*entries: str) -> Change:
    return attributes(f"layer_configs = [{', '.join(entries)}]")


def attributes(*lines: str) -> Change:
    """More attributes of the quant_model."""
    return edited('calibration = ":calib"\n', "\n".join(['calibration = ":calib"', *lines, ""]))


def edited(old: str, new: str) -> Change:
    def change(package: Path) -> None:
        before = (package / "BUILD.toml").read_text()
        assert old in before
        (package / "BUILD.toml").write_text(before.replace(old, new))

    return change


def model(made: Net) -> Change:
    return lambda package: onnx.save(made.model("y"), package / "net.onnx")


def sample(number: int, array: np.ndarray) -> Change:
    return lambda package: np.save(package / f"samples/{number}.npy", array)


def all_samples(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    def apply(package: Path) -> None:
        for file in (package / "samples").iterdir():
            np.save(file, change(np.load(file)))

    return apply


def only_one_sample(package: Path) -> None:
    for number in (1, 2, 3):
        (package / f"samples/{number}.npy").unlink()


def both(*changes: Change) -> Change:
    def apply(package: Path) -> None:
        for change in changes:
            change(package)

    return apply


def with_one(value: float) -> np.ndarray:
    """A sample of ordinary values but for one."""
    found = samples()[2]
    found[0, 1, 2, 3] = value
    return found


# The list -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    """said: parts of what the build says; early: whether it is told before anything is observed."""

    change: Change
    code: str
    said: tuple[str, ...]
    early: bool = True


MISTAKES = {
    "a type that the model has not": Mistake(
        rules('{ op_type = "Softmax", data_type = "U16" }'),
        "AX356",
        (
            "a layer rule is for operators of type Softmax, and the model has none",
            "it has Add, Conv, Mul, Relu, Sigmoid, Swish",
        ),
    ),
    "a type misspelt": Mistake(
        rules('{ op_types = ["Conv", "Sillu"], data_type = "U16" }'), "AX356", ("of type Sillu", "did you mean silu?")
    ),
    "a name that the model has not": Mistake(
        rules('{ layer_name = "gat", data_type = "U16" }'), "AX356", ("the operator 'gat'", "did you mean gate?")
    ),
    "a tensor that the model has not": Mistake(
        rules('{ start_tensor_names = ["cc"], end_tensor_names = ["s"], data_type = "U16" }'),
        "AX356",
        ("'cc'", "did you mean"),
    ),
    "tensors with nothing between them": Mistake(
        rules('{ start_tensor_names = ["s"], end_tensor_names = ["c"], data_type = "U16" }'),
        "AX356",
        ("a layer rule has no operator between s and c", "start_tensor_names come before end_tensor_names"),
    ),
    "two selectors in one rule": Mistake(
        rules('{ op_type = "Conv", layer_name = "c", data_type = "U16" }'),
        "AX115",
        ("a layer rule needs one selector",),
    ),
    "FP32 on Conv": Mistake(
        rules('{ op_type = "Conv", data_type = "FP32" }'),
        "AX356",
        ("FP32 is asked for 'c' (Conv) and 2 more, and Conv computes on codes", 'output_data_type = "FP32"'),
    ),
    "rules that contradict each other": Mistake(
        rules('{ layer_name = "d", data_type = "U16" }', '{ layer_names = ["c", "d"], data_type = "S8" }'),
        "AX356",
        ("two layer rules of equal rank are for 'd' (Conv)", "U16", "S8"),
    ),
    "an activation that is no number": Mistake(
        both(model(net("Sqrt")), sample(2, with_one(-0.5))),
        "AX353",
        ("tensor 'seen' of the float model is not finite for sample '2'", "no range can hold an infinity or a NaN"),
        early=False,
    ),
    "an infinite activation": Mistake(
        both(model(net("Exp")), sample(3, with_one(1e4))),
        "AX353",
        ("tensor 'seen' of the float model is not finite for sample '3'",),
        early=False,
    ),
    "a sample that is no number": Mistake(
        sample(1, with_one(np.nan)), "AX334", ("'1.npy' has values that are not finite",)
    ),
    "an infinite sample": Mistake(sample(1, with_one(np.inf)), "AX334", ("'1.npy' has values that are not finite",)),
    "samples of another type": Mistake(
        all_samples(lambda x: (x * 255).astype(np.uint8)),
        "AX334",
        ("is uint8 [1, 3, 8, 8], and model input 'x' is float32 [1, 3, 8, 8]",),
    ),
    "samples of more digits": Mistake(
        all_samples(lambda x: x.astype(np.float64)), "AX334", ("is float64", "model input 'x' is float32")
    ),
    "samples of another shape": Mistake(
        all_samples(lambda x: x[..., :7]),
        "AX334",
        ("float32 [1, 3, 8, 7], and model input 'x' is float32 [1, 3, 8, 8]",),
    ),
    "one sample of another shape": Mistake(
        sample(3, samples()[3][0]), "AX334", ("'3.npy' is float32 [3, 8, 8], and model input 'x'",)
    ),
    "a GPU that is not there": Mistake(
        attributes("enable_lsq = true", 'device = "cuda:0"'), "AX371", ('device = "cuda:0" needs a CUDA GPU',)
    ),
}
FINE = {
    "activations that are always 0": model(net(still=0.0)),
    "activations that are always one number": model(net(still=-2.5)),
    "samples of zeros": all_samples(np.zeros_like),
    "samples of one number": all_samples(lambda x: np.full_like(x, 0.25)),
    "samples of half of the digits": all_samples(lambda x: x.astype(np.float16)),
    "one sample": only_one_sample,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    zoo = net_workspace(
        tmp_path_factory.mktemp("bad") / "workspace", QUANT + AXMODEL + CHECK, net().model("y"), samples()
    )
    zoo.build("//m:check", "//m:quant", "//m:axmodel")
    return zoo


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def package(built: Zoo):
    """The package, which is as it was afterwards."""
    folder = built.root / "m"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    yield folder
    for path, content in before.items():
        path.write_bytes(content)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_a_code_and_a_sentence_and_costs_nothing_that_was_built(
    built: Zoo, package: Path, name: str
) -> None:
    mistake = MISTAKES[name]
    outputs = built.root / "axbuild-out/m"
    before = digests(outputs)
    mistake.change(package)
    done = built.run("build", "//m:check", "//m:quant", "//m:axmodel")
    said = " ".join(done.err.split())
    assert done.code == 2, done.out + done.err
    assert f"error {mistake.code}: " in said
    assert all(part in said for part in mistake.said), said
    assert "Traceback" not in done.err
    assert not {"merge", "calibrate", "quantize"} & set(done.executed)
    assert not mistake.early or "observe" not in done.executed
    assert digests(outputs) == before


@pytest.mark.parametrize("name", FINE)
def test_what_is_odd_and_no_mistake_builds_and_is_equal(built: Zoo, package: Path, name: str) -> None:
    FINE[name](package)
    done = built.build("//m:check", "//m:quant")
    assert "quantize" in done.executed


def test_a_set_of_one_sample_is_warned_of_where_more_were_asked_for(built: Zoo, package: Path) -> None:
    both(only_one_sample, edited("size = -1", "size = 32"))(package)
    done = built.build("//m:quant")
    assert "AX337" in done.out + done.err
    assert "the set has 1 sample, fewer than size = 32" in done.out + done.err


def test_after_all_mistakes_nothing_is_built_again(built: Zoo) -> None:
    """Stands last: what each of them left in the cache replaced nothing."""
    assert built.build("//m:check", "//m:quant", "//m:axmodel").executed == []
