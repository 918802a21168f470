"""The strict entity metric as an ``evaluate`` metric, usable offline."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from esnera_hf.metrics import score_tags

_DESCRIPTION = """\
Entity-level precision, recall and F1 over IOB2 tags, strict (boundaries and label agree), by label with
support, computed by seqeval.
"""
_CITATION = """\
@misc{seqeval, title={seqeval: A Python framework for sequence labeling evaluation},
  url={https://github.com/chakki-works/seqeval}, author={Hiroki Nakayama}, year={2018}}
"""


class StrictNer(evaluate.Metric):  # type: ignore[misc]
    """``StrictNer().compute(predictions=[[tag, …], …], references=[[tag, …], …])``.

    Returns ``precision``, ``recall``, ``f1`` (micro), ``macro_f1``, ``support``
    and ``by_label`` with the same figures for every label.
    """

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.List(datasets.Value("string"))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description="predictions and references: IOB2 tags, a list a sentence",
            features=datasets.Features({"predictions": tags, "references": tags}),
        )

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        scores = score_tags(references, predictions).to_dict()
        return {**scores["micro"], "macro_f1": scores["macro_f1"], "by_label": scores["by_label"]}
