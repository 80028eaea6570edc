"""The command that converts a run for another engine."""

from translator.cli.options import command_parser, parse, selected_run


def export_command(argv: list[str]) -> None:
    """Convert a trained run for another engine, inside the folder of the run."""
    parser = command_parser(export_command, "--run-dir runs/1h")
    parser.add_argument("--run-dir", type=str, help="the run; default: the one trained last")
    parser.add_argument(
        "--format", choices=["ctranslate2"], default="ctranslate2", help="the engine"
    )
    run = selected_run(parse(parser, argv))
    from translator.export.ctranslate2 import export_ctranslate2

    for folder in export_ctranslate2(run):
        print(folder)
