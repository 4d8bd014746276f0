"""A build, what it is made of, and what comes of it. Pure."""

from services.builder.domain.bento import Asked, Described, Variable
from services.builder.domain.build import (
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
    Step,
    Target,
    Which,
)
from services.builder.domain.image import BaseImage, BasePython, Layer, Made
from services.builder.domain.preferences import Preferences
from services.builder.domain.pruned import Pruned
from services.builder.domain.strategy import Choice, Strategy, Wish

__all__ = [
    "Asked",
    "AwaitedBy",
    "BaseImage",
    "BasePython",
    "BuildView",
    "Choice",
    "Described",
    "Ended",
    "Image",
    "Interpreter",
    "Kind",
    "Layer",
    "Made",
    "Model",
    "Order",
    "Origin",
    "Planned",
    "Preferences",
    "Pruned",
    "Report",
    "Step",
    "Strategy",
    "Target",
    "Variable",
    "Which",
    "Wish",
]
