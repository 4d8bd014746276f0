"""The deployer's environment. Read once, in ``__main__``; passed from there by argument."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from libs.chassis.sealing import Sealer
from libs.chassis.settings import ProducerSettings


class Settings(ProducerSettings):
    """``YOKOCHO_DEPLOYER_POSTGRES__DSN``, ``YOKOCHO_DEPLOYER_ROOT`` and so on."""

    service: ClassVar[str] = "deployer"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_DEPLOYER_")

    secret_keys_file: Path | None = Field(
        default=None,
        description="File of the keys that secrets are sealed with, a line each; the first seals",
    )
    secret_keys: SecretStr | None = Field(
        default=None, description="The same keys in place of a file, separated by commas"
    )
    root: Path = Field(description="Folder for records, working folders and logs of processes")
    marker: str = Field(
        min_length=1, description="What every process started here carries in its environment"
    )
    public_url: str = Field(
        description="Where callers reach endpoints: scheme, host and port, no path"
    )
    isolation: Literal["auto", "none", "namespace", "image"] = Field(
        default="auto",
        description="Whether processes see their own files only: `namespace` where that works "
        "(`auto`), or else no start (`namespace`), or not (`none`); `image` runs container images, "
        "unpacked, and shows nothing of the machine's system either",
    )
    require_signatures: bool = Field(
        default=False,
        description="Run only images that one of the builder's keys signed; goes with `isolation` "
        "`image`",
    )
    first_port: int = Field(
        default=24000, ge=1024, le=65535, description="First port for processes"
    )
    last_port: int = Field(
        default=31999,
        ge=1024,
        le=65535,
        description="Last port for processes; those that the system hands out are left out",
    )
    start_seconds: float = Field(
        default=600.0, gt=0, description="How long a process may take to be ready"
    )
    stop_seconds: float = Field(
        default=60.0, ge=0, description="How long what a process does may take when it is stopped"
    )
    drain_seconds: float = Field(
        default=1.0,
        ge=0,
        description="How long after its traffic has moved an old revision is left alone",
    )
    probe_seconds: float = Field(
        default=5.0, gt=0, description="How often a process that is ready is asked if it lives"
    )

    @field_validator("require_signatures")
    @classmethod
    def _of_images(cls, wanted: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  # pydantic calls it
        isolation = info.data.get("isolation", "image")  # one that is wrong is told as such
        if wanted and isolation != "image":
            raise ValueError(
                "only images are signed, and none run here: it goes with "
                f"YOKOCHO_DEPLOYER_ISOLATION=image, which is {isolation}"
            )
        return wanted

    @property
    def image_kind(self) -> Literal["environment", "oci"]:
        """What revisions run from."""
        return "oci" if self.isolation == "image" else "environment"

    @property
    def private(self) -> list[Path]:
        """What no process may be shown."""
        files = (self.identity.key_file, self.secret_keys_file)
        return [self.root, *(each for each in files if each is not None)]

    @property
    def sealer(self) -> Sealer:
        given = self.secret_keys.get_secret_value() if self.secret_keys else ""
        keys = [each.strip() for each in given.split(",") if each.strip()]
        return Sealer(file=None if keys else self.secret_keys_file, keys=keys)

    @property
    def start(self) -> timedelta:
        return timedelta(seconds=self.start_seconds)

    @property
    def stop(self) -> timedelta:
        return timedelta(seconds=self.stop_seconds)

    @property
    def drain(self) -> timedelta:
        return timedelta(seconds=self.drain_seconds)

    @property
    def probe(self) -> timedelta:
        return timedelta(seconds=self.probe_seconds)
