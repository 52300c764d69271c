"""partition.json: what is written is read back, and what contradicts itself is refused."""

from __future__ import annotations

import json

import pytest

from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor
from axbuild.toolchain.npu.plan.record import (
    CPU,
    NPU,
    Partition,
    PartitionRecordError,
    PlacedNode,
    PlannedSubgraph,
)

IMAGE = BoundaryTensor("image", "uint8", (1, 6, 6, 3), 0, 0, "NHWC", "BGR")
SCORES, SELECTED = BoundaryTensor("scores", "float32", (1, 4)), BoundaryTensor("out", "int64", (FROM_DATA, 3), 0, 1)
PARTITION = Partition(
    "AX650",
    (IMAGE,),
    (SELECTED,),
    (SCORES,),
    (
        PlannedSubgraph(
            "subgraph_npu_0", NPU, ("image",), ("scores",), (PlacedNode("c", "Conv", ("a", "b")),), True, "equal"
        ),
        PlannedSubgraph("subgraph_cpu_0", CPU, ("scores",), ("out",), (PlacedNode("n", "X", ("n",), ("no form",)),)),
    ),
)


def test_a_partition_is_read_as_it_was_written(tmp_path):
    PARTITION.write(tmp_path)
    assert Partition.read(tmp_path) == PARTITION
    first = (tmp_path / "partition.json").read_bytes()
    Partition.read(tmp_path).write(tmp_path)
    assert (tmp_path / "partition.json").read_bytes() == first
    assert [node.name for node in PARTITION.on_cpu] == ["n"]
    assert [item.batch_of(4) for item in PARTITION.subgraphs] == [4, 1]


def changed(**changes):
    def edit(record):
        record.update(changes)

    return edit


def at(*path, value):
    """Puts a value at a place inside the record."""

    def edit(record):
        *way, last = path
        for key in way:
            record = record[key]
        record[last] = value

    return edit


def twice(record):
    record["subgraphs"].append(record["subgraphs"][1])


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (changed(format="axbuild-partition/1"), "is not of the format axbuild-partition/5"),
        (changed(more=1), "expected the fields chip, inputs"),
        (at("inputs", 0, "shape", value=[1, "6"]), r"partition.json.inputs\[0\].shape\[1\]: '6' is of the wrong type"),
        (at("inputs", 0, "batch_axis", value=True), "batch_axis: True is of the wrong type"),
        (at("subgraphs", 0, "place", value="GPU"), r"'subgraph_npu_0' \(GPU\) is no subgraph"),
        (at("subgraphs", 0, "name", value="../escape"), r"'../escape' \(NPU\) is no subgraph"),
        (at("subgraphs", 0, "inputs", value=["scores"]), "subgraph_npu_0 reads 'scores' before anything makes it"),
        (at("subgraphs", 1, "outputs", value=["scores"]), "'scores', an output of subgraph_cpu_0, is unknown or made"),
        (at("subgraphs", 1, "outputs", value=[]), "nothing makes the tensor 'out'"),
        (at("inner", 0, "name", value="image"), "two boundary tensors have one name"),
        (twice, r"'subgraph_cpu_0' \(CPU\) is no subgraph, or stands twice"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(tmp_path, edit, sentence):
    PARTITION.write(tmp_path)
    record = json.loads((tmp_path / "partition.json").read_text())
    edit(record)
    (tmp_path / "partition.json").write_text(json.dumps(record))
    with pytest.raises(PartitionRecordError, match=sentence):
        Partition.read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}'])
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    (tmp_path / "partition.json").write_text(text)
    with pytest.raises(PartitionRecordError, match=r"partition\.json"):
        Partition.read(tmp_path)
