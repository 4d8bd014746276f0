"""A home in one file, and a home from one: databases, blobs, keys; never what can be made anew.

Left out are the streams (each service fills its own again from its outbox) and environments
(bound to the path they were made at; a deployment whose image is gone asks for it again).
"""

from cli.backup.restore import Restored, restore
from cli.backup.save import Saved, save

__all__ = ["Restored", "Saved", "restore", "save"]
