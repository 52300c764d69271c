"""The vendor's precision table: which operators have a row, what stands in it, and what is judged of it."""

import json
import re

import numpy as np
import onnx
import pytest
from quantised import Net

from axbuild.errors import AxNote
from axbuild.toolchain.analysis.analyse import AnalyseParams, analyse
from axbuild.toolchain.analysis.analysis import RowFigures
from axbuild.toolchain.analysis.flowchart import flowchart
from axbuild.toolchain.analysis.judge_rows import JudgeRowsParams, NoRowsError, judge_rows, verdict_of_rows
from axbuild.toolchain.analysis.rows import AnalysedRow
from axbuild.toolchain.analysis.table import table_of
from axbuild.toolchain.precision.error_sums import ErrorSums
from axbuild.toolchain.precision.measure_edges import MeasureEdgesParams, measure_edges
from precision_world import INPUTS, PrecisionWorld


def two_layers():
    """Two convolutions, the first with its activation, and what the second gives read by nobody but the user."""
    net = Net(1, 3, 8, 8)
    net.conv("x", "first", 16, 3, 3, pads=[1, 1, 1, 1])
    net.add("Relu", ["first"], "seen")
    net.conv("seen", "second", 8, 16, 3, pads=[1, 1, 1, 1])
    return net


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    net = two_layers()
    world = PrecisionWorld.of(tmp_path_factory.mktemp("rows"), net.model("second"), net.samples(5))
    measure(world)
    return world


def measure(world, size=-1):
    params = MeasureEdgesParams(INPUTS, size)
    measure_edges(world.float_file, world.quantised_file, world.samples, world.folder, params=params)


def analysed(world, method="PerLayer"):
    """The JSON of an analysis, whose table and graph lie beside it."""
    params = AnalyseParams(method, "Reference")
    with pytest.warns(AxNote):
        analyse(world.quantised_file, world.folder / "edges.json", world.folder, params=params)
    return json.loads((world.folder / "precision_analysis.json").read_text())


def cosine(pairs):
    a, b = (
        np.concatenate([side.astype(np.float64).reshape(-1) for side in sides]) for sides in zip(*pairs, strict=True)
    )
    return a @ b / np.sqrt((a @ a) * (b @ b))


def test_an_operator_has_a_row_in_the_float_models_names_and_the_output_one_as_the_user_gets_it(world):
    found = analysed(world)
    assert (found["title"], found["samples"]) == ("Quant Precision Table【PerLayer Reference】", 5)
    keys = ("operator", "type", "tensor", "shape", "dtype", "qdtype", "output")
    assert [tuple(row[key] for key in keys) for row in found["rows"]] == [
        ("first", "AxQuantizedConv", "seen", [1, 16, 8, 8], "FP32", "U8", False),
        ("second_DequantizeLinear", "AxDequantizeLinear", "second", [1, 8, 8, 8], "FP32", "FP32", True),
    ]
    assert [row["nodes"] for row in found["rows"]] == [["first", "seen"], ["second"]]


def test_per_layer_an_operator_gets_the_float_models_values_and_end_to_end_the_quantised_models(world):
    """Both by hand: the second convolution's body on the float model's values as codes, and the model run through."""
    per_layer, through = analysed(world)["rows"], analysed(world, "EndToEnd")["rows"]
    grids = world.quantised.edges()
    (seen,) = [name for name in grids if name.startswith("seen")]
    alone, whole = [], []
    for feed in world.feeds:
        exact = world.exposed(world.model, ["seen", "second"], feed)
        codes = np.floor(exact["seen"].astype(np.float64) / grids[seen].scale + 0.5) + grids[seen].zero
        made = second_alone(world, seen, np.clip(codes, 0, 255).astype(np.uint8))
        alone.append((exact["second"], made))
        whole.append((exact["second"], world.quantised.run(feed)[0]))
    assert per_layer[1]["cosine"] == pytest.approx(cosine(alone), abs=1e-7)
    assert through[1]["cosine"] == pytest.approx(cosine(whole), abs=1e-7)
    noise = np.mean([np.square(a.astype(np.float64) - b).mean() for a, b in whole])
    assert through[1]["mse"] == pytest.approx(noise, rel=1e-4)
    largest = max(float(abs(a - b).max()) for a, b in whole)
    step = grids["second/codes"].scale
    assert through[1]["max_step"] == pytest.approx(largest / step, rel=1e-4)
    assert per_layer[0] == through[0], "nothing comes before the first layer"


def second_alone(world, name, codes):
    from bodies import session

    model = onnx.ModelProto()
    model.CopyFrom(world.quantised.model)
    graph = model.graph
    kept = [node for node in graph.node if node.input[0] in (name, "second/codes")]
    info = next(info for info in graph.value_info if info.name == name)
    del graph.node[:], graph.input[:]
    graph.node.extend(kept)
    graph.input.append(info)
    return session(model, "optimisation off").run(None, {name: codes})[0]


def test_the_second_layer_is_at_least_as_good_per_layer_as_end_to_end(world):
    per_layer, through = (analysed(world, method)["rows"][1] for method in ("PerLayer", "EndToEnd"))
    assert per_layer["cosine"] >= through["cosine"]
    assert per_layer["snr_db"] > through["snr_db"], "the first layer's error is not in it"


def test_the_table_has_the_vendors_title_and_columns_and_five_decimals(world):
    rows = analysed(world)["rows"]
    lines = (world.folder / "precision_analysis_table.txt").read_text().splitlines()
    assert lines[0].strip() == "Quant Precision Table【PerLayer Reference】"
    head = [cell.strip() for cell in lines[2].strip("┃").split("┃")]
    assert head == ["Operator", "Type", "Output Tensor", "Shape", "DType", "QDType", "Cosin", "MSE"]
    body = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines[4:-1]]
    assert body == [
        ["first", "AxQuantizedConv", "seen", "(1, 16, 8, 8)", "FP32", "U8", *figures(rows[0])],
        ["second_DequantizeLinear", "AxDequantizeLinear", "second", "(1, 8, 8, 8)", "FP32", "FP32", *figures(rows[1])],
    ]
    assert len({len(line) for line in lines[1:]}) == 1


def figures(row):
    return [f"{row['cosine']:.5f}", f"{row['mse']:.5f}"]


def test_the_screen_says_what_the_file_holds(world):
    with pytest.warns(AxNote) as said:
        analyse(
            world.quantised_file,
            world.folder / "edges.json",
            world.folder,
            params=AnalyseParams("PerLayer", "Reference"),
        )
    text = (world.folder / "precision_analysis_table.txt").read_text()
    assert [one.message.sentence for one in said] == text.splitlines()


def branching():
    """What the model gives is read inside it, too; a Split hands on two tensors; a Reshape stands between."""
    net = Net(1, 4, 6, 6)
    net.conv("x", "c", 8, 4)
    halves = net.constant("halves", np.array([4, 4]))
    net.nodes.append(onnx.helper.make_node("Split", ["c", halves], ["left", "right"], name="split", axis=1))
    net.add("Add", ["left", "right"], "sum")
    net.add("Reshape", ["sum", net.constant("flat", np.array([1, 144]))], "line")
    net.add("ArgMax", ["line"], "best", axis=1, keepdims=0)
    return net


def test_rows_follow_the_graph_through_what_has_none(tmp_path):
    net = branching()
    model = net.model("c", "line", "best", best=onnx.TensorProto.INT64)
    world = PrecisionWorld.of(tmp_path, model, net.samples(2))
    measure(world)
    rows = analysed(world)["rows"]
    assert [(row["operator"], row["tensor"]) for row in rows] == [
        ("c", "c"),
        ("split", "left"),
        ("split", "right"),
        ("sum", "sum"),
        ("line", "line"),
        ("c_DequantizeLinear", "c"),
        ("line_DequantizeLinear", "line"),
    ], "the places of largest values are no reals"
    names = {row["name"]: row["operator"] for row in rows} | {"x": "x"}
    read = {(row["operator"], row["tensor"]): {names[name] for name in row["reads"]} for row in rows}
    assert read["c", "c"] == {"x"}
    assert read["split", "right"] == {"c"}
    assert read["sum", "sum"] == {"split"}
    assert read["line_DequantizeLinear", "line"] == {"line"}


def row(operator, cosine=0.9995, *, output=False, reads=(), kind="AxQuantizedConv"):
    """Of one element: noise is what the cosine lacks."""
    sums = None if cosine is None else ErrorSums(1, 1.0, cosine - 1.0, 2 - 2 * cosine, 0.5)
    name = f"{operator}/codes"
    return AnalysedRow(operator, kind, name, operator, (1, 4), "U8", (operator,), reads, output, sums, 0.25)


def test_the_graph_is_a_mermaid_flowchart_in_the_colours_of_similarity():
    rows = [
        row("a", 0.9995, reads=("x",)),
        row("b", 0.995, reads=("a/codes",)),
        row("c", 0.9, reads=("a/codes", "b/codes")),
        row("d", None, reads=("c/codes",)),
    ]
    assert flowchart("T", rows).splitlines() == [
        "---",
        'title: "T, by cosine: green from 0.999, yellow from 0.99, red below"',
        "---",
        "flowchart TD",
        '  in0(["x"])',
        '  n0["a<br/>AxQuantizedConv<br/>0.99950"]:::good',
        '  n1["b<br/>AxQuantizedConv<br/>0.99500"]:::fair',
        '  n2["c<br/>AxQuantizedConv<br/>0.90000"]:::poor',
        '  n3["d<br/>AxQuantizedConv<br/>not#32;finite"]:::poor',
        "  in0 --> n0",
        "  n0 --> n1",
        "  n0 --> n2",
        "  n1 --> n2",
        "  n2 --> n3",
        "  classDef good fill:#d3f9d8,stroke:#2b8a3e,color:#1b1b1b",
        "  classDef fair fill:#fff3bf,stroke:#e67700,color:#1b1b1b",
        "  classDef poor fill:#ffc9c9,stroke:#c92a2a,color:#1b1b1b",
    ]


EVIL = '1. "]:::x\n  click n0 "javascript:0" %%{init}%% <script> | end é\x1b[31m'
STATEMENT = re.compile(
    r'---|title: "[\w., :]*"|flowchart TD|  in\d+\(\["[\w./#;<>-]*"\]\)|  n\d+\["[\w./#;<>-]*"\]:::(good|fair|poor)'
    r"|  (n|in)\d+ --> n\d+|  classDef (good|fair|poor) fill:#\w+,stroke:#\w+,color:#\w+",
    re.ASCII,
)
"""what mermaid's grammar has of a flowchart, as far as it is used here"""


def test_names_from_models_are_text_in_graph_and_table():
    rows = [row(EVIL, reads=(EVIL,))]
    lines = flowchart("T", rows).splitlines()
    assert [line for line in lines if not STATEMENT.fullmatch(line)] == []
    encoded, *others = lines[5].partition('["')[2].rsplit("<br/>", 2)
    assert others[0] == "AxQuantizedConv"
    encoded = encoded.replace("<br/>", "")  # where a long name goes on in another line
    assert "<" not in encoded
    assert re.sub(r"#(\d+);", lambda found: chr(int(found[1])), encoded) == EVIL
    (line,) = table_of("T", rows)[4:-1]
    assert "\\n  click" in line
    assert "\\x1b[31m" in line


LONG = "backbone/stages.2/blocks.3/pointwise_projection_of_the_attention_block/output"


def test_what_mermaid_would_draw_as_a_formula_or_a_picture_stays_text():
    label = flowchart("T", [row("$$x$$ fa:fa-car a:b")]).splitlines()[4]
    assert label.startswith('  n0["#36;#8203;#36;x#36;#8203;#36;#32;fa#58;#8203;fa-car#32;a#58;b<br/>')


def test_a_long_name_is_broken_between_its_folders_and_else_between_words():
    label = flowchart("T", [row(LONG)]).splitlines()[4]
    assert label.partition('["')[2].split("<br/>")[:-2] == [
        "backbone/stages.2/blocks.3/", "pointwise_projection_of_the_", "attention_block/output",
    ]  # fmt: skip


def test_a_graph_that_mermaid_does_not_draw_unless_told_says_what_to_tell_it():
    rows = [
        row(f"r{number}", reads=[f"r{one}/codes" for one in range(max(number - 2, 0), number)]) for number in range(260)
    ]
    assert not any("%%" in line for line in flowchart("T", rows[:200]).splitlines())
    lines = flowchart("T", rows).splitlines()
    text = "\n".join(lines[:-1])
    assert lines[-1] == (
        f"  %% too large for mermaid as it comes: initialize it with maxTextSize {2 * len(text)}, maxEdges 517"
    )
    assert "maxEdges 0" in flowchart("T", [row("a" * 60_000)])


def test_the_graph_of_a_net_is_one(world):
    analysed(world)
    lines = (world.folder / "precision_analysis.mmd").read_text().splitlines()
    assert [line for line in lines if not STATEMENT.fullmatch(line)] == []
    assert lines[-5:-3] == ["  in0 --> n0", "  n0 --> n1"]


FIGURES = [
    RowFigures("a", "ta", output=False, cosine=0.98, mse=0.25, snr_db=14.0, max_step=9.5),
    RowFigures("y_DequantizeLinear", "y", output=True, cosine=0.9995, mse=0.001, snr_db=30.0, max_step=2.0),
]


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        ({"min_cosine": 0.99}, "the cosine 0.98, below 0.99"),
        ({"max_mse": 0.2}, "the MSE 0.25, above 0.2"),
        ({"min_snr_db": 20}, "the SNR 14.0 dB, below 20 dB"),
        ({"max_step": 9}, "an error of 9.5 steps, above 9"),
    ],
)
def test_each_limit_can_fail_and_is_for_the_rows_it_names(limits, fault):
    verdict = verdict_of_rows("PerLayer Reference", 8, FIGURES, JudgeRowsParams("layers", **limits))
    assert (verdict["passed"], verdict["failing"]) == (False, 1)
    assert (
        verdict["sentence"] == f"PerLayer Reference, 2 rows on 8 samples: 'a' (tensor 'ta') has {fault}; 1 row failed"
    )
    verdict = verdict_of_rows("PerLayer Reference", 8, FIGURES, JudgeRowsParams("outputs", **limits))
    assert verdict["passed"] is True
    about = "PerLayer Reference, 1 row on 8 samples: the lowest cosine is 0.9995, of 'y_DequantizeLinear'"
    assert verdict["sentence"] == about


def test_what_is_not_finite_is_within_no_limit():
    lost = RowFigures("a", "ta", output=True, cosine=None, mse=None, snr_db=None, max_step=None)
    verdict = verdict_of_rows("EndToEnd Reference", 1, [lost], JudgeRowsParams("outputs", max_step=100))
    assert verdict["sentence"].endswith("'a' (tensor 'ta') has values that are not finite; 1 row failed")


def test_limits_for_outputs_that_have_no_row_are_an_error():
    with pytest.raises(NoRowsError, match="AX491: no output of the model is of real numbers"):
        verdict_of_rows("EndToEnd Reference", 1, FIGURES[:1], JudgeRowsParams("outputs", min_cosine=0.9))


def test_the_verdict_is_read_out_of_the_analysis(world):
    analysed(world)
    with pytest.warns(AxNote, match="PerLayer Reference, 1 row on 5 samples: the lowest cosine is 0.9"):
        judge_rows(
            world.folder / "precision_analysis.json", world.folder, params=JudgeRowsParams("outputs", min_cosine=0.9)
        )
    assert json.loads((world.folder / "verdict.json").read_text())["passed"] is True


def test_so_many_samples_are_compared_as_were_asked_for(world):
    measure(world, 2)
    assert analysed(world)["samples"] == 2
    measure(world)
    assert analysed(world)["samples"] == 5
