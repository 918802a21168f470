"""A light head or a tagger for every source, kept in the cache, with predictions and mention vectors."""
