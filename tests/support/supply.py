"""An image, and everything that is known of how it was made."""

from typing import Final

from packaging.requirements import Requirement

from libs.contracts.mediatypes import OCI_MANIFEST
from services.builder.supply.debian import packages_of
from services.builder.supply.manifests import Artifact, Target
from services.builder.supply.provenance import Inputs, Lock
from services.builder.supply.sbom import Contents
from services.builder.supply.values import Base, Bento, Model, Subject, pins_of
from services.builder.supply.verdict import Found
from services.builder.supply.wheels import wheel_of

IMAGE: Final = "sha256:" + "1" * 64
OTHER: Final = "sha256:" + "2" * 64
SUBJECT: Final = Subject(name="registry.test:5000/acme/iris", digest=IMAGE)
TARGET: Final = Target(OCI_MANIFEST, IMAGE, 1234)
BENTO: Final = Bento(repository="iris", version="v1", digest="sha256:" + "b" * 64)
BASE: Final = Base(reference="docker.io/library/python:3.11-slim", digest="sha256:" + "c" * 64)
MODELS: Final = (
    Model(repository="iris", version="m1", digest="sha256:" + "d" * 64),
    Model(repository="embedder", version="m2", digest="sha256:" + "e" * 64),
)
H1, H2, H3 = ("sha256:" + each * 64 for each in "345")
LOCK: Final = f"""# written by uv
alpha==1.0 \\
    --hash={H1} \\
    --hash={H2}
Beta_Lib==2.0 ; python_full_version >= '3.9' \\
    --hash={H3}
colorama==0.4.6 ; sys_platform == 'win32' --hash={H1}
"""
ALPHA: Final = b"""Metadata-Version: 2.4
Name: Alpha
Version: 1.0
Summary: The first
License-Expression: MIT OR Apache-2.0
Project-URL: Documentation, https://docs.example.com
Project-URL: Homepage, https://example.com/alpha
Requires-Dist: beta-lib>=1 ; python_version >= "3.8"
Requires-Dist: gamma ; extra == "more"
Requires-Dist: colorama ; sys_platform == "win32"

# Alpha

Requires-Dist: nothing of what stands here
"""
BETA: Final = b"""Metadata-Version: 2.1
Name: beta.lib
Version: 2.0
License: BSD
Home-page: https://example.com/beta
"""
GAMMA: Final = b"""Metadata-Version: 2.1
Name: gamma
Version: 3.0
License: UNKNOWN
Classifier: License :: OSI Approved :: MIT License
Classifier: License :: OSI Approved :: Apache Software License
Classifier: Topic :: Software Development
"""
DPKG: Final = """Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc (2.36-9)
Version: 2.36-9+deb12u4
Description: GNU C Library
 more of it

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.134
"""


def contents() -> Contents:
    return Contents(
        image=SUBJECT,
        bento=BENTO,
        platform="linux/amd64",
        python="3.11.7",
        base=BASE,
        debian=packages_of(DPKG),
        models=MODELS,
        pins=pins_of(LOCK),
        wheels=[wheel_of(each) for each in (ALPHA, BETA, GAMMA)],
        asked=[Requirement("alpha[more]")],
    )


def inputs() -> Inputs:
    return Inputs(
        image=SUBJECT,
        strategy="assemble",
        platforms=("linux/amd64", "linux/arm64"),
        bento=BENTO,
        options={"compress": "zstd", "level": 3, "cache": True},
        secrets=("PIP_TOKEN", "GIT_TOKEN"),
        models=MODELS,
        base=BASE,
        locks=(Lock(digest="sha256:" + "f" * 64),),
        pins=pins_of(LOCK),
        python="3.11.7",
        planner="1",
        plan="sha256:" + "9" * 64,
        builder="https://yokocho.test/builder",
        version="0.1.0",
    )


def found(artifact: Artifact) -> Found:
    """As whoever fetched it from a registry has it."""
    return Found(artifact.manifest, {each.digest: each.data for each in artifact.blobs})
