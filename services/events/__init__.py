"""events: every fact into an append-only, hash-chained log that can be queried and followed."""
