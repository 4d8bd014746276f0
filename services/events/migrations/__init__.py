"""The log's schema, in order."""
