"""`calibration_set`: where representative data is and how it becomes a model's input; it has no actions."""

from __future__ import annotations

from axbuild.graph.plan import Plan
from axbuild.workspace.address import pinned
from axbuild.workspace.artifact import Artifact, Remote, as_tree
from axbuild.workspace.rule import Choice, Floats, Int, Settled, Source, String, rule

from ._nouns import Samples

_CHANNELS = {"BGR": 3, "RGB": 3, "GRAY": 1}


@rule
class calibration_set:
    """Representative data of a model's input: pictures, or arrays of exactly the input's shape and type."""

    example = "calib"
    gives = Samples

    src = Source(
        "An archive (tar, tar.gz, zip), a folder, a glob, a list of paths, a label of plain files, or the https://, "
        "http:// or s3:// address of an archive or a file.",
        required=True,
        remote=True,
        vendor="quant.input_configs.calibration_dataset",
        example="imagenet-32-images.tar",
    )
    sha256 = String(
        "SHA-256 of what an address gives, which may stand behind it instead (#sha256=...): it is fetched once, and "
        "nothing else is ever taken for it."
    )
    format = Choice(
        "Image: pictures, resized bilinearly to the model's input. What the others hold is taken as it is: Numpy, .npy "
        "arrays; Binary, .bin files with the bytes of one; NumpyObject, .npy files with a dict {input name: array} of "
        "all inputs.",
        ("Image", "Numpy", "Binary", "NumpyObject"),
        default="Image",
        vendor="quant.input_configs.calibration_format",
    )
    size = Int(
        "How many samples are used, the first ones by name; -1 takes all.",
        low=-1,
        default=32,
        vendor="quant.input_configs.calibration_size",
    )
    mean = Floats(
        "Subtracted from each channel of a picture, in the order of tensor_format; one number serves all channels.",
        vendor="quant.input_configs.calibration_mean",
        example=[103.939, 116.779, 123.68],
    )
    std = Floats(
        "Divides each channel after the mean was subtracted; one number serves all channels.",
        vendor="quant.input_configs.calibration_std",
        example=[58.0],
    )
    tensor_format = Choice(
        "Order of the channels that the model was trained with.",
        ("BGR", "RGB", "GRAY"),
        default="BGR",
        vendor="input_processors.tensor_format",
    )
    tensor_layout = Choice(
        "Layout in which the model takes pictures.",
        ("NCHW", "NHWC"),
        default="NCHW",
        vendor="input_processors.tensor_layout",
    )

    def actions(self, t: Settled, plan: Plan) -> Samples:
        if t.size == 0:
            raise t.error("size", "size takes a number of samples, or -1 for all, got 0", code="AX106")
        if t.format != "Image":
            for name in ("mean", "std", "tensor_format", "tensor_layout"):
                if t.given(name):
                    hint = "arrays are taken as they are: normalise them before they are saved"
                    raise t.error(name, f'{name} has no effect with format "{t.format}"', hint=hint)
            return Samples(_source(t), t.format, t.size, "AutoColorSpace", (), ())
        mean, std = normalisation(t)
        return Samples(_source(t), t.format, t.size, t.tensor_format, mean, std, t.tensor_layout)


def _source(t: Settled) -> Artifact:
    if isinstance(t.src, Remote):
        return as_tree(pinned(t.src, t.sha256))
    if t.sha256:
        raise t.error("sha256", "sha256 has no effect: it pins an address, and src is a path")
    return as_tree(t.src)


def normalisation(t: Settled) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std), one number a channel; both empty where nothing is normalised."""
    channels = _CHANNELS[t.tensor_format]
    for name in ("mean", "std"):
        if len(getattr(t, name)) not in (0, 1, channels):
            count = "one number" if channels == 1 else f"one number, or {channels} for tensor_format {t.tensor_format}"
            raise t.error(name, f"{name} takes {count}, got {len(getattr(t, name))}", code="AX106")
    if any(value <= 0 for value in t.std):
        raise t.error("std", "std takes numbers above 0", code="AX106")
    mean, std = t.mean or (0.0,), t.std or (1.0,)
    if set(mean) == {0.0} and set(std) == {1.0}:
        return (), ()
    return tuple(mean) * (channels // len(mean)), tuple(std) * (channels // len(std))
