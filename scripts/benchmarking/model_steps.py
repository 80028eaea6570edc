"""The form of a text that a run's model reads, for systems that are called without our code."""

from translator.runs.run import Run
from translator.text.model_text import ModelText
from translator.text.normalization import Normalization
from translator.text.pipeline import Pipeline


def load_model_text(run: Run) -> ModelText:
    """Load the conversion that a run was trained with."""
    manifest = run.read_manifest()
    return ModelText.load(run.lexicon, manifest.src_lang, manifest.tgt_lang)


def model_steps(model_text: ModelText) -> Pipeline:
    """Return the steps that convert a sentence, and its translation back; they split nothing."""
    return Pipeline([Normalization(), model_text.steps])
