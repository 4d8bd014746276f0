"""How any service runs: settings, identity, HTTP, events, databases. No word of the domain."""
