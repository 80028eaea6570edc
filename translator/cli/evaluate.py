"""The command that evaluates a translator."""

import json
from dataclasses import asdict
from pathlib import Path

from translator.cli.options import add_model_options, command_parser, parse, selected_run
from translator.errors import TranslatorError


def evaluate_command(argv: list[str]) -> None:
    """Measure BLEU and chrF on the held-out sentences of a run, or on files."""
    parser = command_parser(evaluate_command, "--run-dir runs/1h --json")
    add_model_options(parser)
    parser.add_argument("--split", choices=["dev", "test"], default="test", help="what to score on")
    parser.add_argument("--src", type=str, help="score on this file, one sentence per line")
    parser.add_argument("--ref", nargs="+", type=str, help="its references, line by line")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parse(parser, argv)
    if bool(options.src) != bool(options.ref):
        raise TranslatorError("--src and --ref belong together: a file and its references")
    run = selected_run(options)
    from tabulate import tabulate

    from translator.corpus.held_out import read_test_files
    from translator.evaluation.metrics import evaluate
    from translator.inference.translator import load_translator

    if options.src:
        examples = read_test_files(Path(options.src), [Path(name) for name in options.ref])
    else:
        examples = run.read_held_out(options.split)
    translator = load_translator(run, options.device, options.engine, loop_guard=options.loop_guard)
    _, result = evaluate(translator, examples, options.beam_size, options.length_penalty)
    record = asdict(result)
    if options.json:
        print(json.dumps(record, ensure_ascii=False))
        return
    del record["slices"], record["sources"]
    rows = [*record.items()]
    for part, scores in result.parts().items():
        rows.append((f"bleu, {part} ({scores.sentences})", scores.bleu))
        rows.append((f"chrf, {part}", scores.chrf))
    print(tabulate(rows, tablefmt="plain", floatfmt=".2f"))
