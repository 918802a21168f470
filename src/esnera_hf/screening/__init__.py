"""The screen: where mentions of one source occur in the text of another, and how it annotates them.

Needs no model and takes seconds: a preview, a sanity check, and the baseline
that the similarities must beat.

A *form* is the token sequence of a mention. Wherever a form of source A occurs
in the text of source B, that occurrence is one of four things:

=============  ===============================================================
annotated      B annotates it with these very boundaries
nested         B annotates a longer mention around it, or a longer form of A
               begins or ends around it: a flat annotation has no room for the
               inner one, so this says nothing of what B thinks of it
crossed        B annotates something there with boundaries that differ otherwise
free           B annotates nothing there
=============  ===============================================================

Nested occurrences are counted and shown, and left out of every share: ``York``
inside an annotated ``New York Times`` is no evidence that B does not annotate
``York``. Crossed and free ones are evidence against.
"""

from esnera_hf.screening.overlap import (
    CONFLICT,
    ENOUGH_FORMS,
    Combination,
    LabelOverlap,
    NameConflict,
    Screening,
)
from esnera_hf.screening.screen import screen

__all__ = [
    "CONFLICT",
    "ENOUGH_FORMS",
    "Combination",
    "LabelOverlap",
    "NameConflict",
    "Screening",
    "screen",
]
