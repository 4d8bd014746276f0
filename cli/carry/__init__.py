"""Versions carried from one place to another: into a file, out of it, or out of a Yatai."""

from cli.carry.export import export
from cli.carry.importing import Outcome, bring
from cli.carry.sources import FileSource, YataiSource

__all__ = ["FileSource", "Outcome", "YataiSource", "bring", "export"]
