"""What a request means and what may travel with it: pure functions, no I/O."""
