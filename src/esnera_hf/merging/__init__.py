"""Sources and a mapping become one dataset: pseudo-labels, label levels, export."""
