"""The check that every asynchronous test of this repository stands under."""

import subprocess
import sys
from pathlib import Path

import pytest

LEAKING = """
import asyncio

async def test_it():
    global kept
    kept = asyncio.create_task(asyncio.sleep(60))
"""
TIDY = """
import asyncio

async def test_it():
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
"""


@pytest.mark.parametrize(("text", "passes"), [(LEAKING, False), (TIDY, True)], ids=["leak", "tidy"])
def test_a_task_that_outlives_its_test_fails_it(tmp_path: Path, text: str, *, passes: bool) -> None:
    written = tmp_path / "test_written.py"
    written.write_text(text)
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", str(written), "-q"),
            *("-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.returncode == 0) == passes, ran.stdout
    assert passes or "tasks outlive the test" in ran.stdout
