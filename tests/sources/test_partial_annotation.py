"""Labels that the annotation of a source leaves open."""

from __future__ import annotations

import pytest

from esnera_hf.errors import ConfigurationError
from esnera_hf.sources.partial_annotation import AllowedLabels, annotation_identity, check_pseudo_label_noise


def test_labels_allowed_by_an_annotation() -> None:
    labels = ("PRODUCT", "book", "film", "PERSON", "KIND", "a", "b")
    flat = AllowedLabels.of(labels, {"PRODUCT": "PRODUCT", "PERSON": "PERSON"})
    annotated = {"PRODUCT": ("PRODUCT",), "PERSON": ("PERSON",)}
    assert flat == AllowedLabels(annotated, ("book", "film", "KIND", "a", "b"))
    projection = {"PRODUCT": "PRODUCT", "book": "PRODUCT", "film": "film", "a": "a", "b": "b"}
    tree = AllowedLabels.of(labels, projection, covered=(*projection, "KIND"))
    assert tree.entities == {"PRODUCT": ("PRODUCT", "book"), "film": ("film",), "a": ("a",), "b": ("b",)}
    assert tree.unannotated == ("PERSON",)
    assert tree.restricted({"book", "film", "b"}) == AllowedLabels({"film": ("film",), "b": ("b",)}, ())


def test_parts_that_are_not_annotated_either() -> None:
    labels = ("PRODUCT", "book", "film")
    allowed = AllowedLabels.of(labels, {"film": "film"}, parts={"PRODUCT": ("book", "film"), "book": ()})
    assert allowed.parts == {"PRODUCT": ("book",)}
    assert allowed.restricted({"PRODUCT", "film"}).parts == {"PRODUCT": ()}


def test_identity() -> None:
    allowed = {"a": AllowedLabels({"P": ("P",)}, ("W", "Q"), {"W": ("Q",)}), "b": AllowedLabels({}, ("W",))}
    assert annotation_identity((allowed, 0.1)) == {
        "pseudo_label_noise": 0.1,
        "allowed": {
            "a": {"entities": {"P": ("P",)}, "unannotated": ("W", "Q"), "parts": {"W": ("Q",)}},
            "b": {"entities": {}, "unannotated": ("W",)},
        },
    }


@pytest.mark.parametrize("noise", [1.1, -0.1, float("nan")])
def test_a_noise_out_of_range_is_refused(noise: float) -> None:
    with pytest.raises(ConfigurationError, match="pseudo_label_noise"):
        check_pseudo_label_noise(noise)
