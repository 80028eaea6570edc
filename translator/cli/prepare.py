"""The command that prepares a corpus."""

from translator.cli.options import command_parser, parse
from translator.config.parsing import add_config_options, make_config
from translator.errors import print_note


def prepare_command(argv: list[str]) -> None:
    """Fetch, clean and split the corpus, and train the tokenizer."""
    parser = command_parser(prepare_command, "--corpus.files pairs.tsv")
    add_config_options(parser)
    config = make_config(parser, parse(parser, argv))
    from translator.data.prepare import prepare

    prepared = prepare(config)
    print(prepared.report.table())
    print_note(f"prepared in {prepared.tokenizer_dir}")
