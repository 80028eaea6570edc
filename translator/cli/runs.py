"""The commands that make a run, measure it and hand it on."""

import json
import sys
from pathlib import Path

from translator.cli.common import add_model_options, chosen_run, command_parser, parse
from translator.errors import TranslatorError
from translator.options import add_config_options, make_config
from translator.run import DEFAULT_RUNS, Run


def prepare_command(argv: list[str]) -> None:
    """Pull, clean and split the corpus, and train the tokenizer."""
    parser = command_parser(prepare_command, "--corpus.files pairs.tsv")
    add_config_options(parser)
    config = make_config(parser, parse(parser, argv))
    from translator.prepare import prepare

    prepared = prepare(config)
    print(prepared.table())
    print(f"prepared in {prepared.tokenizer_dir}", file=sys.stderr)


def tokenizer_command(argv: list[str]) -> None:
    """Train the tokenizer alone, on the training side of a corpus."""
    parser = command_parser(tokenizer_command, "--tokenizer.vocab_size 8000")
    add_config_options(parser)
    config = make_config(parser, parse(parser, argv))
    from translator.prepare import prepare_corpus, prepare_tokenizer

    print(prepare_tokenizer(config, prepare_corpus(config)) / "tokenizer.model")


def train_command(argv: list[str]) -> None:
    """Train a translator (the quickstart, unless told otherwise), or go on with a stopped one."""
    parser = command_parser(train_command, "--config configs/laptop-1h.yaml --run-dir runs/1h")
    parser.add_argument("--run-dir", type=str, default="runs/quickstart", help="where it all goes")
    add_config_options(parser)
    options = parse(parser, argv)
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
    parser = command_parser(evaluate_command, "--run-dir runs/1h --json")
    add_model_options(parser)
    parser.add_argument("--split", choices=["dev", "test"], default="test", help="what to score on")
    parser.add_argument("--src", type=str, help="score on this file instead, a sentence a line")
    parser.add_argument("--ref", nargs="+", type=str, help="its references, line by line")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parse(parser, argv)
    if bool(options.src) != bool(options.ref):
        raise TranslatorError("--src and --ref belong together: a file and its references")
    run = chosen_run(options)
    from tabulate import tabulate

    from translator.corpus.held_out import read_test_files
    from translator.evaluation import evaluate
    from translator.inference.translator import load_translator

    if options.src:
        examples = read_test_files(Path(options.src), [Path(name) for name in options.ref])
    else:
        examples = run.read_held_out(options.split)
    translator = load_translator(run, options.device, options.engine)
    _, result = evaluate(translator, examples, options.beam_size, options.length_penalty)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return
    slices = result.pop("slices")
    rows = [*result.items()]
    rows += [(f"bleu, {part} ({s['sentences']})", s["bleu"]) for part, s in slices.items()]
    print(tabulate(rows, tablefmt="plain", floatfmt=".2f"))


def runs_command(argv: list[str]) -> None:
    """List the runs of a folder with their state and scores."""
    parser = command_parser(runs_command, "--folder runs")
    parser.add_argument("--folder", type=str, default=str(DEFAULT_RUNS), help="where they are")
    parser.add_argument("--json", action="store_true", help="print a JSON object a run")
    options = parse(parser, argv)
    from tabulate import tabulate

    from translator.overview import overview

    rows = overview(Path(options.folder))
    if options.json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    else:
        print(tabulate(rows, headers="keys", floatfmt=".2f", missingval="-"))


def export_command(argv: list[str]) -> None:
    """Write a trained run in the form of another engine, into its folder."""
    parser = command_parser(export_command, "--run-dir runs/1h")
    parser.add_argument("--run-dir", type=str, help="the run; default: the one trained last")
    parser.add_argument(
        "--format", choices=["ctranslate2"], default="ctranslate2", help="of which engine"
    )
    run = chosen_run(parse(parser, argv))
    from translator.export import export_ctranslate2

    for folder in export_ctranslate2(run):
        print(folder)
