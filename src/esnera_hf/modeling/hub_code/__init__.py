"""The files that a saved tagger brings along, so that it works where this package is not installed.

They import nothing of the package but each other, by relative imports of
siblings: saved with a model they lie side by side in its repository.
"""
