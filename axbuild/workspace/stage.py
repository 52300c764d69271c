"""How a rule names the code and the results of an action, without importing either."""

from __future__ import annotations

from axbuild.dataclass import dataclass, field

EXPANSION = "expansion.json"


@dataclass(frozen=True)
class NamedCode:
    """Code that a stage loads by name: of a table of modules, only the rows that one of its inputs names are its code.

    table: package-relative JSON file, one object: name -> "package.module:attribute".
    role, file: the input, a tree, and the file in it that names the rows: a JSON object with a member a name. Names
    that the table lacks are passed over; a tree without the file may need every row.
    """

    table: str
    role: str
    file: str


@dataclass(frozen=True)
class Stage:
    """A pure function of files, declared by a rule file and imported by workers only.

    ref: "axbuild.toolchain.quant.merge:merge", or "./keras_stages.py:convert" beside a workspace's rule file.
    outputs: file names that appear in the stage's `out` folder; a name ending in "/" is a tree (a folder).
    float: the bytes depend on the float platform, which is then part of the key.
    expands: the stage also writes `expansion.json`; its children are actions found while building.
    hands_on: roles that its children read and it does not: they are in neither its folder nor its key.
    data: package-relative data files the code reads ("axbuild/toolchain/x/table.toml"); part of its code.
    named: the code it loads by name.
    resources: counted needs beside one cpu, such as {"memory_gb": 4}.
    intermediate: the outputs are large and cheap to make; a full cache lets them go first, and they are made again only
        where somebody reads them.
    device: it computes where its action says, and takes the name ("cpu", "cuda:3") as its argument `device`.
    bounds: the name of what bounds its time and memory: "optimize" is `optimize_seconds` and `optimize_memory_gb`.
    external: the tool outside axbuild that it runs, as it is called under [toolchain]: it may start processes and takes
        how the tool is called here as its argument `call`; what the tool is stands in its key; and nobody promises that
        it gives the same bytes twice.
    """

    ref: str
    outputs: tuple[str, ...] = ()
    float: bool = False
    expands: bool = False
    hands_on: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    named: NamedCode | None = None
    resources: dict[str, int] = field(default_factory=dict, hash=False)
    intermediate: bool = False
    device: bool = False
    bounds: str = ""
    external: str = ""

    @property
    def writes(self) -> tuple[str, ...]:
        """All that must stand in `out` when it has run."""
        return (*self.outputs, EXPANSION) if self.expands else self.outputs

    @property
    def module(self) -> str:
        return self.ref.partition(":")[0]

    @property
    def function(self) -> str:
        return self.ref.partition(":")[2]
