"""Layers of packages are shared where the packages are the same files, and nowhere else."""

import pytest

from services.builder import plan
from services.builder.domain import BasePython

PLAN = plan.ImagePlan(
    format=plan.FORMAT,
    platform="linux/amd64",
    base="base",
    base_digest="sha256:0",
    libc="glibc 2.36",
    python=BasePython("/usr/bin/python3.11", "3.11.2"),
    lock="sha256:1",
    bento="sha256:2",
    models=(),
    env=(),
    labels=(),
)


@pytest.mark.parametrize(
    ("line", "installed"),
    [
        ("fox==1.0", "fox==1.0"),
        ("zope-fox==1.0", "zope.fox==1.0"),  # as old wheels write their names
        ("fox @ https://files.test/fox-1.0-py3-none-any.whl", "fox==1.0"),
    ],
)
def test_another_file_of_the_same_version_is_another_layer(line: str, installed: str) -> None:
    locks = [plan.locked(f"{line} --hash=sha256:{each * 64}\n") for each in "01"]
    one, other = (PLAN.group_key(lock, [installed]) for lock in locks)
    assert one == PLAN.group_key(locks[0], [installed])
    assert one != other
