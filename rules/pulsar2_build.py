"""`pulsar2_build`: the targets that a configuration of the vendor's toolchain stands for, and the verb that writes them
out."""

from __future__ import annotations

import warnings

from axbuild.workspace.attributes import shown
from axbuild.workspace.rule import BuildTable, Choice, Settled, String, TextFile, rule
from axbuild.workspace.verb import Argument, Verb

from ._chips import CHIPS, MODES
from ._driving import AXBUILD, PULSAR2, toolchain_attribute

OVER = ("input", "target_hardware", "npu_mode")
"""attributes that stand over the configuration's fields of the same names"""

IMPORT = Verb(
    "import",
    "Write out the BUILD.toml that a Pulsar2 configuration stands for.",
    "./_importing.py:import_config",
    (
        Argument("config", "The configuration: .json, .yaml, .toml or .prototxt.", "file"),
        Argument("--input", "The model, in place of the configuration's own.", default=""),
        Argument("--name", "Name of the axmodel's target; that of the configuration's folder without it.", default=""),
        Argument("--output", "The file to write, which must not be there yet; - prints it.", default="-"),
    ),
)


@rule
class pulsar2_build:
    """All targets that a Pulsar2 configuration stands for: the axmodel `name`, and `name` with _float, _calib, _quant,
    _check and _precision behind it for what it is made of and what judges it.

    `axbuild import` writes them out, for who wants to change one.
    """

    example = "net"
    code = ("axbuild.toolchain.pulsar2",)

    config = TextFile(
        "The configuration: relaxed .json, .yaml, .toml or .prototxt. Paths in it begin at the package.",
        required=True,
        example="config.json",
    )
    input = String("The model, in place of the configuration's own.", vendor="input", example="mobilenetv2.onnx")
    target_hardware = Choice(
        "The chip to compile for, in place of the configuration's.",
        tuple(CHIPS),
        vendor="target_hardware",
        example="AX650",
    )
    npu_mode = Choice(
        "How much of the chip's NPU is used, in place of the configuration's.",
        MODES,
        vendor="npu_mode",
        example="NPU1",
    )

    toolchain = toolchain_attribute()

    def expand(self, t: Settled, text: str) -> list[BuildTable]:
        from axbuild.toolchain.pulsar2.expand import expand
        from axbuild.toolchain.pulsar2.read import parse_config

        over = {key: t.plain(key) for key in OVER if t.plain(key)}
        name = t.label.rpartition(":")[2]
        found = expand(parse_config(text, t.config), over, name)
        for warning in found.warnings:
            warnings.warn(warning, stacklevel=1)
        if t.toolchain != PULSAR2:
            return found.tables
        if not any(rule_name == "quant_model" for rule_name, _ in found.tables):
            sentence = "a real Pulsar2 does not take the quantised models of axbuild, and model_type is QuantAxModel"
            hint = f"toolchain = {shown(AXBUILD)}, or the float model with model_type ONNX"
            raise t.error("toolchain", sentence, hint=hint, code="AX583")
        return [_driven(one, name) for one in found.tables]


def _driven(table: BuildTable, name: str) -> BuildTable:
    """The table where a real Pulsar2 quantises, which does so for a chip: that of the axmodel `name`."""
    rule_name, attributes = table
    own = {"quant_model": {"toolchain": PULSAR2}, "precision_analysis": {"quant": f":{name}"}}
    return rule_name, attributes | own.get(rule_name, {})
