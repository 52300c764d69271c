"""A rule of this workspace: EfficientNet-Lite0 as PyTorch once saved its weights becomes a float ONNX model."""

from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Int, Source, Stage, rule

CONVERT = Stage("./efficientnet_stages.py:convert", outputs=("model.onnx",))


@rule
class efficientnet_lite0:
    """Convert the weights of EfficientNet-Lite0, a .pth file, to ONNX with a static NCHW input of batch 1."""

    gives = Files

    src = Source("The .pth file.", one_file=True, required=True)
    side = Int("Height and width of the input.", low=32, default=224)

    def actions(self, t, plan):
        converted = plan.run(CONVERT, weights=t.src, params=t.only("side"))
        plan.output("model.onnx", converted.only)
        return Files(converted.only)
