"""The builder's environment. Read once, in ``__main__``; passed from there by argument."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import ProducerSettings
from services.builder.containers import Limits
from services.builder.oci import Known
from services.builder.plan import DEFAULT_TEMPLATE, check_template


class RegistriesSettings(BaseModel):
    """Registries of images besides the platform's own."""

    docker_config: Path | None = Field(
        default=None, description="A `config.json` of docker's, with credentials for registries"
    )
    plain_http: tuple[str, ...] = Field(
        default=(), description="Hosts (JSON list) that are asked without TLS"
    )
    ca_file: Path | None = Field(
        default=None, description="Authorities (PEM) that are trusted besides the public ones"
    )
    allowed: tuple[str, ...] = Field(
        default=(),
        description="Hosts (JSON list) that bentos and people may name; without any, every one",
    )
    ecr_role: str | None = Field(
        default=None, description="Role (ARN) that is assumed at Amazon's registries"
    )

    def known(self, *, images_go_to: str | None) -> Known:
        own = (images_go_to.partition("/")[0],) if images_go_to and self.allowed else ()
        return Known(
            docker_config=self.docker_config,
            plain_http=self.plain_http,
            ca_file=self.ca_file,
            ecr_role=self.ecr_role,
            allowed=(*self.allowed, *own),
        )


class CommandsSettings(BaseModel):
    """Commands of bentos, which `buildah` runs where one needs them."""

    isolation: Literal["chroot", "oci", "rootless"] = Field(
        default="chroot", description="How buildah keeps them from each other"
    )
    network: Literal["host", "none"] = Field(
        default="host", description="Whether they may fetch anything: `none` cuts them off"
    )
    ca_bundle: Path | None = Field(
        default=None, description="Authorities (PEM) that they trust, mounted while they run"
    )
    cache: Literal["local", "registry"] = Field(
        default="local",
        description="Where layers are found again: in buildah's own storage; or also in the"
        " platform's registry, by builders that come and go. Not with the network `none`",
    )
    seconds: float = Field(default=3600, gt=0, description="How long all of one image may take")
    memory_bytes: int | None = Field(default=None, ge=2**26, description="How much they may have")
    cpus: float | None = Field(default=None, gt=0, description="How many processors")
    processes: int | None = Field(default=None, ge=64, description="How many processes")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.cache == "registry" and self.network == "none":
            raise ValueError("a cache in the registry cannot be reached with the network `none`")
        return self

    def limits(self) -> Limits:
        return Limits(self.seconds, self.memory_bytes, self.cpus, self.processes)


class Settings(ProducerSettings):
    """``YOKOCHO_BUILDER_POSTGRES__DSN``, ``YOKOCHO_BUILDER_ROOT`` and so on."""

    service: ClassVar[str] = "builder"
    model_config = SettingsConfigDict(env_prefix="YOKOCHO_BUILDER_")

    root: Path = Field(description="Folder for environments, images and logs of builds")
    marker: str | None = Field(
        default=None,
        min_length=1,
        description="What every process started here carries in its environment; "
        "without it, the root folder",
    )
    lanes: int = Field(default=2, ge=1, le=64, description="Builds that are made at the same time")
    lanes_per_org: int = Field(
        default=2, ge=1, le=64, description="How many of them one organisation may have"
    )
    timeout: timedelta = Field(
        default=timedelta(hours=1), gt=timedelta(0), description="How long an attempt may take"
    )
    build_on_push: bool = Field(
        default=False, description="For organisations that never said: an image of every bento"
    )
    keep_logs: timedelta = Field(
        default=timedelta(days=30), gt=timedelta(0), description="How long logs of builds are kept"
    )
    keep_unused: timedelta = Field(
        default=timedelta(days=90),
        gt=timedelta(0),
        description="How long is remembered what builds would find again, while none does",
    )
    cache_bytes: int | None = Field(
        default=None,
        ge=0,
        description="How much each cache may hold: uv's, those of packages that were built, base"
        " images as files, buildah's layers. One with more is emptied where no build is using it;"
        " without it, only what is of no use leaves uv's",
    )
    isolation: Literal["auto", "none", "namespace"] = Field(
        default="auto",
        description="Whether packages that are built from source see their own files only: "
        "`namespace` where that works (`auto`), or else no start (`namespace`), or not (`none`)",
    )
    index_url: str | None = Field(
        default=None, description="Package index to resolve from; without it, uv's own settings"
    )
    image_name: str = Field(
        default=DEFAULT_TEMPLATE,
        description="What images are called: of {repository}, {version} and {org}",
    )

    largest_base_image: int = Field(
        default=20 * 2**30, ge=1, description="Bytes of a file that a base image is imported from"
    )
    commands: CommandsSettings = CommandsSettings()
    registries: RegistriesSettings = RegistriesSettings()
    signing_key_file: Path | None = Field(
        default=None,
        description="Private key that images are signed with: cosign's, or PKCS#8 in PEM (ECDSA"
        " P-256, Ed25519); without it they are not signed",
    )
    verifying_keys_file: Path | None = Field(
        default=None,
        description="Public keys (PEM, one after the other) whose signatures are believed",
    )
    signing_key_password: SecretStr | None = Field(
        default=None, description="Goes with `signing_key_file`, where that is encrypted"
    )

    image_registry: str | None = Field(
        default=None,
        description="Where images go, as `ghcr.io/team`; without it the platform's own registry",
    )

    @property
    def private(self) -> list[Path]:
        """What no package's code may be shown."""
        files = (self.identity.key_file, self.signing_key_file, self.registries.docker_config)
        return [self.root, *(each for each in files if each is not None)]

    @field_validator("image_name")
    @classmethod
    def _named(cls, template: str) -> str:
        return check_template(template)
