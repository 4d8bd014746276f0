"""Both public edges: the API's front door and the endpoints."""
