"""From what a bento says to what is built: read, choose, name. Pure."""

from services.builder.plan.asked import DEFAULT_COMMANDS, is_default, read
from services.builder.plan.digest import FORMAT, digest
from services.builder.plan.environment import (
    environment_digest,
    image_digest,
    require_environment,
)
from services.builder.plan.given import (
    INDEX_BEGINNINGS,
    beside,
    for_uv,
    marks,
    of_manifest,
    places,
    require_for_commands,
    require_for_uv,
)
from services.builder.plan.image import (
    BENTO,
    ENTRYPOINT,
    HOME,
    UID,
    USER,
    VENV,
    ImagePlan,
    PushedImage,
    config_of,
    index_of,
    manifest_of,
    plan_image,
)
from services.builder.plan.lock import Locked, locked
from services.builder.plan.naming import DEFAULT_TEMPLATE, Naming, check_template, name_of
from services.builder.plan.offers import has_bash, libc_of, pythons_of
from services.builder.plan.requirements import (
    is_pinned,
    need_building,
    requirements_of,
)
from services.builder.plan.strategy import choose
from services.builder.plan.target import platform_of_uv
from services.builder.plan.trusted import require_harmless

__all__ = [
    "BENTO",
    "DEFAULT_COMMANDS",
    "DEFAULT_TEMPLATE",
    "ENTRYPOINT",
    "FORMAT",
    "HOME",
    "INDEX_BEGINNINGS",
    "UID",
    "USER",
    "VENV",
    "ImagePlan",
    "Locked",
    "Naming",
    "PushedImage",
    "beside",
    "check_template",
    "choose",
    "config_of",
    "digest",
    "environment_digest",
    "for_uv",
    "has_bash",
    "image_digest",
    "index_of",
    "is_default",
    "is_pinned",
    "libc_of",
    "locked",
    "manifest_of",
    "marks",
    "name_of",
    "need_building",
    "of_manifest",
    "places",
    "plan_image",
    "platform_of_uv",
    "pythons_of",
    "read",
    "require_environment",
    "require_for_commands",
    "require_for_uv",
    "require_harmless",
    "requirements_of",
]
