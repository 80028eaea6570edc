"""The command line: prepare, tokenizer, train, evaluate, translate, export.

Results go to standard output; progress, notes and errors to standard error. An error that the
user can mend is one line, and the exit code 2.
"""

import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

from jsonargparse import Namespace

from translator.config import settings_for_budget
from translator.errors import TranslatorError
from translator.inference.engine import ENGINES
from translator.options import Parser, add_config_options, has_settings, make_config
from translator.run import Run, last_run

# Lines translated together at most: enough for batches of like length, few enough for memory.
_MOST_LINES_AT_ONCE = 512
# Of standard input, read together at most: some thousand lines.
_BYTES_AT_ONCE = 1 << 18


def prepare_command(argv: list[str]) -> None:
    """Pull, clean and split the corpus, and train the tokenizer."""
    parser = _parser("prepare", prepare_command, "translator prepare --corpus.files pairs.tsv")
    add_config_options(parser)
    config = make_config(parser, _parse(parser, argv))
    from translator.prepare import prepare

    prepared = prepare(config)
    print(prepared.table())
    print(f"prepared in {prepared.tokenizer_dir}", file=sys.stderr)


def tokenizer_command(argv: list[str]) -> None:
    """Train the tokenizer alone, on the training side of a corpus."""
    parser = _parser(
        "tokenizer", tokenizer_command, "translator tokenizer --tokenizer.vocab_size 8000"
    )
    add_config_options(parser)
    config = make_config(parser, _parse(parser, argv))
    from translator.prepare import prepare_corpus, prepare_tokenizer

    print(prepare_tokenizer(config, prepare_corpus(config)) / "tokenizer.model")


def train_command(argv: list[str]) -> None:
    """Train a translator (the quickstart, unless told otherwise), or go on with a stopped one."""
    parser = _parser(
        "train", train_command, "translator train --config configs/laptop-1h.yaml --run-dir runs/1h"
    )
    parser.add_argument("--run-dir", type=str, default="runs/quickstart", help="where it all goes")
    add_config_options(parser)
    options = _parse(parser, argv)
    config = make_config(parser, options)
    from translator.pipeline import train
    from translator.training.trainer import TrainingStoppedError

    try:
        train(config, Run(Path(options.run_dir)))
    except TrainingStoppedError as stopped:
        print(f"{stopped}; the same command goes on from there", file=sys.stderr)
        sys.exit(130)  # the shell's code for a program ended by Ctrl-C


def evaluate_command(argv: list[str]) -> None:
    """Measure BLEU and chrF on the held-out sentences of a run, or on files."""
    parser = _parser("evaluate", evaluate_command, "translator evaluate --run-dir runs/1h --json")
    _add_model_options(parser)
    parser.add_argument("--split", choices=["dev", "test"], default="test", help="what to score on")
    parser.add_argument("--src", type=str, help="score on this file instead, a sentence a line")
    parser.add_argument("--ref", nargs="+", type=str, help="its references, line by line")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = _parse(parser, argv)
    if bool(options.src) != bool(options.ref):
        raise TranslatorError("--src and --ref belong together: a file and its references")
    run = _run(options)
    from tabulate import tabulate

    from translator.corpus.held_out import read_examples, read_test_files
    from translator.evaluation import evaluate
    from translator.inference.translator import load_translator

    if options.src:
        examples = read_test_files(Path(options.src), [Path(name) for name in options.ref])
    else:
        run.read_manifest()
        examples = read_examples(run.held_out(options.split))
    translator = load_translator(run, options.device, options.engine)
    _, result = evaluate(translator, examples, options.beam_size, options.length_penalty)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return
    slices = result.pop("slices")
    rows = [*result.items()]
    rows += [(f"bleu, {part} ({s['sentences']})", s["bleu"]) for part, s in slices.items()]
    print(tabulate(rows, tablefmt="plain", floatfmt=".2f"))


def translate_command(argv: list[str]) -> None:
    """Translate texts, or standard input line by line."""
    parser = _parser("translate", translate_command, 'translator translate "Where is the library?"')
    parser.add_argument("texts", nargs="*", help="what to translate; none: standard input")
    _add_model_options(parser)
    parser.add_argument(
        "--n-best", type=int, default=1, help="alternatives, with the line's number"
    )
    parser.add_argument("--scores", action="store_true", help="put the score before each text")
    options = _parse(parser, argv)
    from tqdm import tqdm

    from translator.inference.translator import load_translator

    translator = load_translator(_run(options), options.device, options.engine)
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


def export_command(argv: list[str]) -> None:
    """Write a trained run in the form of another engine, into its folder."""
    parser = _parser("export", export_command, "translator export --run-dir runs/1h")
    parser.add_argument("--run-dir", type=str, help="the run; default: the one trained last")
    parser.add_argument(
        "--format", choices=["ctranslate2"], default="ctranslate2", help="of which engine"
    )
    run = _run(_parse(parser, argv))
    from translator.export import export_ctranslate2

    for folder in export_ctranslate2(run):
        print(folder)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "prepare": prepare_command,
    "tokenizer": tokenizer_command,
    "train": train_command,
    "evaluate": evaluate_command,
    "translate": translate_command,
    "export": export_command,
}


def main(argv: list[str] | None = None) -> None:
    """Run a command; exit with code 2 after a line that says what the user can mend."""
    arguments = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # as the input, whatever the locale says
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(_overview())
            return
        if arguments[0] not in COMMANDS:
            raise TranslatorError(
                f'unknown command "{arguments[0]}"; there are: {", ".join(COMMANDS)}'
            )
        COMMANDS[arguments[0]](arguments[1:])
    except TranslatorError as error:
        print(f"translator: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`); what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # the shell's code for a program ended by a closed pipe


def run_command(verb: str) -> None:
    """Run one command with this process's arguments, as the scripts do."""
    main([verb, *sys.argv[1:]])


def _overview() -> str:
    lines = [
        f"  {verb:<10} {(command.__doc__ or '').splitlines()[0]}"
        for verb, command in COMMANDS.items()
    ]
    usage = "usage: translator COMMAND [options]; translator COMMAND --help says more"
    return "\n".join([usage, "", *lines])


def _parser(verb: str, command: Callable[[list[str]], None], example: str) -> Parser:
    return Parser(
        prog=f"translator {verb}",
        description=f"{command.__doc__} Example: {example}",
    )


def _parse(parser: Parser, argv: list[str]) -> Namespace:
    arguments = _config_first(argv)
    # --print_config prints, and ends the program, as soon as it is parsed.
    quiet = [argument for argument in arguments if not argument.startswith("--print_config")]
    options: Namespace = parser.parse_args(quiet)
    if "training" in options:
        # What neither an option nor a file says is for the time budget to decide.
        parser.set_defaults(settings_for_budget(options.training.max_minutes))
        options = parser.parse_args(arguments)
    return options


def _config_first(argv: list[str]) -> list[str]:
    """Move --config to the front, so that options win over files wherever they stand.

    Raises:
        TranslatorError: a file doesn't fit; it is named, which a parser of options wouldn't do.
    """
    paths: list[Path] = []
    rest: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        if argument == "--config":
            name = next(arguments, None)
            if name is None:
                raise TranslatorError("--config needs the name of a YAML file after it")
            paths.append(Path(name))
        elif argument.startswith("--config="):
            paths.append(Path(argument.removeprefix("--config=")))
        else:
            rest.append(argument)
    return [f"--config={path}" for path in paths if has_settings(path)] + rest


def _add_model_options(parser: Parser) -> None:
    parser.add_argument("--run-dir", type=str, help="the run; default: the one trained last")
    parser.add_argument("--beam-size", type=int, default=5, help="1 is greedy search")
    parser.add_argument("--length-penalty", type=float, default=1.0, help="more: longer output")
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="what computes; all but pytorch need `translator export` first",
    )
    parser.add_argument(
        "--device", choices=["auto", "cpu", "cuda", "mps"], default="auto", help="where to compute"
    )


def _run(options: Namespace) -> Run:
    return Run(Path(options.run_dir)) if options.run_dir else last_run()


def _arriving_lines() -> Iterator[list[str]]:
    """Lines of standard input, those together that are there already; only LF ends a line.

    So nobody who writes a line and waits for its translation waits for ever.

    Raises:
        TranslatorError: a line is not UTF-8; those before it have been given.
    """
    if sys.stdin.isatty():
        print("type a sentence a line; Ctrl-D ends", file=sys.stderr)
    number = 0
    begun = bytearray()
    stdin = cast(io.BufferedReader, sys.stdin.buffer)
    while arrived := stdin.read1(_BYTES_AT_ONCE):
        begun += arrived
        if b"\n" not in arrived:
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
            size = min(2 * size, _MOST_LINES_AT_ONCE)
