"""The command that lists runs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from translator.cli.options import command_parser, parse
from translator.errors import printable
from translator.runs.run import DEFAULT_RUNS

if TYPE_CHECKING:
    from translator.runs.listing import RunSummary


def runs_command(argv: list[str]) -> None:
    """List the runs of a folder with their state and scores."""
    parser = command_parser(runs_command, "--folder runs")
    parser.add_argument("--folder", type=str, default=str(DEFAULT_RUNS), help="folder of the runs")
    parser.add_argument("--json", action="store_true", help="print a JSON object per run")
    options = parse(parser, argv)
    from tabulate import tabulate

    from translator.runs.listing import list_runs

    summaries = list_runs(Path(options.folder))
    if options.json:
        # As ASCII, since the name of a folder may contain control characters, or not be UTF-8.
        for summary in summaries:
            print(json.dumps(_record(summary)))
    else:
        rows = map(_row, summaries)
        print(tabulate(rows, headers="keys", floatfmt=".2f", missingval="-"))


def _record(summary: "RunSummary") -> dict[str, object]:
    """Return a summary as JSON for other programs, with times in ISO 8601."""
    return {
        "run": summary.name,
        "state": summary.state,
        "direction": summary.direction,
        "parameters": summary.parameters,
        "step": summary.step,
        "max_steps": summary.max_steps,
        "dev BLEU": summary.dev_bleu,
        "test BLEU": summary.test_bleu,
        "with beam": summary.beam_bleu,
        "written": summary.written.isoformat(timespec="seconds"),
    }


def _row(summary: "RunSummary") -> dict[str, object]:
    """Return a row of the table for people."""
    from translator.runs.listing import describe_age

    row = _record(summary) | {"written": describe_age(summary.written)}
    row |= {"run": printable(summary.name), "state": printable(summary.state)}
    end = row.pop("max_steps") or "?"
    if summary.step is not None:
        row["step"] = f"{summary.step}/{end}"
    return row
