"""What comes out of a Dockerfile, and what never does."""

import base64
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services.builder.containers import Limits
from services.builder.errors import BuildFailedError
from tests.support.buildah import Bench, started

TOKEN = "hunter2-token-value"


async def test_an_image_has_what_its_dockerfile_says(bench: Bench, tmp_path: Path) -> None:
    recipe = bench.recipe(
        'COPY --chown=1034:1034 app.py /app/\nRUN echo built > /result\nUSER 1034\nCMD ["/x"]',
        files={"app.py": "print(1)"},
        labels={"a.b/c": "x y\n$HOME `id`"},
    )
    (recipe.context / "app.py").chmod(0o600)
    image = await bench.build(recipe)
    image.unpack(tmp_path / "rootfs")
    assert (tmp_path / "rootfs" / "result").read_text() == "built\n"
    assert (tmp_path / "rootfs" / "app" / "app.py").read_text() == "print(1)"
    assert image.config["config"]["User"] == "1034"
    assert image.config["config"]["Labels"] == {"a.b/c": "x y\n$HOME `id`"}
    assert "PIP_CONFIG_FILE" not in str(image.config["config"]["Env"])


async def test_layers_of_the_base_are_not_compressed_anew(bench: Bench, small_layout: Path) -> None:
    image = await bench.build(bench.recipe("RUN true"))
    first = image.manifest["layers"][0]["digest"]
    assert (small_layout / "blobs" / first.replace(":", "/")).exists()


async def test_two_builds_of_the_same_are_the_same_bytes(
    tmp_path: Path, small_layout: Path
) -> None:
    commands = "COPY a /a\nARG WORD\nRUN echo $WORD > /b; mkdir /c; touch /c/z /c/y"
    digests = set()
    for umask, number in ((0o22, 1), (0o77, 2)):
        before = os.umask(umask)
        try:
            async with started(tmp_path / f"root-{number}") as buildah:
                other = Bench(buildah, tmp_path / f"work-{number}", small_layout)
                other.folder.mkdir()
                recipe = other.recipe(commands, files={"a": "x"}, build_args={"WORD": "w"})
                (recipe.context / "a").chmod(0o644)
                digests.add((await other.build(recipe)).digest)
        finally:
            os.umask(before)
    assert len(digests) == 1


async def test_a_secret_is_in_no_layer_no_history_and_no_log(bench: Bench, storage: Path) -> None:
    recipe = bench.recipe(
        "RUN --mount=type=secret,id=token cat /run/secrets/token; echo; "
        "base64 /run/secrets/token; wc -c < /run/secrets/token > /size",
        secrets={"token": TOKEN, "other": "unused-secret"},
    )
    image = await bench.build(recipe)
    encoded = base64.b64encode(TOKEN.encode())[:-2]
    assert bench.said.count("***") >= 2
    assert TOKEN not in bench.said
    assert encoded.decode() not in bench.said
    everything = b"\n".join(image.everything())
    assert str(len(TOKEN)).encode() in everything  # it was read
    assert not [each for each in (TOKEN.encode(), encoded, b"unused-secret") if each in everything]
    assert _holding(storage, TOKEN) == []


def _holding(folder: Path, text: str) -> list[str]:
    argv = ["grep", "--recursive", "--files-with-matches", text, str(folder)]
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split()


async def test_a_failing_command_says_why_and_leaves_no_secret(bench: Bench, storage: Path) -> None:
    recipe = bench.recipe(
        "RUN --mount=type=secret,id=token cat /run/secrets/token; echo so it is >&2; exit 3",
        secrets={"token": TOKEN},
    )
    with pytest.raises(BuildFailedError, match="so it is") as failed:
        await bench.build(recipe)
    assert failed.value.code == "image-build-failed"
    assert TOKEN not in failed.value.reason
    assert _holding(storage, TOKEN) == []


async def test_a_command_is_nobody_of_this_machine(bench: Bench, base_layout: Path) -> None:
    bench.base = base_layout
    recipe = bench.recipe(
        "RUN cat /proc/self/uid_map\n"
        "RUN ls /proc | grep -c '^[0-9]'; ls -L /proc/1/root; cat /etc/shadow | wc -l; true\n"
        "RUN python3 -c 'import os; os.chroot(\"/\")' || echo no chroot\n"
        "RUN mount -t tmpfs none /mnt || echo no mount\n"
        "RUN kill -9 1; echo alive"
    )
    await bench.build(recipe)
    lines = [line.split() for line in bench.lines]
    mapped = next(words for words in lines if len(words) == 3 and words[::2] == ["0", "65536"])
    assert int(mapped[1]) not in {0, *range(1000, 60_000)}
    assert "no chroot" in bench.lines
    assert "no mount" in bench.lines
    assert (
        "storage" not in bench.lines
    )  # where the builder has its files, seen by its first process


async def test_without_a_network_no_command_has_one(
    tmp_path: Path, small_layout: Path, storage: Path
) -> None:
    async with started(storage, network="none") as buildah:
        bench = Bench(buildah, tmp_path, small_layout)
        await bench.build(bench.recipe("RUN tail -n +3 /proc/net/dev | cut -d: -f1 | sort -u"))
    shown = [line.strip() for line in bench.lines if not line.startswith(("STEP", "COMMIT", "-->"))]
    assert "eth0" not in shown
    assert "lo" in shown


async def test_commands_find_the_machines_index_and_whom_it_trusts(
    tmp_path: Path, small_layout: Path, storage: Path
) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "PIP_INDEX_URL": "https://somebody:knows@index.example/simple",
        "UV_INDEX": "own=https://other.example/simple",
        "SECRET_OF_THE_SERVICE": "never-told",
    }
    bundle = tmp_path / "ca.crt"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    async with started(storage, environ=environ, ca_bundle=bundle) as buildah:
        bench = Bench(buildah, tmp_path, small_layout)
        image = await bench.build(
            bench.recipe("RUN cat $PIP_CONFIG_FILE; cat $UV_CONFIG_FILE; cat $SSL_CERT_FILE; env")
        )
    assert "index-url = https://somebody:knows@index.example/simple" in bench.said
    assert 'extra-index-url = ["https://other.example/simple"]' in bench.said
    assert "BEGIN CERTIFICATE" in bench.said
    assert "never-told" not in bench.said
    everything = b"\n".join(image.everything())
    assert b"somebody:knows" not in everything
    assert b"BEGIN CERTIFICATE-----\n\n" not in everything


async def test_values_are_never_a_line_of_a_dockerfile_or_of_a_shell(
    bench: Bench, tmp_path: Path
) -> None:
    evil = '$(touch /evil)";touch /evil\nRUN touch /evil'
    recipe = bench.recipe(
        'ARG WORD\nRUN printf %s "$WORD" > /word', build_args={"WORD": evil}, labels={"l": evil}
    )
    image = await bench.build(recipe)
    image.unpack(tmp_path / "rootfs")
    assert (tmp_path / "rootfs" / "word").read_text() == evil
    assert not (tmp_path / "rootfs" / "evil").exists()


@pytest.mark.parametrize(
    "given",
    [
        {"labels": {"a=b\nRUN id": "x"}},
        {"secrets": {"a,src=/etc/shadow": "x"}},
        {"build_args": {"A B": "x"}},
        {"build_args": {"A": "x\0"}},
        {"base": "127.0.0.1/x:latest"},
        {"platform": "linux/amd64 --x"},
    ],
)
async def test_names_that_are_none_are_refused(bench: Bench, given: dict[str, Any]) -> None:
    with pytest.raises(BuildFailedError) as refused:
        bench.recipe("RUN true", **given)
    assert refused.value.code == "dockerfile-refused"


async def test_caches_of_commands_are_of_one_build(bench: Bench) -> None:
    for number in (1, 2):
        recipe = bench.recipe(
            f"RUN --mount=type=cache,target=/cache ls /cache; touch /cache/of-{number}"
        )
        await bench.build(recipe)
    assert "of-1" not in bench.lines


@pytest.mark.parametrize(
    ("limits", "command"),
    [
        (Limits(60, memory_bytes=256 << 20), "python3 -c 'bytearray(600 << 20)'"),
        (Limits(60, processes=60), "python3 -c 'import os; [os.fork() for _ in range(9)]'"),
    ],
)
async def test_a_limit_ends_what_takes_more(bench: Bench, limits: Limits, command: str) -> None:
    await _or_refused(bench, limits)
    with pytest.raises(BuildFailedError) as failed:
        await bench.build(bench.recipe(f"RUN {command}"), limits=limits)
    assert failed.value.code == "image-build-failed"


async def test_a_third_of_a_processor_takes_longer_than_it_computes(bench: Bench) -> None:
    limits = Limits(60, cpus=0.3)
    await _or_refused(bench, limits)
    count = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done"
    now = "read now _ < /proc/uptime; echo at $now"
    await bench.build(bench.recipe(f"RUN {now}; {count}; {now}; times"), limits=limits)
    begin, end = (float(line.split()[1]) for line in bench.lines if line.startswith("at "))
    computed = next(line for line in bench.lines if re.match(r"\d+m[\d.]+s ", line))
    minutes, seconds = re.match(r"(\d+)m([\d.]+)s", computed).groups()  # type: ignore[union-attr]  # time always prints it
    assert end - begin > 1.8 * (int(minutes) * 60 + float(seconds))


async def _or_refused(bench: Bench, limits: Limits) -> None:
    try:
        await bench.build(bench.recipe("RUN true"), limits=limits)
    except BuildFailedError as error:
        if error.code != "image-build-limit":
            raise
        pytest.skip(error.reason)


async def test_layers_beyond_the_budget_go_and_are_made_again(bench: Bench, storage: Path) -> None:
    recipe = bench.recipe("RUN head -c 1000000 /dev/zero > /zeros")
    await bench.build(recipe)
    assert await bench.buildah.trim(None) == await bench.buildah.trim(2**40) == 0
    assert await bench.buildah.trim(10**6) > 10**6
    assert not list((storage / "storage").iterdir())
    assert len((await bench.build(recipe)).manifest["layers"]) == 2
