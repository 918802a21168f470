"""What goes to the Hub: a merged dataset or its recipe, a tagger, and their cards."""
