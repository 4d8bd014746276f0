"""What the command shows of versions: all that changed, and nothing that a terminal obeys."""

from typing import Any

from cli.commands.inside import _listed, _told

NOTHING: dict[str, Any] = {"added": {}, "removed": {}, "changed": {}}
SAME: dict[str, Any] = {
    "files": {"added": [], "removed": [], "changed": [], "unknown": []},
    "packages": NOTHING,
    "metadata": NOTHING,
    "labels": NOTHING,
    "api": [],
}


def listed(path: str, kind: str = "file", target: str = "") -> str:
    row = {"path": path, "kind": kind, "size_bytes": 3, "mode": "0644", "target": target}
    return _listed([row]).splitlines()[1]


def test_a_tree_marks_folders_and_says_where_links_lead() -> None:
    assert listed("src/a.py") == "0644  3      src/a.py"
    assert listed("src", "folder").endswith(" src/")
    assert listed("now", "link", "v2").endswith(" now -> v2")


def test_names_that_would_command_a_terminal_are_spelled_out() -> None:
    assert listed("\x1b[2Jü\n\x9b31m").endswith(r" \x1b[2Jü\x0a\x9b31m")


def test_every_change_is_told_and_what_breaks_comes_first() -> None:
    text = _told(
        {
            **SAME,
            "files": {"added": ["a"], "removed": ["r"], "changed": ["c"], "unknown": ["u"]},
            "packages": {**NOTHING, "changed": {"numpy": {"before": "2.0", "after": "2.1"}}},
            "labels": {**NOTHING, "added": {"stage": "prod"}},
            "api": [
                {"route": "/q", "breaking": False, "reason": "the route is new"},
                {"route": "/p", "breaking": True, "reason": "the route is gone"},
            ],
        }
    )
    assert [line.split()[:3] for line in text.splitlines()[1:]] == [
        ["BREAKING", "/p", "the"],
        ["api", "/q", "the"],
        ["file", "+", "a"],
        ["file", "-", "r"],
        ["file", "~", "c"],
        ["file", "?", "u"],
        ["packages", "~", "numpy"],
        ["labels", "+", "stage"],
    ]


def test_nothing_is_no_difference() -> None:
    assert _told(SAME) == "no difference"
