"""From rows to what the registry speaks of."""

import json
from typing import Any, Final

from libs.contracts.identity import Person
from services.registry.domain import Repository, Version

WITH_REPOSITORY: Final = """
    SELECT v.*, r.id AS r_id, r.name AS r_name, r.description AS r_description,
           r.created_at AS r_created_at, r.creator AS r_creator, r.kind AS r_kind,
           r.labels AS r_labels
"""
"""Versions ``v`` beside their repositories ``r``; see ``repository_beside``."""
_COLUMNS: Final = tuple(Version.__dataclass_fields__)


def version_of(row: Any) -> Version:
    values = {name: row[name] for name in _COLUMNS}
    values["labels"] = labels_of(row["labels"])
    values["creator"] = person_of(row["creator"])
    return Version(**values)


def repository_of(row: Any) -> Repository:
    told = {"creator": person_of(row["creator"]), "labels": labels_of(row["labels"])}
    return Repository(**{**row, **told})


def repository_beside(row: Any, kind: str) -> Repository:
    """The repository in a row that is a version's."""
    return Repository(
        row["r_id"],
        row["org_id"],
        kind,
        row["r_name"],
        row["r_description"],
        row["r_created_at"],
        person_of(row["r_creator"]),
        labels_of(row["r_labels"]),
    )


def labels_of(stored: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(json.loads(stored).items()))


def person_of(stored: str | None) -> Person | None:
    return Person.model_validate_json(stored) if stored else None
