"""builder: what a deployment asks for, made into an immutable directory that can be started."""
