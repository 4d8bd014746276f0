"""A build, what it is made of, and what comes of it. Pure."""

from services.builder.domain.attesting import Contents, Due
from services.builder.domain.bento import Asked, Described, Variable
from services.builder.domain.build import (
    ENDED,
    AwaitedBy,
    BuildView,
    Ended,
    Image,
    Interpreter,
    Kind,
    Model,
    Order,
    Origin,
    Planned,
    Report,
    Sought,
    Status,
    Step,
    Target,
)
from services.builder.domain.given import NOTHING, Given, Marks
from services.builder.domain.image import BaseImage, BasePython, Layer, Made, PinnedBase
from services.builder.domain.preferences import Preferences
from services.builder.domain.pruned import Pruned
from services.builder.domain.strategy import Choice, Strategy, Verifies, Wish

__all__ = [
    "ENDED",
    "NOTHING",
    "Asked",
    "AwaitedBy",
    "BaseImage",
    "BasePython",
    "BuildView",
    "Choice",
    "Contents",
    "Described",
    "Due",
    "Ended",
    "Given",
    "Image",
    "Interpreter",
    "Kind",
    "Layer",
    "Made",
    "Marks",
    "Model",
    "Order",
    "Origin",
    "PinnedBase",
    "Planned",
    "Preferences",
    "Pruned",
    "Report",
    "Sought",
    "Status",
    "Step",
    "Strategy",
    "Target",
    "Variable",
    "Verifies",
    "Wish",
]
