"""Any NER corpus in, one canonical form out."""
