"""The five services. None imports another; they meet in events and signed HTTP calls."""
