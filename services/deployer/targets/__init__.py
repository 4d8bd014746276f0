"""Where revisions run. Each module but the first is one part of the ``local`` target."""

from services.deployer.targets.launch import Folders
from services.deployer.targets.local import LocalTarget, Policy
from services.deployer.targets.ports import Ports
from services.deployer.targets.probes import Probes, open_probes
from services.deployer.targets.target import Glance, Launch, Target, Watch

__all__ = [
    "Folders",
    "Glance",
    "Launch",
    "LocalTarget",
    "Policy",
    "Ports",
    "Probes",
    "Target",
    "Watch",
    "open_probes",
]
