"""Deployments, revisions and what they may ask for. No I/O, no time, no randomness."""
