"""Where revisions run. Each module but the first is one part of the ``local`` target."""

from services.deployer.targets.launch import Folders
from services.deployer.targets.limits import Enforcement, enforcement
from services.deployer.targets.local import LocalTarget
from services.deployer.targets.ports import Ports
from services.deployer.targets.probes import Probes, open_probes
from services.deployer.targets.target import Glance, Launch, Target, Watch
from services.deployer.targets.watched import Policy

__all__ = [
    "Enforcement",
    "Folders",
    "Glance",
    "Launch",
    "LocalTarget",
    "Policy",
    "Ports",
    "Probes",
    "Target",
    "Watch",
    "enforcement",
    "open_probes",
]
