"""All use cases together, for those who offer them."""

from dataclasses import dataclass

from services.builder.service.attesting import Attesting
from services.builder.service.bases import Bases
from services.builder.service.builds import Builds
from services.builder.service.following import Following
from services.builder.service.housekeeping import Housekeeping
from services.builder.service.images import Images
from services.builder.service.making import Making
from services.builder.service.pushes import Pushes
from services.builder.service.verifying import Verifying
from services.builder.upstream import Registry


@dataclass(frozen=True, slots=True)
class Workshop:
    builds: Builds
    following: Following
    images: Images
    bases: Bases
    making: Making
    registry: Registry
    pushes: Pushes
    housekeeping: Housekeeping
    attesting: Attesting
    verifying: Verifying
