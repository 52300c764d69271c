"""A quantised model by its grids: a block is the nodes that read one grid, weights among them.

Every weight is multiplied with one activation, so it is in one block, and every grid that is searched is one block's.
Blocks read float tensors and change nothing of each other: all can be searched at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.quant.heads import integer_op
from axbuild.toolchain.quant.scheme import Form, Scheme, SiteScheme
from axbuild.toolchain.tune.blocks import Site, TuningBlock, block_of
from axbuild.toolchain.tune.rebake import OwnGrid, fixes


def grid_blocks(scheme: Scheme, sites: Sequence[Site], results: Iterable[str]) -> list[TuningBlock]:
    """In the order of the first weight behind each grid. results: outputs of the model, whose grids stay; so do those
    of 16 bits, and those that an operator's arithmetic fixes."""
    kept = {scheme.owners.get(name) for name in results}
    kept |= {scheme.owners.get(name) for place in sites if fixes(place) for name in place[1].writes}
    searched = dict.fromkeys(weighted_grid(scheme.owners, site) for _, site in sites if site.weight is not None)
    chosen = [own for own in searched if own is not None and own[0] not in kept and not own[1].type.wide]
    return [_block([place for place in sites if _computes_with(scheme, place, own)]) for own in chosen]


def weighted_grid(owners: Mapping[str, str], site: SiteScheme) -> OwnGrid | None:
    """What a weight of the site is multiplied with; None where that is no grid of a tensor's own."""
    found = [(owners[name], edge) for name, edge in site.reads.items() if isinstance(edge, Grid) and name in owners]
    return found[0] if len(found) == 1 else None


def searched_owners(scheme: Scheme, block: TuningBlock) -> dict[str, str]:
    """The tensors of a block that are on its grid, each with that grid's owner."""
    own = block_grid(scheme.owners, [site for _, site in block.sites])
    return {name: scheme.owners[name] for name in block.reads if scheme.owners.get(name) == own[0]}


def block_grid(owners: Mapping[str, str], sites: Iterable[SiteScheme]) -> OwnGrid:
    return next(own for site in sites if site.weight is not None and (own := weighted_grid(owners, site)) is not None)


def _computes_with(scheme: Scheme, place: Site, own: OwnGrid) -> bool:
    """Whether a fused node reads the grid, and does more than move its codes."""
    fused, site = place
    read = any((scheme.owners.get(name), edge) == own for name, edge in site.reads.items())
    return site.form is Form.INTEGER and read and not integer_op(fused).only_moves(fused.node)


def _block(sites: Sequence[Site]) -> TuningBlock:
    return block_of(sites, [value.name or "" for fused, _ in sites for value in fused.outputs if value.name])
