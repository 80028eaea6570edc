"""Run the command line with `python -m translator`."""

from translator.cli import main

main()
