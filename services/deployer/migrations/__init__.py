"""The deployer's schema."""
