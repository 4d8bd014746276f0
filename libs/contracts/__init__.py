"""What services promise each other: events, identity, resource models. pydantic only."""
