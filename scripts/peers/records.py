"""The form in which every benchmark leaves its measures for other tools."""

import json
from collections.abc import Iterable
from pathlib import Path

from translator.system.files import write_text

# System, measure, value, unit; no value for what was not reached, or can't be measured.
Record = tuple[str, str, float | None, str]


def write_records(records: Iterable[Record], path: Path) -> None:
    """Write a list of objects with these four keys."""
    keys = ("system", "measure", "value", "unit")
    content = [dict(zip(keys, record, strict=True)) for record in records]
    write_text(path, json.dumps(content, indent=2) + "\n")
