"""The only room that imports torch: encoder, CRF, training, prediction.

Importing it registers the tagger with the Auto classes, so that saved taggers
load without remote code.
"""

from transformers import AutoConfig, AutoModelForTokenClassification

from esnera_hf.modeling.arguments import TaggerTrainingArguments
from esnera_hf.modeling.configuration import CrfTaggerConfig
from esnera_hf.modeling.encoder import MentionEncoder
from esnera_hf.modeling.model import CrfTagger
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.modeling.training import TrainingResult, train_tagger

AutoConfig.register("esnera-crf-tagger", CrfTaggerConfig)
AutoModelForTokenClassification.register(CrfTaggerConfig, CrfTagger)

__all__ = [
    "CrfTagger",
    "CrfTaggerConfig",
    "MentionEncoder",
    "Tagger",
    "TaggerTrainingArguments",
    "TrainingResult",
    "train_tagger",
]
