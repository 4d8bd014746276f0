"""Use cases: builds from request to end, the strategies that make images, and who keeps them."""

from services.builder.service.assembling import Assembling
from services.builder.service.attempt import Attempt
from services.builder.service.attesting import Attesting
from services.builder.service.bases import Bases
from services.builder.service.builds import Builds
from services.builder.service.containers import Containers, ContainerStrategy, Prepared, Task
from services.builder.service.dockerfile import Dockerfiles
from services.builder.service.environments import Environments
from services.builder.service.finished import Finished
from services.builder.service.following import Following, Live, Piece
from services.builder.service.giving import Giving
from services.builder.service.housekeeping import Cache, Housekeeping, Keep
from services.builder.service.images import Images
from services.builder.service.job import Job
from services.builder.service.layering import Layering
from services.builder.service.looking import Looking
from services.builder.service.making import Maker, Making
from services.builder.service.prebuilt import Prebuilt
from services.builder.service.progress import Progress
from services.builder.service.pushes import Pushes
from services.builder.service.pushing import Destination
from services.builder.service.resolving import Resolving
from services.builder.service.sharing import SharedLayers
from services.builder.service.tx import SERVICE, Tx
from services.builder.service.unpacking import Unpacking
from services.builder.service.verifying import Judged, Verifying
from services.builder.service.workshop import Workshop

__all__ = [
    "SERVICE",
    "Assembling",
    "Attempt",
    "Attesting",
    "Bases",
    "Builds",
    "Cache",
    "ContainerStrategy",
    "Containers",
    "Destination",
    "Dockerfiles",
    "Environments",
    "Finished",
    "Following",
    "Giving",
    "Housekeeping",
    "Images",
    "Job",
    "Judged",
    "Keep",
    "Layering",
    "Live",
    "Looking",
    "Maker",
    "Making",
    "Piece",
    "Prebuilt",
    "Prepared",
    "Progress",
    "Pushes",
    "Resolving",
    "SharedLayers",
    "Task",
    "Tx",
    "Unpacking",
    "Verifying",
    "Workshop",
]
