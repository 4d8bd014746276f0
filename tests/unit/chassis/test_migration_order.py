"""Which migrations a phase has to run."""

import pytest

from libs.chassis.migrate import Migration, MigrationError, Phase, pending


def files(*names: str) -> list[Migration]:
    return [Migration(name, name.split("_")[1], f"-- {name}") for name in names]


def applied(*names: str) -> dict[str, str]:
    return {each.file: each.checksum for each in files(*names)}


A, B, C, D = "0001_pre_a.sql", "0002_post_b.sql", "0003_pre_c.sql", "0004_post_d.sql"


@pytest.mark.parametrize(
    ("known", "done", "phase", "expected"),
    [
        pytest.param([A, B], [], "pre", [A], id="post-waits-for-the-new-code"),
        pytest.param([A, B], [A], "post", [B], id="post-follows"),
        pytest.param([A, B], [A, B], "pre", [], id="nothing-left"),
        pytest.param([A, B, C, D], [A], "pre", [B, C], id="post-of-an-earlier-release-goes-first"),
        pytest.param([A, B, C, D], [], "pre", [A, B, C], id="a-fresh-database"),
        pytest.param([A, B, C, D], [A, B, C], "post", [D], id="the-last-post"),
    ],
)
def test_pending(known: list[str], done: list[str], phase: Phase, expected: list[str]) -> None:
    found = pending("x", files(*known), applied(*done), phase=phase)

    assert [each.file for each in found] == expected


def test_a_changed_file_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"changed after they ran: 0001_pre_a\.sql"):
        pending("x", files(A), {A: "another"}, phase="pre")


def test_an_unknown_file_is_refused() -> None:
    with pytest.raises(MigrationError, match="newer version"):
        pending("x", files(A), applied(A, B), phase="pre")
