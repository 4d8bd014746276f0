"""Which pages are generated, and whether those in the tree are what the code says."""

from pathlib import Path
from typing import Final

from docs.generate.api import api_page, openapi_documents
from docs.generate.events import events_page
from docs.generate.indexes import decisions_index, problems_index
from docs.generate.settings import settings_page

DOCS: Final = Path(__file__).parents[1]


def pages(docs: Path) -> dict[str, str]:
    """Text by path below ``docs``."""
    return {
        "api.md": api_page(),
        **{f"openapi/{name}": text for name, text in openapi_documents().items()},
        "events.md": events_page(),
        "settings.md": settings_page(),
        "problems/README.md": problems_index(docs / "problems"),
        "decisions/README.md": decisions_index(docs / "decisions"),
    }


def stale(docs: Path) -> list[str]:
    return [
        name
        for name, text in pages(docs).items()
        if not (docs / name).exists() or (docs / name).read_text() != text
    ]
