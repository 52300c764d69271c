"""A rule of this workspace: Keras classifiers saved as .h5 become float ONNX models, without TensorFlow."""

from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Bool, Int, Source, Stage, rule

CONVERT = Stage("./keras_stages.py:convert", outputs=("model.onnx",))


@rule
class keras_model:
    """Convert a Keras .h5 model (layers of the MobileNet family) to ONNX with a static NCHW input of batch 1."""

    gives = Files

    src = Source("The .h5 file.", one_file=True, required=True)
    logits = Bool("End at the logits, leaving out a softmax on the last layer.", default=True)
    side = Int("Height and width of the input; 0 takes those of the file.", default=0)

    def actions(self, t, plan):
        converted = plan.run(CONVERT, model=t.src, params=t.only("logits", "side"))
        plan.output("model.onnx", converted.only)
        return Files(converted.only)
