"""Words to encoder windows and back, in the package's own terms: entities, and errors that it raises."""

from __future__ import annotations

from collections.abc import Sequence

from esnera_hf.errors import EncoderError
from esnera_hf.modeling.hub_code.windows import Window, WindowTokenizer, join_spans, read_spans
from esnera_hf.tagging import OUTSIDE, Entity, tags_from_entities


class WordTokenizer(WindowTokenizer):
    """A :class:`WindowTokenizer` that raises :class:`EncoderError`."""

    error = EncoderError


def chain_tags(window: Window, entities: Sequence[Entity]) -> list[str]:
    """Write the entities of a sentence as IOB2 tags of a window's words."""
    projected = []
    for entity in entities:
        inside = [i for i, word in enumerate(window.words) if entity.start <= word < entity.end]
        if inside:
            projected.append(Entity(inside[0], inside[-1] + 1, entity.label))
    return tags_from_entities(len(window.words), projected) if projected else [OUTSIDE] * len(window.words)


def read_entities(window: Window, tags: Sequence[str], scores: Sequence[float] | None = None) -> list[Entity]:
    """Read the entities off a window's tags, as spans of the sentence's words.

    Args:
        window: the window.
        tags: an IOB2 tag for each of its words.
        scores: the probability of each tag; an entity's score is the smallest
            of its words'.
    """
    return [Entity(span.start, span.end, span.label, span.score) for span in read_spans(window, tags, scores)]


def join_windows(windows: Sequence[Window], entities: Sequence[list[Entity]]) -> list[Entity]:
    """Put the entities of one sentence's windows together."""
    return [Entity(span.start, span.end, span.label, span.score) for span in join_spans(windows, entities)]
