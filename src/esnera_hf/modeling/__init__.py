"""The only room that imports torch: encoders, CRF, training, prediction.

Importing it registers the tagger with the Auto classes, so that saved taggers
load without remote code, as models and, with
``pipeline_class=CrfTaggerPipeline``, in ``transformers.pipeline``. Where this
package is not installed, ``trust_remote_code=True`` does the same.
"""

from transformers import AutoConfig, AutoModelForTokenClassification

from esnera_hf.modeling.hub_code.configuration_crf_tagger import CrfTaggerConfig
from esnera_hf.modeling.hub_code.modeling_crf_tagger import CrfTagger

AutoConfig.register(CrfTaggerConfig.model_type, CrfTaggerConfig)
AutoModelForTokenClassification.register(CrfTaggerConfig, CrfTagger)
# From here on saving a tagger saves its code with it.
CrfTaggerConfig.register_for_auto_class()
CrfTagger.register_for_auto_class("AutoModelForTokenClassification")
