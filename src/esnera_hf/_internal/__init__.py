"""Helpers below the steps of the method: Arrow, cache, checks, console, files, processes, text, YAML."""
