"""Which calls a module makes, by the full name of what is called as far as its text tells.

``from asyncio import create_task as spawn; spawn(x)`` calls ``asyncio.create_task``. The class of
an object cannot be seen: a method is known by its name alone, ``*.drain``.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a name: a call, or a reference that somebody else may call."""

    name: str
    line: int
    called: bool = False
    keywords: frozenset[str] = frozenset()


def calls(module: ast.Module) -> Iterator[Call]:
    names = _imported(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            given = frozenset(each.arg for each in node.keywords if each.arg)
            yield Call(_full_name(node.func, names), node.lineno, called=True, keywords=given)
        elif isinstance(node, ast.Attribute):
            yield Call(_full_name(node, names), node.lineno)


def imports(module: ast.Module, package: str) -> bool:
    return any(
        full == package or full.startswith(f"{package}.") for full in _imported(module).values()
    )


def _imported(module: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for each in node.names:
                local = each.asname or each.name.partition(".")[0]
                names[local] = each.name if each.asname else local
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                names[each.asname or each.name] = f"{node.module}.{each.name}"
    return names


def _full_name(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        root = node
        while isinstance(root.value, ast.Attribute):
            root = root.value
        if isinstance(root.value, ast.Name) and root.value.id in names:
            return f"{_full_name(node.value, names)}.{node.attr}"
        return f"*.{node.attr}"
    return "*"
