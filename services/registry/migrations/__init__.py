"""The schema of the registry, in order."""
