"""From what a bento says to what is built: read, choose, name. Pure."""

from services.builder.plan.asked import DEFAULT_COMMANDS, is_default, read
from services.builder.plan.digest import FORMAT, digest
from services.builder.plan.environment import (
    environment_digest,
    image_digest,
    require_environment,
)
from services.builder.plan.image import ImagePlan, config_of, manifest_of, plan_image
from services.builder.plan.naming import name_of
from services.builder.plan.requirements import (
    Locked,
    is_pinned,
    locked,
    need_building,
    requirements_of,
)
from services.builder.plan.strategy import choose
from services.builder.plan.target import platform_of_uv

__all__ = [
    "DEFAULT_COMMANDS",
    "FORMAT",
    "ImagePlan",
    "Locked",
    "choose",
    "config_of",
    "digest",
    "environment_digest",
    "image_digest",
    "is_default",
    "is_pinned",
    "locked",
    "manifest_of",
    "name_of",
    "need_building",
    "plan_image",
    "platform_of_uv",
    "read",
    "require_environment",
    "requirements_of",
]
