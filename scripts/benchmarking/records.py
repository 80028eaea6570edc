"""Results of the benchmarks: the table that is printed, and the records in the JSON file."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tabulate import tabulate

from translator.system.files import write_text

# The measures of one system; None where one was not reached or makes no sense.
Measures = Mapping[str, float | None]
# System, measure, value, unit.
Record = tuple[str, str, float | None, str]


def records_of(measured: Mapping[str, Measures], units: Mapping[str, str]) -> list[Record]:
    """The measures of every system as records.

    Args:
        measured: for each system its measures; a measure that is missing gives no record
        units: the unit of each measure, in the order of the records
    """
    return [
        (system, measure, values[measure], unit)
        for system, values in measured.items()
        for measure, unit in units.items()
        if measure in values
    ]


def print_table(
    measured: Mapping[str, Measures], units: Mapping[str, str], missing: str = "-"
) -> None:
    """Print a row for each measure and a column for each system.

    Args:
        measured: for each system all of its measures
        units: the unit of each measure, in the order of the rows
        missing: what to print for None
    """
    rows = [
        [measure, unit, *(values[measure] for values in measured.values())]
        for measure, unit in units.items()
    ]
    print(tabulate(rows, ["", "", *measured], floatfmt=".4g", missingval=missing))


def write_records(records: Iterable[Record], path: Path | None) -> None:
    """Write the records as a JSON list of objects.

    Each object has the keys `system`, `measure`, `value` and `unit`.

    Args:
        records: what was measured
        path: the file to write; None to write nothing
    """
    if path is None:
        return
    keys = ("system", "measure", "value", "unit")
    content = [dict(zip(keys, record, strict=True)) for record in records]
    write_text(path, json.dumps(content, indent=2) + "\n")
