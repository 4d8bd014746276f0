"""Where groups are made and what is written into them, by the files that the kernel would have."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from libs.chassis.cgroups import Group, Groups, Limits, LimitUnavailableError, Machine, joining
from libs.chassis.cgroups.saying import in_words, tell, told

ALL = "cpu memory pids"


def unified(root: Path, *groups: str, own: str = "/") -> Machine:
    """A hierarchy of version 2 whose root hands everything on; ``groups`` hand nothing on."""
    for each in ("", *groups):
        folder = root / each
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.controllers").write_text(ALL)
        (folder / "cgroup.subtree_control").write_text("" if each else ALL)
    (root.parent / "own").write_text(f"1:name=systemd:/elsewhere\n0::{own}\n")
    return Machine(root, root.parent / "own")


def hand_on(group: Path, controllers: str = ALL) -> None:
    (group / "cgroup.subtree_control").write_text(controllers)


def test_version_1_has_a_hierarchy_for_each_controller(tmp_path: Path) -> None:
    for each in ("memory", "cpu", "pids"):
        (tmp_path / each).mkdir()
    machine = Machine(tmp_path, tmp_path / "none")

    assert machine.parent_of("memory") == tmp_path / "memory"
    assert machine.parent_of("cpu") == tmp_path / "cpu"


def test_the_root_of_version_2_serves_whom_nothing_was_delegated_to(tmp_path: Path) -> None:
    root = tmp_path / "root"
    session = "user.slice/user-0.slice/session-1.scope"
    machine = unified(root, session, own=f"/{session}")
    (root / session / "cgroup.subtree_control").unlink()  # as one that cannot be written

    assert machine.parent_of("memory") == root


def test_a_hybrid_machine_has_version_2_below_a_folder(tmp_path: Path) -> None:
    machine = unified(tmp_path / "root" / "unified")

    assert Machine(tmp_path / "root", machine.own).parent_of("cpu") == machine.root


def test_a_delegated_group_hands_on_what_it_has(tmp_path: Path) -> None:
    own = tmp_path / "root/app.slice/yokocho.scope"
    machine = unified(tmp_path / "root", "app.slice/yokocho.scope", own="/app.slice/yokocho.scope")

    assert machine.parent_of("memory") == own
    assert (own / "cgroup.subtree_control").read_text().startswith("+")


def test_processes_in_a_leaf_leave_the_group_above_to_others(tmp_path: Path) -> None:
    service = tmp_path / "root/system.slice/yokocho.service"
    path = "system.slice/yokocho.service/platform"
    machine = unified(tmp_path / "root", "system.slice/yokocho.service", path, own=f"/{path}")
    (tmp_path / "root" / path / "cgroup.subtree_control").unlink()
    hand_on(service)

    assert machine.parent_of("memory") == service


def test_a_slice_is_never_arranged_by_us(tmp_path: Path) -> None:
    machine = unified(tmp_path / "root", "app.slice", "app.slice/x.scope", own="/app.slice/x.scope")
    (tmp_path / "root/app.slice/x.scope/cgroup.subtree_control").unlink()
    hand_on(tmp_path / "root/app.slice")

    assert machine.parent_of("memory") == tmp_path / "root"


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write what others may not."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_one_group_is_for_all_controllers_in_version_2() -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        machine = unified(root / "root", "x.scope", own="/x.scope")
        hand_on(root / "root/x.scope", "memory pids")
        (root / "root/x.scope/cgroup.subtree_control").chmod(0o444)
        with nobody():
            assert machine.parent_of("memory") == root / "root/x.scope"
            with pytest.raises(LimitUnavailableError, match="does not hand cpu on"):
                machine.parent_of("cpu")


def test_a_path_outside_of_our_namespace_is_not_ours(tmp_path: Path) -> None:
    machine = unified(tmp_path / "root", "other", own="/../other")

    assert machine.parent_of("memory") == tmp_path / "root"


def test_a_machine_without_hierarchies_says_so(tmp_path: Path) -> None:
    groups = Groups("yokocho-test-", machine=Machine(tmp_path, tmp_path / "none"))

    assert "has no memory" in groups.refusals()["memory"]
    assert "has no cpu" in groups.refusals()["cpu"]
    assert groups.found() == {}


def test_values_are_written_only_where_the_kernel_knows_them(tmp_path: Path) -> None:
    """The files appear with the group; a folder of somebody else's disk has none."""
    machine = unified(tmp_path / "root")

    with pytest.raises(LimitUnavailableError, match=r"memory\.max"):
        Groups("yokocho-test-", machine=machine).make("one", Limits(memory_bytes=1 << 20))
    assert list((tmp_path / "root").glob("yokocho-*")) == []


def version_1(told: str, *, most: str) -> dict[str, str]:
    limit = {"memory.limit_in_bytes": "1024\n", "memory.max_usage_in_bytes": most}
    return {"memory.oom_control": told, **limit}


@pytest.mark.parametrize(
    ("files", "starved"),
    [
        ({"memory.events": "oom 3\noom_kill 0\noom_group_kill 0\n"}, False),
        ({"memory.events": "oom 0\noom_kill 1\n"}, False),  # the machine had no more
        ({"memory.events": "oom 3\noom_kill 12\n"}, True),
        (version_1("under_oom 0\noom_kill 1", most="1000"), True),
        (version_1("under_oom 0\noom_kill 1", most="500"), False),
        (version_1("under_oom 0\noom_kill 0", most="1000"), False),
        (version_1("under_oom 0", most="1000") | {"memory.failcnt": "7\n"}, True),
        (version_1("under_oom 0", most="1000") | {"memory.failcnt": "0\n"}, False),
        ({}, False),
    ],
)
def test_a_group_knows_whether_a_member_was_killed(
    tmp_path: Path, *, files: dict[str, str], starved: bool
) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content)

    assert Group((tmp_path,)).starved is starved


@pytest.mark.parametrize(
    ("name", "said", "limit"),
    [
        ("memory.max", "67108864\n", 64 << 20),
        ("memory.max", "max\n", None),
        ("memory.limit_in_bytes", "9223372036854771712\n", None),
    ],
)
def test_a_group_knows_its_limit(tmp_path: Path, name: str, said: str, limit: int | None) -> None:
    (tmp_path / name).write_text(said)

    assert Group((tmp_path,)).memory_bytes == limit


def test_a_member_of_another_namespace_is_not_killed(tmp_path: Path) -> None:
    """As 0 it would be every process beside this one."""
    (tmp_path / "cgroup.procs").write_text("0\n")

    Group((tmp_path,)).kill()


def test_nothing_is_joined_without_a_group() -> None:
    assert joining((), ("true",)) == ("true",)


def test_what_was_told_is_read_in_words(tmp_path: Path) -> None:
    assert told(tmp_path) == ""
    tell({}, tmp_path)
    assert told(tmp_path) == "limited by cgroups: memory, cpu"
    assert in_words({"cpu": "no cpu"}) == "cpu not limited: no cpu"
    assert in_words({"cpu": "no", "memory": "no"}) == "memory and cpu not limited: no"
