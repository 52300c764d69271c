"""sub_configs: parts of a model, each compiled as a subgraph of its own.

A part is every operator on a way from its start tensors to its end tensors. It is closed: nothing but its start tensors
enters it, nothing but its end tensors leaves it, and nothing that leaves it comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from axbuild.errors import AxError
from axbuild.toolchain.near import did_you_mean
from axbuild.toolchain.npu.plan.flow import Flow, FlowNode
from axbuild.toolchain.quant.selectors import WHOLE


class SubConfigError(AxError):
    """AX413: sub_configs that name no part of the model which can be compiled by itself."""

    code = "AX413"


@dataclass(frozen=True)
class SubConfig:
    """Tensors of the quantised model, or of the float model where that has one form of them; "DEFAULT": the model's
    inputs, or its outputs."""

    start_tensor_names: tuple[str, ...]
    end_tensor_names: tuple[str, ...]


def parts_of(flow: Flow, sub_configs: Sequence[SubConfig]) -> tuple[frozenset[str], ...]:
    """The names of the steps that each sub_config takes; raises SubConfigError."""
    taken: dict[str, str] = {}
    parts = []
    for number, sub_config in enumerate(sub_configs):
        word = f"sub_configs[{number}]"
        part = _Asked(flow, sub_config, word).found()
        if twice := [step for step in flow.steps if step.name in part and step.name in taken]:
            raise SubConfigError(
                f"{word} and {taken[twice[0].name]} both take '{twice[0].word}'",
                hint="let the one end at the tensor that the other starts at",
            )
        taken |= dict.fromkeys(part, word)
        parts.append(part)
    _require_order(flow, parts)
    return tuple(parts)


def _require_order(flow: Flow, parts: Sequence[frozenset[str]]) -> None:
    """Raises SubConfigError where each of two parts would have to run before the other."""
    written = [[name for step in flow.steps if step.name in part for name in step.writes] for part in parts]
    behind = [{step.name for step in flow.behind(names)} for names in written]
    for first, second in combinations(range(len(parts)), 2):
        if parts[second] & behind[first] and parts[first] & behind[second]:
            raise SubConfigError(f"sub_configs[{first}] and sub_configs[{second}] wait for each other")


@dataclass(frozen=True)
class _Asked:
    flow: Flow
    sub_config: SubConfig
    word: str

    @cached_property
    def starts(self) -> dict[str, None]:
        return self._tensors(self.sub_config.start_tensor_names, self.flow.inputs)

    @cached_property
    def ends(self) -> dict[str, None]:
        return self._tensors(self.sub_config.end_tensor_names, self.flow.outputs)

    def found(self) -> frozenset[str]:
        behind = self.flow.behind(self.starts)
        part = [step for step in self.flow.before(self.ends, self.starts) if step in behind]
        if not part:
            raise self._error(
                f"no operator is between '{_words(self.starts)}' and '{_words(self.ends)}'",
                "start_tensor_names come before end_tensor_names",
            )
        self._require_npu(part)
        self._require_starts(part)
        self._require_ends(part)
        self._require_whole_sites(part)
        return frozenset(step.name for step in part)

    def _tensors(self, names: Sequence[str], whole: Sequence[str]) -> dict[str, None]:
        return dict.fromkeys(whole if tuple(names) == (WHOLE,) else [self._tensor(name) for name in names])

    def _tensor(self, name: str) -> str:
        forms = self.flow.forms(name)
        if len(forms) > 1:
            raise self._error(f"'{name}' has several forms in the quantised model", f"name one of {', '.join(forms)}")
        site = self.flow.site_around(forms[0]) if forms else self.flow.swallowed.get(name, "")
        if forms and not site:
            return forms[0]
        if site:
            raise self._inside(f"'{name}' lies inside", site)
        if writes := self.flow.writes_of(name):
            raise self._error(f"'{name}' is an operator and no tensor", f"it writes {_quoted(writes)}")
        raise self._error(f"the model has no tensor '{name}'", did_you_mean(name, self.flow.known))

    def _require_npu(self, part: Sequence[FlowNode]) -> None:
        for step in part:
            if step.on_cpu:
                sentence = f"'{step.word}' between its tensors runs on the CPU: {step.on_cpu}"
                around = self.flow.around(step.site) if step.site else (step.reads, step.writes)
                before, behind = (_quoted(names) for names in around)
                raise self._error(sentence, f"end it at {before} or start it at {behind}")

    def _require_starts(self, part: Sequence[FlowNode]) -> None:
        made = {name for step in part for name in step.writes}
        read = dict.fromkeys(name for step in part for name in step.reads if name not in made)
        if odd := [name for name in read if name not in self.starts]:
            raise self._error(f"'{odd[0]}' enters it too", f"add '{odd[0]}' to start_tensor_names, or start before it")
        if odd := [name for name in self.starts if name not in read]:
            raise self._error(f"nothing of it reads its start '{odd[0]}'", "leave it out of start_tensor_names")
        back = {name for step in self.flow.behind(made) for name in step.writes}
        if odd := [name for name in self.starts if name in back]:
            raise self._error(f"its start '{odd[0]}' comes from what leaves it", "take what lies between, too")

    def _require_ends(self, part: Sequence[FlowNode]) -> None:
        inside = {step.name for step in part}
        made = dict.fromkeys(name for step in part for name in step.writes)
        outside = {name for step in self.flow.steps if step.name not in inside for name in step.reads}
        leaving = [name for name in made if name in outside or name in self.flow.outputs]
        if odd := [name for name in leaving if name not in self.ends]:
            raise self._error(f"'{odd[0]}' leaves it too", f"add '{odd[0]}' to end_tensor_names, or end behind it")
        if odd := [name for name in self.ends if name not in made]:
            raise self._error(f"no way leads from its start to '{odd[0]}'", "leave it out of end_tensor_names")
        if odd := [name for name in self.ends if name not in leaving]:
            raise self._error(f"its end '{odd[0]}' is read inside it alone", "leave it out of end_tensor_names")

    def _require_whole_sites(self, part: Sequence[FlowNode]) -> None:
        inside = {step.name for step in part}
        sites = {step.site for step in part if step.site}
        if odd := [step for step in self.flow.steps if step.site in sites and step.name not in inside]:
            raise self._inside("it takes a part of", odd[0].site)

    def _inside(self, what: str, site: str) -> SubConfigError:
        before, behind = self.flow.around(site)
        return self._error(
            f"{what} the fused node '{site}', which is compiled as one",
            f"the nearest tensors are {_quoted(before)} before it and {_quoted(behind)} behind it",
        )

    def _error(self, what: str, hint: str) -> SubConfigError:
        return SubConfigError(f"{self.word}: {what}", hint=hint)


def _words(names: Iterable[str]) -> str:
    return ", ".join(names)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
