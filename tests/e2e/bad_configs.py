"""Mistakes in configuration files: in each of the four formats, in single settings, and in names of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from bad_world import Mistake, asked, both, configured, npy, written

COUNTLESS = "".join(f"{x}: &{x} [{', '.join([f'*{y}'] * 9)}]\n" for y, x in zip("abcdefgh", "bcdefghi", strict=True))


def file(told: str, name: str, text: str | bytes) -> Mistake:
    return asked(told, f"pulsar2 build --config {name} --output_dir new", written(name, text))


def settings(told: str, *args: str, **more: Any) -> Mistake:
    return Mistake(told, configured(*args, **more))


def layer(told: str, **fields: object) -> Mistake:
    return settings(told, quant={"layer_configs": [fields]})


def patch(told: str, name: str = "conv", **attributes: object) -> Mistake:
    return settings(told, op_processors=[{"op_name": name, "attrs": attributes}])


def taken(told: str, **fields: object) -> Mistake:
    return settings(told, input_processors=[{"tensor_name": "x", **fields}])


def constant(told: str, name: str, content: str | bytes) -> Mistake:
    return Mistake(told, both(written(name, content), configured(const_processors=[{"name": "w", "data_path": name}])))


FILES = {
    "an empty file": file("c.json:1: error AX520: not valid JSON: it ends before it is complete", "c.json", ""),
    "an empty YAML": file("c.yaml: error AX522: a configuration takes a table of fields, got null", "c.yaml", ""),
    "an empty TOML": file("error AX525: --input is missing", "c.toml", ""),
    "no text": file("c.json:2: error AX520: byte 128 is not UTF-8", "c.json", bytes(range(256))),
    "UTF-16": file("c.json:1: error AX520: byte 0 is not UTF-8", "c.json", "{}".encode("utf-16")),
    "too large": file("error AX520: c.json is larger than 1,048,576 bytes", "c.json", b" " * (1 << 21)),
    "unknown field in JSON": file(
        "c.json:3: error AX521: a configuration has no field 'inptu'", "c.json", '{\n"input": "net.onnx",\n"inptu": 1}'
    ),
    "unknown field in YAML": file(
        "c.yaml:3: error AX521: quant has no field 'calibration_metod'",
        "c.yaml",
        "input: net.onnx\nquant:\n  calibration_metod: MSE\n",
    ),
    "unknown field in TOML": file(
        "c.toml:3: error AX521: compiler has no field 'chek'", "c.toml", 'input = "net.onnx"\n[compiler]\nchek = 1\n'
    ),
    "unknown field in prototxt": file(
        "c.prototxt:3: error AX521: compiler has no field 'chek'",
        "c.prototxt",
        'input: "net.onnx"\ncompiler {\n  chek: 1\n}\n',
    ),
    "twice in JSON": file(
        "c.json:2: error AX523: 'npu_mode' is set twice", "c.json", '{"npu_mode": "NPU1",\n"npu_mode": "NPU2"}'
    ),
    "twice in YAML": file("c.yaml:2: error AX523: 'npu_mode' is set twice", "c.yaml", "npu_mode: NPU1\nnpu_mode: NPU2"),
    "twice in TOML": file(
        "c.toml:2: error AX520: not valid TOML: Cannot overwrite a value",
        "c.toml",
        'npu_mode = "NPU1"\nnpu_mode = "NPU2"',
    ),
    "twice in prototxt": file(
        "c.prototxt:2: error AX523: 'npu_mode' is set twice", "c.prototxt", "npu_mode: NPU1\nnpu_mode: NPU2"
    ),
    "no number in JSON": file(
        "c.json:2: error AX520: not valid JSON: NaN is no value", "c.json", '{"quant": {\n"finetune_lr": NaN}}'
    ),
    "no number in YAML": file(
        "c.yaml:2: error AX522: quant.finetune_lr takes a number above 0, got nan",
        "c.yaml",
        "quant:\n  finetune_lr: .nan\n",
    ),
    "no number in TOML": file(
        "c.toml:2: error AX522: quant.finetune_lr takes a number above 0, got nan",
        "c.toml",
        "[quant]\nfinetune_lr = nan\n",
    ),
    "no number in prototxt": file(
        "c.prototxt:2: error AX522: quant.finetune_lr takes a number above 0",
        "c.prototxt",
        "quant {\n  finetune_lr: inf\n}\n",
    ),
    "too many digits": file(
        "c.json:2: error AX522: quant.finetune_epochs takes a whole number",
        "c.json",
        '{"quant": {\n"finetune_epochs": ' + "9" * 5000 + "}}",
    ),
    "too many digits in TOML": file(
        "c.toml:2: error AX520: not valid TOML: a number has more than 4,300 digits",
        "c.toml",
        "[quant]\nfinetune_epochs = " + "9" * 5000,
    ),
    "too deep in JSON": file(
        "c.json:1: error AX520: not valid JSON: more than 64 levels", "c.json", '{"a": ' + "[" * 9999
    ),
    "too deep in YAML": file("c.yaml:1: error AX520: not valid YAML: more than 64 levels", "c.yaml", "[" * 9999),
    "too deep in TOML": file("c.toml: error AX520: not valid TOML: more than 64 levels", "c.toml", "a = " + "[" * 9999),
    "too deep in prototxt": file(
        "c.prototxt:1: error AX520: not valid prototxt: more than 64 levels", "c.prototxt", "quant {" * 9999
    ),
    "aliases of aliases": file("more than 100,000 values, aliases included", "c.yaml", f"a: &a [x]\n{COUNTLESS}"),
    "a command in a tag": file(
        'c.yaml:1: error AX522: input takes a text, got ["touch pwned"]',
        "c.yaml",
        "input: !!python/object/apply:os.system ['touch pwned']\n",
    ),
    "controls in a name": file(
        r"c.json:1: error AX521: a configuration has no field '\x1b[31m\n'", "c.json", '{"\\u001b[31m\\n": 1}'
    ),
    "half a character": file(
        "c.json:1: error AX520: not valid JSON: a text with an escape that there is not",
        "c.json",
        '{"input": "\\ud800.onnx"}',
    ),
    "a zero byte in a path": settings(r"error AX541: calibration_dataset: there is no 'a\x00b'", "a\0b"),
}

SETTINGS = {
    "no data": file("error AX530: quant.input_configs is empty", "c.json", '{"input": "net.onnx"}'),
    "data without a path": settings(
        "config.json:7: error AX525: quant.input_configs[0] needs 'calibration_dataset'", ""
    ),
    "data that is not": settings("error AX541: calibration_dataset: there is no 'none.tar'", "none.tar"),
    "data behind an unknown door": settings(
        "config.json:7: error AX598: calibration_dataset: nothing is fetched from gopher://", "gopher://x/y.tar"
    ),
    "data by no digest": settings(
        "config.json:7: error AX383: calibration_dataset: an address needs the SHA-256", "https://127.0.0.1:9/x.tar"
    ),
    "a glob of nothing": settings("config.json:7: error AX111: no file matches 'samples/*.xyz'", "samples/*.xyz"),
    "data for an input that is not": settings(
        "error AX407: //:model preflight: A calibration set or an input processor is for 'nope'", tensor="nope"
    ),
    "a second input without data": Mistake(
        "error AX330: //:model_quant spread: there are no samples for the model's input 'z'",
        configured(tensor="x", input="two.onnx"),
    ),
    "means of two channels": settings(
        "config.json:8: error AX106: mean takes one number, or 3",
        quant={
            "input_configs": [
                {
                    "tensor_name": "x",
                    "calibration_dataset": "samples",
                    "calibration_mean": [1, 2],
                    "calibration_std": [1, 1],
                }
            ]
        },
    ),
    "a rule for no operator": layer(
        "select: a layer rule is for the operator 'nope'", layer_name="nope", data_type="U16"
    ),
    "a rule for no type": layer("select: a layer rule is for operators of type Nope", op_type="Nope", data_type="U16"),
    "a rule from end to start": layer(
        "a layer rule has no operator between y and x",
        start_tensor_names=["y"],
        end_tensor_names=["x"],
        data_type="U16",
    ),
    "a rule that chooses nothing": layer(
        "config.json:12: error AX524: quant.layer_configs[0] chooses no operators", data_type="U16"
    ),
    "Conv in FP32": layer("quant.layer_configs[0] asks for Conv in FP32", op_type="Conv", data_type="FP32"),
    "a patch of no operator": patch(
        "error AX315: //:model_float patch: op_processors is for the operator 'nope'", "nope", a=1
    ),
    "a patch of no attribute": patch("op_processors sets 'nope' of 'conv', and Conv of opset 17 has no such", nope=1),
    "a patch of another type": patch("op_processors sets 'pads' of 'conv' (Conv) to x, and it takes a list", pads="x"),
    "a patch of no values": settings(
        "config.json:12: error AX106: op_processors[0] lacks its field 'attrs'",
        op_processors=[{"op_name": "conv", "attrs": {}}],
    ),
    "a patch that fills the memory": patch(
        "error AX305: //:model_float optimize: tensor 'c' has the shape", pads=[10**9] * 4
    ),
    "a number of 100 bits": patch(
        "config.json:12: error AX101: not valid TOML: a whole number must fit", pads=[1 << 100] * 4
    ),
    "a quantised patch of no operator": settings(
        "quant_op_processors is for the operator 'nope'", quant_op_processors=[{"op_name": "nope", "attrs": {"a": 1}}]
    ),
    "no such constant": settings(
        "const_processors names 'nope', and the model has no constant", const_processors=[{"name": "nope", "data": [1]}]
    ),
    "too few values of a constant": settings(
        "the constant 'w' is float32 [4, 3, 3, 3], 108 values, and data has 2 values",
        const_processors=[{"name": "w", "data": [1, 2]}],
    ),
    "no file of a constant": settings(
        "error AX541: const_processors.data_path: there is no 'none.npy'",
        const_processors=[{"name": "w", "data_path": "none.npy"}],
    ),
    "a constant that is no array": constant(
        "error AX334: //:model_float patch: 'data_path of w' is not an .npy file", "w.npy", "x"
    ),
    "a constant of objects": constant(
        "error AX334: //:model_float patch: 'data_path of w' holds pickled objects",
        "w.npy",
        npy(np.array([{}], object), allow_pickle=True),
    ),
    "a constant of words": constant("the .txt file for the constant 'w' has 'x', which is no number", "w.txt", "1 2 x"),
    "an output that is not": settings(
        "An output processor is for 'nope', which is no output", output_processors=[{"tensor_name": "nope"}]
    ),
    "an order of no axes": settings(
        "Output 'y': dst_perm [0, 1] is no order of the axes of [1, 2, 8, 8]",
        output_processors=[{"tensor_name": "y", "dst_perm": [0, 1]}],
    ),
    "an input that is not": settings(
        "an input processor is for 'nope', which is no input", input_processors=[{"tensor_name": "nope"}]
    ),
    "means of two channels of three": taken("Input 'x': mean has 2 values", mean=[1, 2], std=[1, 1]),
    "YUV for grey": taken(
        "src_format YUV420SP becomes BGR or RGB", src_format="YUV420SP", csc_mode="FullRange", tensor_format="GRAY"
    ),
    "padding of half an axis": taken("input_processors[0].padding has 1 amounts, an odd count", padding=[1]),
    "padding of one axis": taken("Input 'x': padding has 2 numbers and takes 8", padding=[1, 1]),
    "padding beyond the input": taken("padding leaves nothing of [1, 3, 8, 8]", padding=[0, 0, 0, 0, 10**9, 0, 0, 0]),
    "a further size of another rank": taken(
        "the extra shape gives 'x' 2 dimensions", src_extra_shapes=[{"shape": [1, 3]}]
    ),
    "a further size that is the first": taken(
        "the extra shape is the model's own", src_extra_shapes=[{"shape": [1, 3, 8, 8]}]
    ),
    "a part at no tensor": settings(
        "error AX413: //:model preflight: sub_configs[0]: the model has no tensor 'a'",
        compiler={"sub_configs": [{"start_tensor_names": ["a"], "end_tensor_names": ["b"]}]},
    ),
    "patterns": settings(
        "config.json:13: error AX106: compiler_group_patterns[0].nodes is empty",
        compiler={"compiler_group_patterns": [{"nodes": []}]},
    ),
}
