"""The command, the environment and the folders of one process."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from services.deployer.domain.config import Config, changes, described
from services.deployer.domain.deployment import Replica
from services.deployer.plan import Phase
from services.deployer.targets import Launch
from services.deployer.targets.launch import Folders, command, needs_of, place
from services.deployer.targets.watched import BACKOFF, LONGEST, STABLE, Watched

REPLICA = Replica(UUID(int=1), UUID(int=2), UUID(int=3), "My Service/x", position=0, port=24001)


def launch(tmp_path: Path) -> Launch:
    return Launch(
        replica=REPLICA,
        image_uri=(tmp_path / "an image").as_uri(),
        needs={"Inner": "http://127.0.0.1:24000"},
        envs=(("A", "1"), ("A", "2"), ("LANG", "de_DE")),
        overrides={"Gateway": {"workers": 2}},
    )


@pytest.mark.parametrize("since_1_4", [True, False])
def test_the_command(tmp_path: Path, *, since_1_4: bool) -> None:
    environment = tmp_path / "an image" / "environment"
    if since_1_4:
        start = environment / "lib/python3.11/site-packages/bentoml_cli/_internal/start.py"
        start.parent.mkdir(parents=True)
        start.touch()

    made = command(launch(tmp_path), tmp_path, inherited={})

    module = "bentoml_cli._internal.start" if since_1_4 else "bentoml"
    assert made.argv == (
        *(f"{environment}/bin/python", "-m", module, "start-http-server"),
        *(f"{tmp_path}/an image/bento", "--service-name", "My Service/x"),
        *("--depends", "Inner=http://127.0.0.1:24000"),
        *("--host", "127.0.0.1", "--port", "24001"),
    )
    assert needs_of(made.argv) == ("http://127.0.0.1:24000",)


def test_the_environment(tmp_path: Path) -> None:
    ours = {"PATH": "/bin", "NO_PROXY": "internal", "LANG": "C", "BENTO_CLOUD_API_KEY": "secret"}

    env = command(launch(tmp_path), tmp_path, inherited=ours).env

    assert "BENTO_CLOUD_API_KEY" not in env
    assert env["PATH"] == f"{tmp_path}/an image/environment/bin:/bin"
    assert env["NO_PROXY"] == env["no_proxy"] == "internal,127.0.0.1,localhost"
    assert (env["A"], env["LANG"]) == ("2", "de_DE"), "the last one given is the one"
    overrides = json.loads(env["BENTOML_CONFIG_OVERRIDES"])
    assert overrides == {"services": {"Gateway": {"workers": 2}}}


def test_a_log_is_a_file_whatever_the_service_is_called(tmp_path: Path) -> None:
    log = Folders(tmp_path).log(REPLICA)

    assert log.parent.parent == tmp_path / "logs"
    assert log.name.endswith("-My_Service_x-0.log")


def test_backoff_grows_and_is_bounded_and_forgotten(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "log")
    pauses = []
    for _ in range(12):
        watched.failed(100.0)
        pauses.append(watched.due_at - 100.0)

    assert pauses[:3] == [BACKOFF.total_seconds() * each for each in (1, 2, 4)]
    assert pauses[-1] == LONGEST.total_seconds()
    watched.answered(200.0)
    assert watched.failures == 12, "ready a moment ago"
    watched.answered(200.0 + STABLE.total_seconds())
    assert watched.failures == 0
    assert watched.phase is Phase.DOWN


def test_workers_that_come_and_go_are_a_failure_before_readiness(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "log")

    assert watched.staffed(frozenset(), attempts=3), "none yet"
    assert watched.staffed(frozenset({1, 2}), attempts=3)
    assert watched.staffed(frozenset({2, 3}), attempts=3)
    assert watched.staffed(frozenset({3, 4}), attempts=3)
    assert not watched.staffed(frozenset({4, 5}), attempts=3)


def test_lost_workers_are_a_failure_at_any_time(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "log", ready_at=1.0)

    assert watched.staffed(frozenset({1}), attempts=3)
    assert not watched.staffed(frozenset(), attempts=3)


def test_events_hold_fingerprints_and_only_what_changed() -> None:
    key = b"k" * 32
    before = described(Config(envs=(("KEY", "hush"),)), key)
    after = described(Config(envs=(("KEY", "whisper"),), access_authorization=True), key)

    was, becomes = changes(before, after)

    assert set(was) == set(becomes) == {"envs", "access_authorization"}
    assert "hush" not in str(was)
    assert was["envs"]["KEY"] != becomes["envs"]["KEY"]
    assert described(Config(envs=(("KEY", "hush"),)), key) == before
    assert changes({"big": ""}, {"big": "x" * 100_000})[1]["big"]["bytes"] == 100_002


def test_files_of_secrets_follow_no_link_that_a_model_left(tmp_path: Path) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    outside.mkdir()
    (outside / "token").write_text("untouched")
    (work / "token").symlink_to(outside / "token")
    (work / "folder").symlink_to(outside)

    place(work, "token", "secret")
    place(work, "a/b/key", "deep")
    place(work, "a/b/key", "again")

    assert (work / "token").read_text() == "secret"
    assert not (work / "token").is_symlink()
    assert (work / "token").stat().st_mode & 0o777 == 0o600
    assert (work / "a/b/key").read_text() == "again"
    with pytest.raises(NotADirectoryError):
        place(work, "folder/token", "secret")
    assert (outside / "token").read_text() == "untouched"
