"""Strict entity F1 under a label mapping, as an ``evaluate`` module: ``pip install esnera-hf`` holds the metric."""

from esnera_hf.evaluation.evaluate_metric import StrictNer


class StrictNerUnderMapping(StrictNer):
    """The metric of the package under the name of this Space."""
