"""What was merged into what and why: as data, as text, as a picture, and as one HTML file."""

from esnera_hf.report.build import Account, build_report
from esnera_hf.report.files import read_report, write_report
from esnera_hf.report.html import render_report
from esnera_hf.report.report import Report

__all__ = [
    "Account",
    "Report",
    "build_report",
    "read_report",
    "render_report",
    "write_report",
]
