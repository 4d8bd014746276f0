"""Versions carried: into a file, out of it, out of a Yatai, or out of a BentoML home."""

from cli.carry.export import export
from cli.carry.home import HomeSource
from cli.carry.importing import Outcome, bring
from cli.carry.sources import FileSource, Source, YataiSource

__all__ = ["FileSource", "HomeSource", "Outcome", "Source", "YataiSource", "bring", "export"]
