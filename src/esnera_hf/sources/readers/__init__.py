"""A reader per format of NER corpora."""
