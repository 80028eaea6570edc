"""The command that lists runs."""

import json
from pathlib import Path

from translator.cli.options import command_parser, parse
from translator.runs.run import DEFAULT_RUNS


def runs_command(argv: list[str]) -> None:
    """List the runs of a folder with their state and scores."""
    parser = command_parser(runs_command, "--folder runs")
    parser.add_argument("--folder", type=str, default=str(DEFAULT_RUNS), help="where they are")
    parser.add_argument("--json", action="store_true", help="print a JSON object a run")
    options = parse(parser, argv)
    from tabulate import tabulate

    from translator.runs.listing import list_runs

    rows = list_runs(Path(options.folder))
    if options.json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    else:
        print(tabulate(rows, headers="keys", floatfmt=".2f", missingval="-"))
