"""`axmodel`: fuse compiled subgraphs into one container, compiling them first where they are not given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from axbuild.dataclass import replace
from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Entry, Tree
from axbuild.workspace.attributes import shown
from axbuild.workspace.rule import Bool, Int, Ints, Label, Labels, Settled, Stage, attributes_of, rule

from ._compilation import NAMES, Compilation
from ._driving import compiled_by_pulsar2
from ._nouns import AxModel, Compilable, Pulsar2AxModel, Pulsar2Quant, QuantAxModel, QuantModel, Subgraphs
from ._sub_configs import SubConfigs, check_parts, listed_batches, profiled, settled
from .npu_subgraph import LARGEST_BATCH, compile_subgraphs, folder, profile
from .shapes import check_groups, extra_shapes

FUSE = Stage("axbuild.toolchain.axmodel.fuse:fuse", outputs=("compiled.axmodel",))

_WITH_QUANT = (
    "quant",
    "static_batch_sizes",
    "max_dynamic_batch_size",
    "src_extra_shapes",
    "sub_configs",
    *NAMES,
)


@rule
class axmodel(Compilation, SubConfigs):
    """A compiled model: partition the quantised model, compile its subgraphs for each batch, fuse them."""

    example = "axmodel"
    gives = AxModel

    quant = Label(
        "The quantised model; or name `subgraphs`.", provides=(QuantModel, QuantAxModel, Pulsar2Quant), example=":quant"
    )
    subgraphs = Labels(
        "Subgraphs compiled by targets of their own, one for each batch and shape.", provides=Subgraphs, example=[":b4"]
    )
    static_batch_sizes = Ints(
        "Batches to compile; batch 1 alone where nothing is given.",
        low=1,
        high=LARGEST_BATCH,
        vendor="compiler.static_batch_sizes",
        example=[1, 2, 4],
    )
    max_dynamic_batch_size = Int(
        "Batches double from 1 up to this one, for as long as a sample then takes fewer estimated cycles; 0 is off.",
        low=0,
        high=LARGEST_BATCH,
        default=0,
        vendor="compiler.max_dynamic_batch_size",
    )
    enable_data_soft_compression = Bool(
        "Compress parameters and programs in the file by zstd: it is smaller, opens slower, and answers the same.",
        vendor="compiler.enable_data_soft_compression",
    )
    src_extra_shapes = extra_shapes()

    def actions(self, t: Settled, plan: Plan) -> AxModel | Pulsar2AxModel:
        if isinstance(t.quant, Pulsar2Quant):
            return compiled_by_pulsar2(t, plan, t.quant, attributes_of(type(self)))
        columns = self._given(t) if t.subgraphs else self._compiled(t, plan)
        done, settings = columns[0], columns[0].settings
        chip = {"name": settings.target_hardware, "number": settings.chip_number, "npu_mode": settings.npu_mode}
        params = {
            "chip": chip,
            "shown_batch": max([t.max_dynamic_batch_size, *settings.apart.limits]),
            "compressed": t.enable_data_soft_compression,
            "options": settings.options,
            "sub_options": settings.apart.options,
        }
        if settings.apart.compressed:
            params["sub_compressed"] = settings.apart.compressed
        partitions, programs = [one.partition for one in columns], [one.programs for one in columns]
        fused = plan.run(FUSE, partition=partitions, programs=programs, params=params)
        plan.output("compiled.axmodel", fused)
        plan.output("quant/quant_axmodel.onnx", done.quant.model)
        plan.output("quant/quant_axmodel.json", done.quant.records)
        if isinstance(done.quant, QuantModel):
            plan.output("frontend/", done.quant.source.model)
        asked = profiled(t)
        for group, one in enumerate(columns):
            plan.output(f"{folder(group)}/", one.programs)
            plan.output(f"{folder(group)}/partition.json", Entry(one.partition, "partition.json"))
            if asked:
                profile(t, plan, one, asked if t.sub_configs else [], group)
        made = AxModel(fused.only, columns)
        check_parts(t, plan, made)
        return made

    def _compiled(self, t: Settled, plan: Plan) -> tuple[Subgraphs, ...]:
        """Of each shape group, the model's own first."""
        if t.quant is None:
            raise t.error("", "this axmodel names neither 'quant' nor 'subgraphs'", code="AX107")
        listed = listed_batches(t, "static_batch_sizes", t.static_batch_sizes)
        if t.max_dynamic_batch_size and t.static_batch_sizes:
            sentence = "static_batch_sizes and max_dynamic_batch_size exclude each other"
            raise t.error("max_dynamic_batch_size", sentence, hint="leave one of them out", code="AX115")
        batches = () if t.max_dynamic_batch_size else listed or (1,)
        groups = check_groups(t)
        apart = settled(t, batches, t.max_dynamic_batch_size)
        return tuple(
            compile_subgraphs(t, plan, t.quant, batches, t.max_dynamic_batch_size, apart, shapes=shapes, group=group)
            for group, shapes in enumerate(({}, *groups))
        )

    def _given(self, t: Settled) -> tuple[Subgraphs, ...]:
        for name in _WITH_QUANT:
            if t.given(name):
                sentence = f"{name} has no effect beside 'subgraphs'"
                raise t.error(name, sentence, hint="the subgraphs' own targets say it")
        labels = t.plain("subgraphs")
        first: Subgraphs = t.subgraphs[0]
        groups: dict[str, dict[int, Subgraphs]] = {shown({}): {}}
        for label, other in zip(labels, t.subgraphs, strict=True):
            _check_fit(t, labels[0], first, label, other)
            (batch,) = other.settings.batches
            by_batch = groups.setdefault(shown(other.settings.shapes), {})
            if batch in by_batch:
                raise t.error("subgraphs", f"two of the subgraphs are of batch {batch}", code="AX115")
            by_batch[batch] = other
        own = groups[shown({})].keys()
        if not own:
            raise t.error("subgraphs", "no subgraphs are of the model's own shape", code="AX115")
        for shapes, by_batch in groups.items():
            if by_batch.keys() != own:
                sentence = (
                    f"the subgraphs of shapes {shapes} are of batch {_list(by_batch)}, and the others {_list(own)}"
                )
                raise t.error("subgraphs", sentence, code="AX115")
        return tuple(_column(by_batch) for by_batch in groups.values())


def _list(batches: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(batches)))


def _column(by_batch: dict[int, Subgraphs]) -> Subgraphs:
    """The subgraphs of one shape group, as one."""
    batches = tuple(sorted(by_batch))
    first = by_batch[batches[0]]
    if len(batches) == 1:
        return first
    programs = Tree(tuple(("", by_batch[batch].programs) for batch in batches))
    return Subgraphs(first.quant, first.partition, programs, replace(first.settings, batches=batches))


def _check_fit(t: Settled, label: str, first: Subgraphs, other_label: str, other: Subgraphs) -> None:
    if _quantised(other.quant) != _quantised(first.quant):
        raise t.error("subgraphs", f"{label} and {other_label} are of different quantised models", code="AX115")
    mine, theirs = _comparable(first), _comparable(other)
    for key, value in mine.items():
        if value != theirs[key]:
            sentence = f"{key} is {shown(value)} in {label} and {shown(theirs[key])} in {other_label}"
            raise t.error("subgraphs", sentence, code="AX115")


def _quantised(quant: Compilable) -> object:
    """What is the same of one quantisation at every shape."""
    return quant.made or quant if isinstance(quant, QuantModel) else quant


def _comparable(subgraphs: Subgraphs) -> dict[str, Any]:
    settings = subgraphs.settings
    own = {
        name: getattr(settings, name)
        for name in ("target_hardware", "npu_mode", "input_processors", "output_processors")
    }
    return own | settings.options
