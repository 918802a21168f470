"""A tagger for every source, kept in the cache, with its predictions and mention vectors."""
