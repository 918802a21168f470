"""Three sources of products: one annotates the kinds of them, one only products, one some of the kinds."""

from __future__ import annotations

from builders import make_source, row
from esnera_hf.alignment.mapping import LabelMapping
from esnera_hf.alignment.mapping_yaml import MappedLabel
from esnera_hf.tagging import LabelRef

PARENTS = {"book": "PRODUCT", "film": "PRODUCT"}
#: PRODUCT holds book and film; PER stands apart.
MAPPING = LabelMapping(
    ("PER", "PRODUCT", "book", "film"),
    (
        MappedLabel(LabelRef("fine", "Book"), "book", mentions=2),
        MappedLabel(LabelRef("fine", "Movie"), "film", mentions=1),
        MappedLabel(LabelRef("coarse", "product"), "PRODUCT", mentions=2),
        MappedLabel(LabelRef("coarse", "person"), "PER", mentions=1),
        MappedLabel(LabelRef("books", "title"), "book", mentions=1),
        MappedLabel(LabelRef("books", "odd"), None),
    ),
    parents=PARENTS,
)
TAGS = ["O", "B-PER", "I-PER", "B-PRODUCT", "I-PRODUCT", "B-book", "I-book", "B-film", "I-film"]
COARSE_TAGS = ["O", "B-PER", "I-PER", "B-PRODUCT", "I-PRODUCT"]

SOURCES = [
    make_source(
        "fine",
        {
            "train": [row("dune/B-Book two/I-Book alien/B-Movie dune/B-Book"), row("nothing here")],
            "validation": [row("alien/B-Movie")],
            "test": [row("dune/B-Book alien/B-Movie x")],
        },
    ),
    make_source(
        "coarse",
        {
            "train": [row("anna/B-person reads dune/B-product two/I-product"), row("a car/B-product")],
            "validation": [row("alien/B-product")],
            "test": [row("dune/B-product alien/B-product x")],
        },
    ),
    make_source("books", {"train": [row("dune/B-title y/B-odd alien car")], "test": [row("dune/B-title")]}),
]
