"""The command that translates, a good citizen of a pipe."""

import io
import sys
from collections.abc import Iterable, Iterator
from typing import cast

from translator.cli.options import add_model_options, command_parser, parse, selected_run
from translator.errors import TranslatorError
from translator.system.files import MAX_LINE_BYTES, line_too_long_error

# Lines translated together at most: enough for batches of like length, few enough for memory.
_MAX_LINES = 512
# Of standard input, read together at most: some thousand lines.
_READ_BYTES = 1 << 18


def translate_command(argv: list[str]) -> None:
    """Translate texts, or standard input line by line."""
    parser = command_parser(translate_command, '"Where is the library?"')
    parser.add_argument("texts", nargs="*", help="what to translate; none: standard input")
    add_model_options(parser)
    parser.add_argument(
        "--n-best", type=int, default=1, help="alternatives, with the line's number"
    )
    parser.add_argument("--scores", action="store_true", help="put the score before each text")
    options = parse(parser, argv)
    from tqdm import tqdm

    from translator.inference.translator import load_translator

    translator = load_translator(selected_run(options), options.device, options.engine)
    number = 0
    with tqdm(
        unit="line",
        disable=bool(options.texts) or sys.stdin.isatty() or sys.stdout.isatty(),
        delay=2,  # what is done by then needs no bar
        mininterval=0.5 if sys.stderr.isatty() else 30,  # a log file needs few lines
    ) as bar:
        for lines in _growing_batches([options.texts] if options.texts else _arriving_lines()):
            translations = translator.translate(
                lines,
                beam_size=options.beam_size,
                length_penalty=options.length_penalty,
                n_best=options.n_best,
                with_scores=options.scores,
            )
            for translation in translations:
                number += 1
                for warning in translation.warnings:
                    bar.write(f"line {number}: {warning}", file=sys.stderr)
                for text, value in translation.alternatives or [("", 0.0)]:
                    fields = [str(number)] if options.n_best > 1 else []
                    fields += [f"{value:.4f}"] if options.scores else []
                    print("\t".join([*fields, text]))
            sys.stdout.flush()
            bar.update(len(lines))


def _arriving_lines() -> Iterator[list[str]]:
    """Lines of standard input, those together that are there already; only LF ends a line.

    So nobody who writes a line and waits for its translation waits for ever.

    Raises:
        TranslatorError: a line is not UTF-8 or too long; those before it have been given.
    """
    if sys.stdin.isatty():
        print("type a sentence a line; Ctrl-D ends", file=sys.stderr)
    number = 0
    begun = bytearray()
    stdin = cast(io.BufferedReader, sys.stdin.buffer)
    while arrived := stdin.read1(_READ_BYTES):
        begun += arrived
        if b"\n" not in arrived:
            if len(begun) > MAX_LINE_BYTES:
                raise line_too_long_error(f"standard input, line {number + 1}")
            continue
        *whole, begun = begun.split(b"\n")
        yield from _decoded(whole, number)
        number += len(whole)
    if begun:
        yield from _decoded([begun], number)


def _decoded(raw_lines: list[bytearray], number: int) -> Iterator[list[str]]:
    """The lines as text, in one list; `number` lines stood before them."""
    lines: list[str] = []
    for raw in raw_lines:
        try:
            lines.append(raw.decode("utf-8").rstrip("\r"))
        except UnicodeDecodeError as error:
            yield lines
            raise TranslatorError(
                f"standard input, line {number + len(lines) + 1}: not UTF-8; convert it, for "
                "example with: iconv -f latin1 -t utf-8"
            ) from error
    yield lines


def _growing_batches(arriving: Iterable[list[str]]) -> Iterator[list[str]]:
    """Batches of at most 1, 2, 4 … lines: the first answer comes at once, the later ones fast."""
    size = 1
    for lines in arriving:
        start = 0
        while start < len(lines):
            yield lines[start : start + size]
            start += size
            size = min(2 * size, _MAX_LINES)
