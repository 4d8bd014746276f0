"""The `yokocho` command: one machine's platform, supervised, and what a person asks of it."""
