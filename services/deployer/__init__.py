"""The deployer: what should run, and making it so."""
