"""`translator tokenizer`, from a checkout."""

from translator.cli import run_command

run_command("tokenizer")
