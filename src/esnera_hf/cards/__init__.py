"""Cards of published datasets and taggers: what a stranger reads before using them."""

from esnera_hf.cards.card import Card
from esnera_hf.cards.dataset import dataset_card
from esnera_hf.cards.facts import DatasetCardFacts, ModelCardFacts
from esnera_hf.cards.model import model_card

__all__ = ["Card", "DatasetCardFacts", "ModelCardFacts", "dataset_card", "model_card"]
