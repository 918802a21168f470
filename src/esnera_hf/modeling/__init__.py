"""The only room that imports torch: encoder, CRF, training, prediction.

Importing it registers the tagger with the Auto classes, so that saved taggers
load without remote code. Their entities, in the form of transformers'
pipelines, come from :func:`load_pipeline`; ``transformers.pipeline`` gives the
same with ``pipeline_class=CrfTaggerPipeline`` or, where this package is not
installed, with ``trust_remote_code=True``.
"""

from __future__ import annotations

from transformers import AutoConfig, AutoModelForTokenClassification

from esnera_hf.modeling.arguments import TaggerTrainingArguments
from esnera_hf.modeling.encoders import MentionEncoder
from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger
from esnera_hf.modeling.hub_code.pipeline_crf_tagger import CrfTaggerPipeline
from esnera_hf.modeling.joint import JointTagger
from esnera_hf.modeling.tagger import Tagger, load_pipeline
from esnera_hf.modeling.training import fit_tagger

AutoConfig.register("esnera-crf-tagger", CrfTaggerConfig)
AutoModelForTokenClassification.register(CrfTaggerConfig, CrfTagger)
# From here on saving a tagger saves its code with it.
CrfTaggerConfig.register_for_auto_class()
CrfTagger.register_for_auto_class("AutoModelForTokenClassification")

__all__ = [
    "CrfTagger",
    "CrfTaggerConfig",
    "CrfTaggerPipeline",
    "JointTagger",
    "MentionEncoder",
    "Tagger",
    "TaggerTrainingArguments",
    "fit_tagger",
    "load_pipeline",
]
