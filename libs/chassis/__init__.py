"""How any service runs: settings, identity, HTTP, events, databases, processes. No word of the domain."""
