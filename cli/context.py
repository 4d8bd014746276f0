"""The BentoML client's own context file, with other contexts left as they are."""

from pathlib import Path
from typing import Any, Final

import yaml

from cli.errors import CommandError
from cli.home import write_private

_FILE: Final = ".yatai.yaml"


def write(folder: Path, *, name: str, endpoint: str, token: str, email: str) -> Path:
    """Add or replace the context and make it current. The file gets mode 0600."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / _FILE
    known = _read(file)
    context = {"name": name, "endpoint": endpoint, "api_token": token, "email": email}
    others = [each for each in known.get("contexts") or [] if each.get("name") != name]
    written = {**known, "contexts": [*others, context], "current_context_name": name}
    write_private(file, yaml.safe_dump(written))
    return file


def _read(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        found = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise CommandError(
            f"{file} is no YAML: {error}", "move it away and log in again"
        ) from error
    return found if isinstance(found, dict) else {}
