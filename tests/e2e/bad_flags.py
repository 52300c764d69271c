"""Mistakes on the command lines of `pulsar2` and `import`, in paths, and in a BUILD file that names a configuration."""

from __future__ import annotations

import os
from pathlib import Path

from bad_world import BUILD, Mistake, asked, both, config, configured, flags, written

LONG = "n" * 300


def pipe(name: str):
    return lambda root: os.mkfifo(root / name)


COMMANDS = {
    "no command": asked("error AX540: pulsar2 takes a command", "pulsar2"),
    "a command that is not": asked("hint: did you mean 'build'?", "pulsar2 biuld"),
    "a flag that is not": flags(
        "error AX526: there is no flag --inptu\n  hint: did you mean '--input'?", "--inptu", "x"
    ),
    "a flag without its group": flags("hint: did you mean --quant.check or --compiler.check?", "--check", "1"),
    "a word behind no flag": flags("error AX526: --output_dir takes one value, 'net.onnx' is a second one", "net.onnx"),
    "a flag without its value": flags("error AX525: --input needs a value", "--input"),
    "no input": asked("error AX525: --input is missing", "pulsar2 build --output_dir new"),
    "no output_dir": asked("error AX525: --output_dir is missing", "pulsar2 build --config config.json"),
    "npu_mode in small letters": flags("hint: did you mean 'NPU2'?", "--npu_mode", "npu2"),
    "npu_mode of another chip": flags("error AX524: npu_mode NPU4 is not for AX650", "--npu_mode", "NPU4"),
    "npu_mode with controls": flags('got "\\u001b[31mNPU1\\n"', "--npu_mode", "\x1b[31mNPU1\n"),
    "a chip that is not": flags("error AX522: --target_hardware takes AX650, AX620E", "--target_hardware", "AX651"),
    "maybe": flags('--quant.enable_lsq takes true or false, got "maybe"', "--quant.enable_lsq", "maybe"),
    "a batch that is none": flags(
        '--compiler.static_batch_sizes[1] takes a whole number of at least 1, got "x"',
        "--compiler.static_batch_sizes",
        "1",
        "x",
    ),
    "a batch beyond reason": flags(
        "--compiler.static_batch_sizes: error AX106: static_batch_sizes takes a whole number from 1 to 1024",
        "--compiler.static_batch_sizes",
        "100000",
    ),
    "a batch twice": flags(
        "--compiler.static_batch_sizes: error AX106: static_batch_sizes names a batch twice",
        "--compiler.static_batch_sizes",
        "2",
        "2",
    ),
    "static and dynamic batches": flags(
        "error AX524: compiler has both static_batch_sizes and max_dynamic_batch_size",
        "--compiler.static_batch_sizes",
        "2",
        "--compiler.max_dynamic_batch_size",
        "4",
    ),
    "a tolerance that is no number": flags(
        "--compiler.check_rtol takes a number of at least 0, got nan",
        "--compiler.check",
        "1",
        "--compiler.check_rtol",
        "nan",
    ),
    "a bandwidth next to nothing": flags(
        "--compiler.ddr_bw_limit takes a number of at least 0.001, or 0, got 1e-300",
        "--compiler.ddr_bw_limit",
        "1e-300",
    ),
    "a threshold beyond its limit": flags(
        "--quant.refine_weight_threshold takes a number of at least 0 and below 0.0001, or -1",
        "--quant.refine_weight_threshold",
        "1e-3",
    ),
    "two ways of fine-tuning": flags(
        "error AX524: enable_adaround and enable_lsq are both set", "--quant.enable_lsq", "--quant.enable_adaround"
    ),
    "a GPU that no flag names": flags("--quant.device takes cpu, cuda:0", "--quant.device", "cuda:9"),
    "a black list that is no pattern": flags(
        "compiler.check_tensor_black_list has '*', which is no regular expression",
        "--compiler.check",
        "2",
        "--compiler.check_tensor_black_list",
        "*",
    ),
    "shapes that are none": flags('--input_shapes takes a text such as "input1:1x3x224x224', "--input_shapes", "a:b"),
    "shapes of an input that is not": flags(
        "error AX304: //:model_float optimize: input_shapes names 'nope'", "--input_shapes", "nope:1x3x8x8"
    ),
    "shapes of another rank": flags("input_shapes gives 'x' 3 dimensions [1, 3, 8]", "--input_shapes", "x:1x3x8"),
    "shapes that fill the memory": flags(
        "input_shapes gives 'x' [1, 3, 99999999, 99999999], more than", "--input_shapes", "x:1x3x99999999x99999999"
    ),
    "a float model as QuantONNX": flags(
        "error AX313: //:model_float separate: the model has no QuantizeLinear", "--model_type", "QuantONNX"
    ),
}

PATHS = {
    "output_name with a folder": flags("output_name 'a/b' is no file's name", "--output_name", "a/b"),
    "output_name above": flags("output_name '..' is no file's name", "--output_name", ".."),
    "output_name with controls": flags(r"output_name 'a\x1b[31m' is no file's name", "--output_name", "a\x1b[31m"),
    "output_name too long": flags("output_name has 300 bytes, and a file's name at most 200", "--output_name", LONG),
    "output_name of another product": flags(
        "output_name 'build_context.json' is what a build calls another product", "--output_name", "build_context.json"
    ),
    "output_name of a folder of products": flags("output_name 'quant' is what a build", "--output_name", "quant"),
    "the model overwritten": asked(
        "error AX542: net.onnx would be overwritten, and it is what input names",
        "pulsar2 build --config config.json --output_dir . --output_name net.onnx",
    ),
    "the configuration overwritten": asked(
        "error AX542: config.json would be overwritten, and it is what --config names",
        "pulsar2 build --config config.json --output_dir . --output_name config.json",
    ),
    "a sample overwritten": Mistake(
        "error AX542: samples/0.npy would be overwritten, and it is what calibration_dataset names",
        configured("samples/0.npy"),
        ("pulsar2", "build", "--config", "config.json", "--output_dir", "samples", "--output_name", "0.npy"),
    ),
    "output_dir a file": asked("net.onnx", "pulsar2 build --config config.json --output_dir net.onnx"),
    "output_dir below a file": asked(
        "net.onnx/new/.axbuild cannot be written: Not a directory",
        "pulsar2 build --config config.json --output_dir net.onnx/new",
    ),
    "output_dir too long": asked(
        "cannot be written: File name too long", f"pulsar2 build --config config.json --output_dir {LONG}"
    ),
    "a file where products go": Mistake(
        "error AX542: mine/quant is a file, and products are to be written below a folder of that name",
        written("mine/quant", "my own"),
        ("pulsar2", "build", "--config", "config.json", "--output_dir", "mine"),
    ),
    "a folder where the model goes": Mistake(
        "error AX542: mine/compiled.axmodel is a folder",
        lambda root: (root / "mine/compiled.axmodel").mkdir(parents=True),
        ("pulsar2", "build", "--config", "config.json", "--output_dir", "mine"),
    ),
    "work_dir a file": flags("cannot be written: Not a directory", "--work_dir", "net.onnx"),
    "an input that is not": flags(
        "error AX541: input: there is no 'nte.onnx'\n  hint: did you mean", "--input", "nte.onnx"
    ),
    "an input with controls": flags(r"there is no 'n\x1b[31m\n.onnx'", "--input", "n\x1b[31m\n.onnx"),
    "an input too long": flags("cannot be read: File name too long", "--input", LONG),
    "a folder as input": flags("error AX541: input: there is no 'samples/*.onnx'", "--input", "samples"),
    "a pipe as input": Mistake(
        "pipe.onnx: error AX117: cannot be read: it is a pipe",
        pipe("pipe.onnx"),
        (*BUILD.split(), "--input", "pipe.onnx"),
    ),
    "a device as input": flags(
        "error AX117: cannot be read: it is a pipe, a socket or a device", "--input", "/dev/zero"
    ),
    "a link to itself": Mistake(
        "error AX541: input: 'loop.onnx' cannot be read: Too many levels of symbolic links",
        lambda root: (root / "loop.onnx").symlink_to("loop.onnx"),
        (*BUILD.split(), "--input", "loop.onnx"),
    ),
    "a link to nothing": Mistake(
        "error AX541: input: 'loose.onnx' cannot be read: the link leads to no file",
        lambda root: (root / "loose.onnx").symlink_to("none.onnx"),
        (*BUILD.split(), "--input", "loose.onnx"),
    ),
    "a configuration that is not": asked(
        "error AX520: cannot read none.json: No such file or directory",
        "pulsar2 build --config none.json --output_dir new",
    ),
    "a folder as configuration": asked(
        "error AX520: cannot read c.json: Is a directory",
        "pulsar2 build --config c.json --output_dir new",
        lambda root: (root / "c.json").mkdir(),
    ),
    "a pipe as configuration": asked(
        "error AX520: cannot read c.json: it is a pipe",
        "pulsar2 build --config c.json --output_dir new",
        pipe("c.json"),
    ),
    "a configuration of no format": asked(
        "error AX520: c.ini is no configuration file by its name",
        "pulsar2 build --config c.ini --output_dir new",
        written("c.ini", ""),
    ),
    "no samples for the analysis": flags(
        "error AX541: quant.input_sample_dir: there is no 'none'",
        "--quant.precision_analysis",
        "--quant.input_sample_dir",
        "none",
    ),
    "an empty folder for the analysis": Mistake(
        "--quant.input_sample_dir: error AX111: the folder 'empty' holds no file",
        lambda root: (root / "empty").mkdir(),
        (*BUILD.split(), "--quant.precision_analysis", "--quant.input_sample_dir", "empty"),
    ),
    "no samples for the check": flags(
        "error AX541: compiler.input_sample_dir: there is no 'none'",
        "--compiler.check",
        "1",
        "--compiler.input_sample_dir",
        "none",
    ),
}

RUN = "pulsar2 run --model good/compiled.axmodel --input_dir in --output_dir result"
RUNS = {
    "no model": asked("error AX570: --model is missing", "pulsar2 run --input_dir in --output_dir result"),
    "a model that is not": asked("cannot be read: No such file", RUN.replace("compiled", "none")),
    "a model cut off": asked(
        "error AX573: cut.axmodel is no model, or it is cut off",
        RUN.replace("good/compiled", "cut"),
        lambda root: written("cut.axmodel", (root / "good/compiled.axmodel").read_bytes()[:500])(root),
    ),
    "a model with one bit changed": asked(
        "error AX480: bent.axmodel is damaged: axbuild.digest does not agree",
        RUN.replace("good/compiled", "bent"),
        lambda root: written("bent.axmodel", bent((root / "good/compiled.axmodel").read_bytes()))(root),
    ),
    "a pipe as model": asked(
        "error AX570: the model pipe.axmodel cannot be read: it is a pipe",
        RUN.replace("good/compiled", "pipe"),
        pipe("pipe.axmodel"),
    ),
    "a device as model": asked("the model /dev/zero cannot be read", RUN.replace("good/compiled.axmodel", "/dev/zero")),
    "no file of an input": asked(
        "error AX571: there is no file in/x.bin for the input 'x', float32 [1, 3, 8, 8]",
        RUN,
        lambda root: (root / "in/x.bin").unlink(),
    ),
    "a file too short": asked(
        "error AX571: in/x.bin has 2 bytes, and input 'x' takes 768", RUN, written("in/x.bin", "12")
    ),
    "a pipe as file": asked(
        "error AX571: in/x.bin, the file of input 'x', is no file",
        RUN,
        both(lambda root: (root / "in/x.bin").unlink(), pipe("in/x.bin")),
    ),
    "a list that leads out": asked(
        "l.txt:1: error AX575: a line of a list is a folder below --input_dir, and '../x' is none",
        f"{RUN} --list l.txt",
        written("l.txt", "../x\n"),
    ),
    "a list with controls": asked(r"and '\x1b[31m' is none", f"{RUN} --list l.txt", written("l.txt", "\x1b[31m\n")),
    "a list that is no text": asked("the list l.txt is no text", f"{RUN} --list l.txt", written("l.txt", b"\xff\xfe")),
    "a pipe as list": asked("the list l.txt cannot be read: it is a pipe", f"{RUN} --list l.txt", pipe("l.txt")),
    "the second of a list": asked(
        "error AX571: there is no file in/1/x.bin",
        f"{RUN} --list l.txt",
        both(written("l.txt", "0\n1\n"), lambda root: written("in/0/x.bin", (root / "in/x.bin").read_bytes())(root)),
    ),
    "a group that is not": asked("error AX482: the model has no shape group 7; it has 0", f"{RUN} --group_index 7"),
    "more samples than the file": asked("in/x.bin has 768 bytes, and input 'x' takes 2,304", f"{RUN} --batch_size 3"),
    "a batch of a float model": asked(
        "error AX570: batch_size is 3, and an ONNX model runs what its inputs say, once",
        f"{RUN.replace('good/compiled.axmodel', 'net.onnx')} --batch_size 3",
    ),
    "another chip": asked("error AX570: target_hardware is AX620E", f"{RUN} --target_hardware AX620E"),
    "random inputs over given ones": asked(
        "error AX572: --random_input would overwrite in/x.bin", f"{RUN} --random_input"
    ),
    "output_dir of a run a file": asked("error AX572: net.onnx cannot be written", RUN.replace("result", "net.onnx")),
    "a field of a run that is not": asked(
        "r.json:2: error AX521: a configuration has no field 'modle'",
        "pulsar2 run --config r.json",
        written("r.json", '{\n"modle": "x"}'),
    ),
}


def bent(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def package(told: str, *, build: str = "", **settings: object) -> Mistake:
    """In the workspace: what follows in the BUILD file, or other settings of the configuration."""

    def make(root: Path) -> None:
        file = root / "workspace/p/BUILD.toml"
        file.write_text(file.read_text() + build)
        if settings:
            (root / "workspace/p/config.json").write_text(config(**settings))

    return Mistake(told, make, ("build", "//p:m"))


RUN_ON = "run good/compiled.axmodel --input {}"
WORKSPACE = {
    "an attribute that is not": package(
        "p/BUILD.toml:4: error AX104: pulsar2_build has no", build='npu_mod = "NPU1"\n'
    ),
    "a mode that is not": package("p/BUILD.toml:4: error AX106: npu_mode takes", build='npu_mode = "NPU9"\n'),
    "a model that is not in the package": package(
        "error AX109: there is no 'none.onnx' in //p", build='input = "none.onnx"\n'
    ),
    "the same targets twice": package(
        "error AX108: //p:m_float is declared already", build='[[float_model]]\nname = "m_float"\nsrc = "net.onnx"\n'
    ),
    "no data in the package": package("p/config.json:7: error AX109: there is no 'none' in //p", dataset="none"),
    "data outside the package": package(
        "p/config.json:7: error AX110: '../samples' leaves the package //p", dataset="../samples"
    ),
    "a batch twice in the package": package(
        "p/config.json:13: error AX106: static_batch_sizes names a batch twice", compiler={"static_batch_sizes": [2, 2]}
    ),
    "a pipe as the package's configuration": Mistake(
        "p/BUILD.toml:3: error AX109: 'config.json' is a pipe",
        both(lambda root: (root / "workspace/p/config.json").unlink(), pipe("workspace/p/config.json")),
        ("build", "//p:m"),
    ),
}

VERBS = {
    "inspect of nothing": asked("Missing argument 'FILE'", "inspect"),
    "inspect of a pipe": asked("error AX258: f.axmodel is a pipe", "inspect f.axmodel", pipe("f.axmodel")),
    "inspect of a device": asked("error AX258: /dev/zero is a pipe, a socket or a device", "inspect /dev/zero"),
    "run of nothing": asked("Missing argument 'MODEL'", "run"),
    "run of a name too long": asked("error AX260: there is no file 'nnn", f"run {LONG}"),
    "run on a name too long": asked("there is no such file or folder", f"run good/compiled.axmodel --input {LONG}"),
    "run on a pipe": asked("error AX482: there is no file or folder f.bin", RUN_ON.format("f.bin"), pipe("f.bin")),
    "run on bytes of another size": asked("error AX482: ", RUN_ON.format("short.bin"), written("short.bin", "12")),
    "import of nothing": asked("Missing argument 'CONFIG'", "import"),
    "import of what is not": asked("'none.json' does not exist", "import none.json"),
    "import of a pipe": asked("error AX520: cannot read c.json: it is a pipe", "import c.json", pipe("c.json")),
    "import of a wrong field": asked("c.json:2: error AX521", "import c.json", written("c.json", '{\n"inptu": 1}')),
    "import over a file": asked("error AX531: in is there already", "import config.json --output in"),
    "import into no folder": asked("error AX531: none/B cannot be written", "import config.json --output none/B"),
    "import by no name": asked("error AX531: 'a/b' is no name of a target", "import config.json --name a/b"),
    "import of what no target has": asked(
        "error AX530: quant.precision_analysis compares with the float model",
        "import config.json --output B",
        configured(model_type="QuantAxModel", quant={"precision_analysis": True}),
    ),
}
