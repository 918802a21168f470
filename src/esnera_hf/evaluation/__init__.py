"""Scores through a mapping, the merged tagger, and the objective of the search."""
