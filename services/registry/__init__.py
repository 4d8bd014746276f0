"""registry: models and bentos, every byte of them accounted for."""
