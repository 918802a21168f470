"""What was merged into what and why: typed facts, their tables, and a page."""
