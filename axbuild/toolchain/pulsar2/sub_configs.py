"""Checks of a compiled model, and the parts of it that have compiler options of their own."""

from __future__ import annotations

from dataclasses import replace

from axbuild.toolchain.pulsar2.mapped import MappedFields, PlacedTable
from axbuild.toolchain.pulsar2.merge import inherited
from axbuild.toolchain.pulsar2.schema import CompilerConfig, CompilerFields

_LEVELS = ("close", "equal", "cosine")
_LIMITS = {"rtol": (1, "check_rtol"), "atol": (1, "check_atol"), "cosine": (3, "check_cosine_simularity")}
"""attribute -> the value of `check` that it belongs to, and the vendor's field"""
_LIMIT_FIELDS = tuple(field for _, field in _LIMITS.values())
CHECKING = ("check", "check_mode", *_LIMIT_FIELDS, "check_tensor_black_list", "input_sample_dir")
_OF_PARTS = (
    "static_batch_sizes",
    "max_dynamic_batch_size",
    "disable_ir_fix",
    "enable_data_soft_compression",
    "npu_perf",
    "ddr_bw_limit",
    "enable_slice_mode",
    "enable_tile_mode",
)


def checks(fields: MappedFields, level: str, mode: str, lead: str) -> PlacedTable:
    """What a comparison is told. level, mode: the attributes' names; lead: what those of the others begin with."""
    said = {name: fields.take(name) for name in CHECKING}
    number = said["check"] or 0
    fields_of = {level: "check"}
    if number:
        fields_of |= {mode: "check_mode"}
        fields_of |= {f"{lead}{name}": field for name, (of, field) in _LIMITS.items() if of == number}
        fields_of |= {f"{lead}tensor_black_list": "check_tensor_black_list", "input_sample_dir": "input_sample_dir"}
    found = {level: _LEVELS[number - 1] if level == "level" else number}
    found |= {name: said[field] for name, field in fields_of.items() if name != level and said[field] is not None}
    return PlacedTable(found, fields.places(**{name: fields_of[name] for name in found}))


def group_patterns(compiler: CompilerFields, path: str) -> list[PlacedTable]:
    found = []
    for number, pattern in enumerate(compiler.compiler_group_patterns or ()):
        entry = MappedFields(pattern, f"{path}[{number}]").copy("type", "match_mode")
        nodes = [MappedFields(node).copy("types", "inputs", "outputs", "properties") for node in pattern.nodes or ()]
        entry.put("nodes", nodes)
        found.append(entry)
    return found


def sub_configs(compiler: CompilerConfig) -> list[PlacedTable]:
    """Parts; one that says nothing of its check is left to the model's own, one that says something of it takes what it
    leaves out from there."""
    found = []
    for number, message in enumerate(compiler.sub_configs or ()):
        path = f"compiler.sub_configs[{number}]"
        fields = MappedFields(message, path)
        entry = fields.copy("start_tensor_names", "end_tensor_names", *_OF_PARTS)
        if any(fields.take(name) is not None for name in CHECKING):
            of_model = replace(compiler, input_sample_dir=None)  # which is for the whole model's inputs
            entry |= checks(MappedFields(inherited(message, of_model), path), "check", "check_mode", "check_")
        fields.take("compiler_group_patterns")
        if patterns := group_patterns(message, f"{path}.compiler_group_patterns"):
            entry.put("compiler_group_patterns", patterns)
        fields.finish({})
        found.append(entry)
    return found
