"""The gateway's use cases: first start, tokens, the route table."""
