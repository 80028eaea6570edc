"""The command that translates its arguments, or standard input as lines arrive."""

import io
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from textwrap import shorten
from typing import TYPE_CHECKING, TextIO, cast

from jsonargparse import Namespace

from translator.cli.options import add_model_options, command_parser, parse, selected_run
from translator.cli.progress import Progress
from translator.config.parsing import Parser
from translator.errors import TranslatorError
from translator.system.encodings import decode_utf8, encoding_error
from translator.system.files import MAX_LINE_BYTES, is_utf8, line_too_long_error

if TYPE_CHECKING:
    from translator.inference.translator import Translation

# Maximum number of lines translated together: enough for batches of lines of similar length, and
# few enough for memory.
_MAX_LINES = 512
# Maximum number of bytes read from standard input at a time: a few thousand lines.
_READ_BYTES = 1 << 18
# Arguments that start with "-" and are not texts. Names of options contain no capitals and no white
# space.
_OPTION_OR_NUMBER = re.compile(r"-h|--[a-z][a-z0-9_.-]*(=.*)?|-[\d.]+(e-?\d+)?", re.DOTALL)
# A text in an error message is shortened to this many characters.
_MAX_EXAMPLE_CHARS = 60


def translate_command(argv: list[str]) -> None:
    """Translate texts, or standard input line by line."""
    parser = command_parser(translate_command, '"Where is the library?"')
    parser.add_argument("texts", nargs="*", help="the texts to translate; default: standard input")
    add_model_options(parser)
    parser.add_argument(
        "--n-best", type=int, default=1, help="translations per line; above 1, with the line number"
    )
    parser.add_argument("--scores", action="store_true", help="put the score before each text")
    try:
        options = parse(parser, argv)
    except TranslatorError as error:
        raise TranslatorError(f"{error}{_hint_at_dashes(parser, argv)}") from error
    from translator.inference.translator import load_translator

    translator = load_translator(
        selected_run(options), options.device, options.engine, loop_guard=options.loop_guard
    )
    shown = not (options.texts or _is_terminal(sys.stdin) or sys.stdout.isatty())
    number = 0
    with Progress(shown=shown) as progress:
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
                    progress.warn(f"line {number}: {warning}")
                _print_alternatives(translation, number, options)
            sys.stdout.flush()
            progress.advance(len(lines))


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _hint_at_dashes(parser: Parser, argv: list[str]) -> str:
    """Return a hint for a parser's error if an argument is a text that starts with "-"."""
    before_dashes = takewhile(lambda argument: argument != "--", argv)
    for text in before_dashes:
        if text.startswith("-") and is_utf8(text) and not _OPTION_OR_NUMBER.fullmatch(text):
            example = shorten(text, _MAX_EXAMPLE_CHARS, placeholder=" …")
            return f'; put -- before a text that starts with "-": {parser.prog} -- "{example}"'
    return ""


def _print_alternatives(translation: "Translation", number: int, options: Namespace) -> None:
    for text, score in translation.alternatives:
        fields = [str(number)] if options.n_best > 1 else []
        fields += [f"{score:.4f}"] if options.scores else []
        print("\t".join([*fields, text]))


def _arriving_lines() -> Iterator[list[str]]:
    """Yield lines of standard input, in lists of all that have arrived; only LF ends a line.

    A program that writes a line and waits for its translation gets it at once.

    Raises:
        TranslatorError: a line is not UTF-8 or too long; the lines before it have been yielded.
            Or standard input is closed.
    """
    if sys.stdin is None:
        raise TranslatorError("standard input is closed: give the texts as arguments or in a file")
    if sys.stdin.isatty():
        print("type one sentence per line; Ctrl-D ends", file=sys.stderr)
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
    """Yield the lines as text, in one list; `number` is the number of lines before them."""
    lines: list[str] = []
    for raw in raw_lines:
        try:
            lines.append(decode_utf8(bytes(raw)).rstrip("\r"))
        except UnicodeDecodeError as error:
            yield lines
            place = f"standard input, line {number + len(lines) + 1}"
            command = "iconv -f {} -t UTF-8 FILE | translator translate"
            raise encoding_error(place, error, b"\n".join(raw_lines), command) from error
    yield lines


def _growing_batches(arriving: Iterable[list[str]]) -> Iterator[list[str]]:
    """Yield batches of at most 1, 2, 4 … lines: the first answer comes at once, later ones fast."""
    size = 1
    for lines in arriving:
        start = 0
        while start < len(lines):
            yield lines[start : start + size]
            start += size
            size = min(2 * size, _MAX_LINES)
