"""Versions are carried to another installation: in a file, and straight out of a running one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.platform import LocalPlatform, running


@pytest.fixture
def other(tmp_path: Path) -> Iterator[LocalPlatform]:
    with running(tmp_path / "other") as started:
        yield started


def test_a_bento_moves_in_a_file_and_out_of_a_running_installation(
    platform: LocalPlatform, pushed: str, other: LocalPlatform, tmp_path: Path
) -> None:
    name, _, version = pushed.partition(":")
    platform.yokocho("bentos", "alias", name, "carried", version)
    file = tmp_path / "export.yokocho"
    platform.yokocho("export", pushed, "--output", str(file))
    again = platform.yokocho("export", pushed, "--output", str(file), check=False)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    assert "is right" in other.yokocho("import", str(file), "--verify").stdout

    first = json.loads(other.yokocho("import", str(file), "--json").stdout)
    assert f"bento {pushed}" in first["pushed"]
    assert first["failed"] == {}
    second = json.loads(other.yokocho("import", str(file), "--json").stdout)
    assert (second["pushed"], f"bento {pushed}" in second["skipped"]) == ([], True)
    shown = [
        json.loads(each.yokocho("bentos", "show", f"{name}@carried", "--json").stdout)["digest"]
        for each in (platform, other)
    ]
    assert shown[0] == shown[1]

    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    damaged = other.yokocho("import", str(file), "--verify", check=False)
    assert (damaged.returncode, "Traceback" in damaged.stderr) == (1, False)

    other.yokocho("bentos", "unalias", name, "carried")
    other.yokocho("bentos", "delete", pushed)
    told = other.yokocho(
        "import", "--yatai", platform.url, "--token", platform.token, "--match", name, "--json"
    )
    assert f"bento {pushed}" in json.loads(told.stdout)["pushed"]
    platform.yokocho("bentos", "unalias", name, "carried")
    refused = other.yokocho(
        "import", "--yatai", platform.url, "--token", "wrong", "--json", check=False
    )
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
