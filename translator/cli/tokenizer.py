"""The command that trains only the tokenizer."""

from translator.cli.options import command_parser, parse
from translator.config.parsing import add_config_options, make_config


def tokenizer_command(argv: list[str]) -> None:
    """Train only the tokenizer, on the training pairs of a corpus."""
    parser = command_parser(tokenizer_command, "--tokenizer.vocab_size 8000")
    add_config_options(parser)
    config = make_config(parser, parse(parser, argv))
    from translator.data.prepare import prepare_corpus, prepare_tokenizer

    print(prepare_tokenizer(config, prepare_corpus(config)) / "tokenizer.model")
