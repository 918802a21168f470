"""What was merged into what and why, as data and as text; pages and files have modules of their own."""

from __future__ import annotations

from esnera_hf.report.report import Report, TaggerScores

__all__ = ["Report", "TaggerScores"]
