"""How requests name platforms."""

from typing import Annotated

from pydantic import Field

PlatformName = Annotated[str, Field(pattern="^linux/(amd64|arm64)$")]
