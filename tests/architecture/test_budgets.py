"""Files and functions stay short enough to be read in one go."""

import ast
from pathlib import Path
from typing import Final

from tests.support.sources import EVERYWHERE, PROGRAM, ROOT, functions, modules, tree

_SOFT: Final = 300
_HARD: Final = 400
_FUNCTION: Final = 40
_LONG: Final[dict[str, str]] = {}
"""Modules between the soft and the hard budget, each with the reason why it stays whole."""
_VAGUE: Final = frozenset(
    {"base", "common", "helper", "helpers", "misc", "shared", "tools", "util", "utilities", "utils"}
)


def test_modules_stay_within_their_budget() -> None:
    sizes = {str(path): _lines(path) for path in modules(*EVERYWHERE)}

    assert {name: size for name, size in sizes.items() if size > _HARD} == {}
    over = {name: size for name, size in sizes.items() if size > _SOFT and name not in _LONG}
    assert over == {}, "split them by role, or say in _LONG why not"


def test_functions_stay_within_their_budget() -> None:
    sizes = {
        f"{path}:{each.name}": _net_lines(each)
        for path in modules(*EVERYWHERE)
        for each in functions(path)
    }

    assert {name: size for name, size in sizes.items() if size > _FUNCTION} == {}


def test_the_list_of_long_modules_is_current() -> None:
    short = [name for name in _LONG if not (ROOT / name).exists() or _lines(Path(name)) <= _SOFT]

    assert not short


def test_modules_are_named_after_what_is_in_them() -> None:
    vague = [
        str(path)
        for path in modules(*EVERYWHERE)
        if _VAGUE.intersection(part.removesuffix(".py") for part in path.parts)
        or (path.name == "types.py" and path != Path("libs/contracts/types.py"))
    ]

    assert vague == []


def test_modules_say_in_a_sentence_what_they_are() -> None:
    silent = [
        str(path)
        for path in modules(*PROGRAM)
        if tree(path).body and ast.get_docstring(tree(path)) is None
    ]

    assert silent == []


def _lines(path: Path) -> int:
    return len((ROOT / path).read_text().splitlines())


def _net_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return lines
    docstring = function.body[0]
    return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)
