"""A build, what it is made of, and what comes of it. Pure."""

from services.builder.domain.bento import Asked, Described, Variable
from services.builder.domain.build import (
    AwaitedBy,
    BuildView,
    Image,
    Interpreter,
    Kind,
    Model,
    Order,
    Origin,
    Planned,
    Step,
    Target,
    Which,
)
from services.builder.domain.image import BaseImage, BasePython, Layer, Made
from services.builder.domain.preferences import Preferences
from services.builder.domain.strategy import Choice, Strategy, Wish

__all__ = [
    "Asked",
    "AwaitedBy",
    "BaseImage",
    "BasePython",
    "BuildView",
    "Choice",
    "Described",
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
    "Step",
    "Strategy",
    "Target",
    "Variable",
    "Which",
    "Wish",
]
