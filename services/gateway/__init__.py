"""The only public service: identity, the API's front door, and every endpoint's data plane."""
