"""`.npy` files that hold one pickled dict {input name: array}: a sample of several inputs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axbuild.toolchain.data.arrays import BadArrayError, any_header, finite, refuse_misfit
from axbuild.toolchain.data.pickled import read_arrays
from axbuild.toolchain.data.sampled import SampledInput
from axbuild.toolchain.graph import Array


def decode_object(
    content: bytes, name: str, wanted: Sequence[SampledInput], others: Sequence[str] = ()
) -> dict[str, Array]:
    """Each wanted input's array, as `decode_array` gives it; others: keys that may stand in the file as well.

    Raises BadArrayError, and PickleRefused for whatever else than such a dict the file holds.
    """
    shape, _, dtype, data = any_header(content, name)
    if not dtype.hasobject:
        raise BadArrayError(
            f"'{name}' holds an array, {dtype} {list(shape)}, and a NumpyObject sample is a dict {{input name: array}}",
            hint='plain arrays are of format = "Numpy"',
        )
    found = read_arrays(data, name)
    _refuse_other_keys(name, found, [item.name for item in wanted], others)
    return {item.name: _fitting(found[item.name], name, item) for item in wanted}


def _refuse_other_keys(name: str, found: Mapping[str, Array], wanted: Sequence[str], others: Sequence[str]) -> None:
    takes = f"the model's inputs are {', '.join(dict.fromkeys([*wanted, *others]))}"
    for key in wanted:
        if key not in found:
            raise BadArrayError(f"'{name}' has no array for the input '{key}'; it has {', '.join(found) or 'none'}")
    for key in found:
        if key not in wanted and key not in others:
            raise BadArrayError(f"'{name}' has an array for '{key}', which is no input: {takes}")


def _fitting(array: Array, name: str, target: SampledInput) -> Array:
    told = f"{name}[{target.name}]"
    if array.shape == () and target.shape == (1,):  # as the front end makes of a scalar input
        array = array.reshape(1)
    refuse_misfit(told, array.shape, array.dtype, target.shape, target.dtype, target.name)
    return finite(array, told, target.dtype)
