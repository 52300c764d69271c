"""Four formats of one configuration: equal where they say the same, a user's error where they are broken."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, struct_pb2, text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.json_schema import json_schema
from axbuild.toolchain.pulsar2.message import Message, Nested, message_in, settings_of
from axbuild.toolchain.pulsar2.read import parse_config
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.takes import Dictionary, Many, Number, Takes, Toggle, Whole, Word
from axbuild.toolchain.pulsar2.write import written

TOP = Path(__file__).parents[2]
GUIDE = sorted((TOP / "tests/seed/configs").glob("*.json"))

JSON = r"""{ // as the guide writes
  "input": "a//b#c", # not a comment inside the quotes
  "npu_mode": "NPU2", /* nor "this":
  "quant": 1 */ "quant": {
    "input_configs": [{"tensor_name": "DEFAULT", "calibration_dataset": "s3://d/a.tar",	"calibration_mean":
      [1, 2.5, -276.8, 2e-1,], },],  # trailing commas
    "finetune_lr": 1e-4, "enable_lsq": true,
  },
  "compiler": {"static_batch_sizes": [1, 2, 4],
    "sub_configs": [{"start_tensor_names": ["op_37:AxQuantizedConv_out"], "end_tensor_names": ["b\t\u00e9"],
      "check": 2}]},
  "quant_op_processors": [
    {"op_name": "a", "attrs": {"ceil_mode": 0, "shape": [0, 800], "mode": "x", "f": 1.5, "t": true}},
  ],
}
"""
YAML = r"""
# as a user would
input: a//b#c
npu_mode: NPU2
quant:
  input_configs:
  - tensor_name: DEFAULT
    calibration_dataset: s3://d/a.tar
    calibration_mean: [1, 2.5, -276.8, 2e-1]
  finetune_lr: 1e-4
  enable_lsq: true
compiler:
  static_batch_sizes: [1, 2, 4]
  sub_configs:
    - {start_tensor_names: ["op_37:AxQuantizedConv_out"], end_tensor_names: ["b\té"], check: 2}
quant_op_processors:
  - op_name: a
    attrs: {ceil_mode: 0, shape: [0, 800], mode: x, f: 1.5, t: true}
"""
TOML = r"""
input = 'a//b#c' # a comment
npu_mode = "NPU2"
[quant]
finetune_lr = 1e-4
enable_lsq = true
[[quant.input_configs]]
tensor_name = "DEFAULT"
calibration_dataset = "s3://d/a.tar"
calibration_mean = [
  1, 2.5, # the third is below
  -276.8, 2e-1,
]
[compiler]
static_batch_sizes = [1, 2, 4]
[[compiler.sub_configs]]
start_tensor_names = ["op_37:AxQuantizedConv_out"]
end_tensor_names = ["b\té"]
check = 2
[[quant_op_processors]]
op_name = "a"
attrs = { ceil_mode = 0, shape = [0, 800], mode = "x", f = 1.5, t = true }
"""
PROTOTXT = r"""
input: "a//" 'b#c' # two texts are one
npu_mode: NPU2
quant {
  input_configs { tensor_name: "DEFAULT" calibration_dataset: "s3://d/a.tar" calibration_mean: 1
    calibration_mean: [2.5, -276.8, 2e-1] }
  finetune_lr: 1e-4, enable_lsq: true;
}
compiler: <
  static_batch_sizes: 1 static_batch_sizes: [2, 0x4]
  sub_configs: [{ start_tensor_names: "op_37:AxQuantizedConv_out" end_tensor_names: "b\t\303\251" check: 2 }]
>
quant_op_processors {
  op_name: "a"
  attrs {
    fields { key: "ceil_mode" value { number_value: 0 } }
    fields { key: "shape" value { list_value { values { number_value: 0 } values { number_value: 800 } } } }
    fields { key: "mode" value { string_value: "x" } }
    fields { key: "f" value { number_value: 1.5 } }
    fields { key: "t" value { bool_value: true } }
  }
}
"""
SAME = {".json": JSON, ".yaml": YAML, ".toml": TOML, ".prototxt": PROTOTXT}


def test_four_formats_of_the_same_settings_are_equal() -> None:
    configs = {suffix: parse_config(text, f"c{suffix}") for suffix, text in SAME.items()}
    one = configs[".json"]
    assert all(config == one for config in configs.values())
    assert one.input == "a//b#c"
    assert one.quant.input_configs[0].calibration_mean == (1, 2.5, -276.8, 0.2)
    assert one.compiler.sub_configs[0].end_tensor_names == ("b\té",)
    assert one.compiler.check is None
    assert one.quant_op_processors[0].attrs == {"ceil_mode": 0, "shape": [0, 800], "mode": "x", "f": 1.5, "t": True}


@pytest.mark.parametrize(("suffix", "line"), [(".json", 11), (".yaml", 15), (".toml", 19), (".prototxt", 11)])
def test_every_value_knows_its_line(suffix, line) -> None:
    sub = parse_config(SAME[suffix], f"c{suffix}").compiler.sub_configs[0]
    assert (sub.places["check"].file, sub.places["check"].line) == (f"c{suffix}", line)


@pytest.mark.parametrize("suffix", SAME)
def test_line_ends_and_the_mark_of_a_byte_order_change_nothing(suffix) -> None:
    text = "\ufeff" + SAME[suffix].replace("\n", "\r\n")
    assert parse_config(text, f"c{suffix}") == parse_config(SAME[suffix], f"c{suffix}")


@pytest.mark.parametrize("path", GUIDE, ids=lambda path: path.stem)
def test_every_configuration_of_the_guide_is_read_and_written_back_equal(path) -> None:
    config = parse_config(path.read_text(encoding="utf-8"), path.name)
    assert list(config.given())
    assert parse_config(written(config), "again.json") == config
    assert parse_config(written(config), "again.yaml") == config
    Draft202012Validator(json_schema()).validate(json.loads(written(config)))


def test_the_guides_configurations_say_what_they_say() -> None:
    configs = {path.stem[5:]: parse_config(path.read_text(encoding="utf-8"), path.name) for path in GUIDE}
    assert len(configs) == 19
    assert configs["two_cores"].npu_mode == "NPU2"
    assert configs["numpy_data"].quant.input_configs[0].calibration_format == "Numpy"
    assert [entry.calibration_format for entry in configs["two_inputs"].quant.input_configs] == ["Image", "Image"]
    assert configs["numpy_objects"].quant.input_configs[0].calibration_size == -1
    assert len(configs["mixed_precision"].quant.layer_configs) == 5
    assert configs["extra_sizes"].input_processors[0].src_extra_shapes[0].shape == (1, 3, 384, 384)
    assert configs["op_processors"].op_processors[0].attrs == {"ceil_mode": 1}
    assert configs["const_processors"].const_processors[0].data == (-1, 96, 48)
    assert configs["sub_configs"].compiler.sub_configs[0].check == 2
    assert configs["transformer"].quant.transformer_opt_level == 2
    assert configs["qdq_yolov5s"].quant.layer_configs[0].op_type == "Silu"
    assert configs["adaround"].quant.finetune_lr == 1e-4
    assert configs["adaround"].quant.device == "cuda:0"


SCALARS = ((Toggle, 8), (Whole, 5), (Number, 1), (Takes, 9))
"""kind of value -> protobuf's number of its type"""


def descriptors() -> descriptor_pb2.FileDescriptorProto:
    """The vendor's messages as protobuf has them, with the numbers of our declaration."""
    file = descriptor_pb2.FileDescriptorProto(name="c.proto", package="c", syntax="proto2")
    file.dependency.append("google/protobuf/struct.proto")
    todo: list[type[Message]] = [BuildConfig]
    done: set[type[Message]] = set()
    while todo:
        kind = todo.pop()
        if kind in done:
            continue
        done.add(kind)
        message = file.message_type.add(name=kind.__name__)
        for name, declared in settings_of(kind).items():
            inner = declared.takes.item if isinstance(declared.takes, Many) else declared.takes
            field = message.field.add(name=name, number=declared.number, label=3 if declared.takes.many else 1)
            if isinstance(inner, Nested):
                field.type, field.type_name = 11, f".c.{inner.message.__name__}"
                todo.append(inner.message)
            elif isinstance(inner, Dictionary):
                field.type, field.type_name = 11, ".google.protobuf.Struct"
            elif isinstance(inner, Word) and inner.word == "enum":
                field.type, field.type_name = 14, enum_of(file, f"{kind.__name__}_{name}", inner)
            else:
                field.type = next(number for kind_of, number in SCALARS if isinstance(inner, kind_of))
    return file


def enum_of(file, name: str, word: Word) -> str:
    """Names of values are one field's own, since protobuf has them in the package."""
    holder = file.message_type.add(name=f"{name}_scope")
    enum = holder.enum_type.add(name=name)
    for index, (value, number) in enumerate(word.enum.items()):
        enum.value.add(name=value, number=100 + index if number is None else number)
    return f".c.{holder.name}.{name}"


@pytest.fixture(scope="module")
def protobuf():
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(descriptors().SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("c.BuildConfig"))


def by_protobuf(protobuf, text: str) -> BuildConfig:
    """Protobuf's own reading of a text, as JSON read back."""
    message = text_format.Parse(text, protobuf())
    return parse_config(json_format.MessageToJson(message, preserving_proto_field_name=True), "by_protobuf.json")


def test_prototxt_is_read_as_protobuf_reads_it(protobuf) -> None:
    assert by_protobuf(protobuf, PROTOTXT) == parse_config(PROTOTXT, "c.prototxt")


@pytest.mark.parametrize("path", GUIDE, ids=lambda path: path.stem)
def test_what_protobuf_writes_of_the_guides_configurations_is_read_as_the_same(protobuf, path) -> None:
    config = parse_config(path.read_text(encoding="utf-8"), path.name)
    text = text_format.MessageToString(json_format.Parse(written(config), protobuf()))
    assert parse_config(text, "c.prototxt") == config


@pytest.mark.parametrize(
    "text",
    ["npu_mode: 1", "quant { enable_lsq: 1 }", "quant: { check: 01 }", "quant < finetune_lr: 1e-3f >",
     'input: "\\x41\\101\\u00e9"',
     "quant { enable_lsq: t finetune_lr: .5 };", "compiler { check_atol: 2. check_rtol: 2e0 }"],
)  # fmt: skip
def test_corners_of_the_text_form_are_protobufs(protobuf, text) -> None:
    mine, theirs = parse_config(text, "c.prototxt"), by_protobuf(protobuf, text)
    assert mine == theirs


BROKEN = """npu_mode NPU1
quant { check: 1
quant check: 1
input: "a
input: a
quant { check: [1 }
check: 1
quant { check: 1 check: 1 }
}
input: "a" }
quant { check: -- 1 }
quant { check: 1..2 }"""


@pytest.mark.parametrize("text", BROKEN.split("\n"))
def test_what_protobuf_refuses_is_refused(protobuf, text) -> None:
    with pytest.raises(text_format.ParseError):
        text_format.Parse(text, protobuf())
    with pytest.raises(AxError):
        parse_config(text, "c.prototxt")


def broken_texts(seed: int, count: int):
    """Good files, cut short, or with bytes in other places."""
    rng = random.Random(seed)
    for _ in range(count):
        suffix = rng.choice(list(SAME))
        text = SAME[suffix]
        cut = rng.randrange(len(text))
        noise = "".join(rng.choice("{}[]\",:'#/*<>=.\\-\n\t0aé\x00\ud800" + text) for _ in range(rng.randrange(8)))
        yield f"c{suffix}", (text[:cut] + noise + rng.choice(["", text[cut + rng.randrange(9) :]]))


def test_malformed_files_are_refused_with_an_error_of_ours_or_read() -> None:
    ends, unplaced = {"read": 0, "refused": 0}, []
    for name, text in broken_texts(11, 600):
        try:
            parse_config(text, name)
            ends["read"] += 1
        except AxError as error:
            ends["refused"] += 1
            unplaced += [text] if error.place is None else []
    assert ends["refused"] > 300
    assert unplaced == []


MANY = 5000
DEEP = [part * MANY for part in ("[", '{"a":', "- ", "a {", "9")]


@pytest.mark.parametrize("text", [*DEEP, f"a: {'[' * MANY}", f"a = {'[' * MANY}", f"a{'.a' * MANY} = 1"])
@pytest.mark.parametrize("suffix", SAME)
def test_what_is_deep_or_long_is_refused(text, suffix) -> None:
    with pytest.raises(AxError):
        parse_config(text, f"c{suffix}")


def test_aliases_that_stand_for_a_billion_values_are_refused() -> None:
    layers = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 10))
    with pytest.raises(AxError, match="more than 100,000 values, aliases included"):
        parse_config(f"l0: &l0 [a, b]\n{layers}", "c.yaml")


def values_of(takes) -> st.SearchStrategy:
    """Values of a field, right ones and wrong ones."""
    anything = st.one_of(
        st.none(), st.booleans(), st.integers(-3, 5), st.floats(-2, 2), st.sampled_from(["", "U8", "NPU1"])
    )
    if (inner := message_in(takes)) is not None:
        one = tables_of(inner)
        return st.one_of(st.lists(one, max_size=2) if takes.many else one, anything)
    if isinstance(takes, Word):
        return st.one_of(st.sampled_from([*takes.names, *range(11)]), anything)
    if isinstance(takes, Many):
        return st.one_of(st.lists(values_of(takes.item), max_size=2), anything)
    if isinstance(takes, Dictionary):
        return st.one_of(
            st.dictionaries(st.sampled_from("ab"), st.one_of(anything, st.lists(anything, max_size=2))), anything
        )
    return anything


def tables_of(message: type[Message]) -> st.SearchStrategy:
    known = settings_of(message)
    required = {name: values_of(s.takes) for name, s in known.items() if s.required and message is not BuildConfig}
    fields = {name: st.fixed_dictionaries({name: values_of(declared.takes)}) for name, declared in known.items()}
    some = st.sampled_from(list(known)).flatmap(fields.__getitem__)
    return st.one_of(some, st.tuples(some, st.fixed_dictionaries(required)).map(lambda pair: pair[1] | pair[0]))


@given(tables_of(BuildConfig))
@settings(max_examples=200, deadline=None)
def test_the_schema_and_the_reader_agree(config) -> None:
    valid = VALIDATOR.is_valid(config)
    try:
        read = parse_config(json.dumps(config), "c.json")
    except AxError:
        assert not valid
    else:
        assert valid
        assert parse_config(written(read), "again.json") == read


VALIDATOR = Draft202012Validator(json_schema())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())
