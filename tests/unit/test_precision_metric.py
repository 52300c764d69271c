"""A task's own figure as the target of auto_precision: the script, and what it finds."""

import json
import sys

import numpy as np
import pytest
from tune_net import residual_net

from axbuild.errors import AxError, AxNote
from axbuild.toolchain.precision import metric as metrics
from axbuild.toolchain.precision.metric import Metric
from axbuild.toolchain.precision.target import PrecisionTarget
from precision_world import PrecisionWorld
from test_precision_search import raised, snr_of

ACCURACY = """
import json, pathlib, sys
import numpy as np
answers, labels = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
right = [np.load(answers / f"{name}.npz")["y"].argmax() == label for name, label in labels.items()]
print("of", len(list(answers.iterdir())), "samples")
print(sum(right) / len(right))
"""


def script(folder, text):
    (folder / "metric.py").write_text(text)
    return folder / "metric.py"


def test_the_last_line_is_the_figure(tmp_path):
    (tmp_path / "labels.json").write_text(json.dumps({"a": 0, "b": 0, "c": 1}))
    answers = [(name, {"y": np.array([[2.0, 1.0]])}) for name in "abc"]
    arguments = list(sys.argv)
    found = Metric(script(tmp_path, ACCURACY), [tmp_path / "labels.json"]).of(answers)
    assert found == pytest.approx(2 / 3)
    assert sys.argv == arguments


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("print('done')", "the last line that the metric's script prints must be a number, and it is 'done'"),
        ("", "the last line that the metric's script prints must be a number, and it is ''"),
        ("print('nan')", "must be a number, and it is 'nan'"),
        ("1 / 0", "the metric's script failed: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no labels')", "the metric's script ended with no labels"),
        ("while True: pass", "the metric's script failed: TimeoutError: it took more than 1 s"),
    ],
)
def test_a_script_that_gives_no_figure_is_an_error(tmp_path, monkeypatch, text, sentence):
    monkeypatch.setattr(metrics, "SECONDS", 1)
    with pytest.raises(AxError, match="AX475") as caught:
        Metric(script(tmp_path, text), []).of([])
    assert sentence in str(caught.value)


def test_a_script_may_end_itself_when_all_is_well(tmp_path):
    assert Metric(script(tmp_path, "print(0.5); raise SystemExit(0)"), []).of([]) == 0.5


NEARNESS = """
import pathlib, sys
import numpy as np
answers, exact = pathlib.Path(sys.argv[1]), np.load(sys.argv[2])
found = np.concatenate([np.load(file)["y"] for file in sorted(answers.iterdir())])
print(10 * np.log10((exact**2).sum() / ((found - exact) ** 2).sum()))
"""


@pytest.fixture
def world(tmp_path):
    net = residual_net()
    world = PrecisionWorld.of(tmp_path, net.model("y"), net.samples(6))
    from quantised import float_run

    np.save(tmp_path / "exact.npy", np.concatenate([float_run(world.model, feed)[0] for feed in world.feeds]))
    return world


def test_the_first_step_of_decibels_with_the_figure_is_taken(world):
    metric = [script(world.folder, NEARNESS), world.folder / "exact.npy"]
    before = snr_of(world, world.quantised.scheme)
    said = rf"metric {before:.4f} -> [\d.]+ on all samples \(45\.9 was asked for\)"
    with pytest.warns(AxNote, match=said):
        scheme, rules = raised(world, PrecisionTarget(min_metric=45.9), metric=metric)
    assert rules
    assert 45.9 <= snr_of(world, scheme) < snr_of(world, world.wide())


def test_a_figure_that_is_there_already_changes_nothing(world):
    metric = [script(world.folder, "print(1)")]
    with pytest.warns(AxNote, match=r"metric 1 -> 1 on all samples \(0.9 was asked for\)"):
        _, rules = raised(world, PrecisionTarget(min_metric=0.9), metric=metric)
    assert rules == []


def test_a_figure_out_of_reach_is_an_error_with_how_far_it_came(world):
    metric = [script(world.folder, "print(0.25)")]
    with pytest.raises(AxError, match=r"AX474: auto_precision comes to a metric of 0\.25, and 0\.9 is asked for; "):
        raised(world, PrecisionTarget(min_metric=0.9), metric=metric)
