"""The servers that come with the platform: PostgreSQL and NATS."""
