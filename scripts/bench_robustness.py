"""Measure how well runs translate what people type: lower case, typos, names, numbers, links.

    python scripts/bench_robustness.py --run-dir runs/quickstart runs/plain

It changes held-out sentences by rule, and has lists of words and sentences whose translations it
checks by rule (see `translator/evaluation/robustness.py`). All systems translate the sentences of
the first run, which the other runs should hold out too. Apertium, a rule-based system, is measured
if it is installed with English to Spanish (`apt install apertium-eng-spa`).
"""

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarking.options import ScriptParser, require_positive
from benchmarking.records import print_table, records_of, write_records

from translator import load
from translator.errors import TranslatorError, exit_on_user_error
from translator.evaluation.robustness import measure_robustness, translate_with
from translator.runs.run import Run

_APERTIUM_PAIR = "eng-spa"


def why_no_apertium(languages: tuple[str, str]) -> str | None:
    """Why Apertium can't be measured here; None if it can."""
    if languages != ("en", "es"):
        return "the runs don't translate from English to Spanish"
    if shutil.which("apertium") is None:
        return "it is not installed (see --help)"
    listed = subprocess.run(["apertium", "-l"], capture_output=True, text=True)
    if _APERTIUM_PAIR not in listed.stdout.split():
        return f"it has no {_APERTIUM_PAIR} (see --help)"
    return None


def apertium_translate(texts: list[str]) -> list[str]:
    """Translate with Apertium, line by line and in one process.

    Raises:
        TranslatorError: Apertium failed, or joined or split lines.
    """
    lines = [line for text in texts for line in text.split("\n") if line]
    # An empty line ends a sentence, so that no rule changes words of two lines together. Apertium
    # marks unknown words with a star, unless -u is given.
    result = subprocess.run(
        ["apertium", "-u", _APERTIUM_PAIR],
        input="".join(f"{line}\n\n" for line in lines),
        capture_output=True,
        text=True,
    )
    translated = [line for line in result.stdout.split("\n") if line]
    if result.returncode or len(translated) != len(lines):
        raise TranslatorError(
            f"apertium returned {len(translated)} lines for {len(lines)} "
            f"(exit code {result.returncode}): {result.stderr.strip()}"
        )
    left = iter(translated)
    return ["\n".join(next(left) if line else "" for line in text.split("\n")) for text in texts]


def main() -> None:
    """Measure each system, then print and write the measures."""
    parser = ScriptParser(__doc__)
    parser.add_argument("--run-dir", type=Path, nargs="+", default=[Path("runs/quickstart")])
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument(
        "--max-examples", type=int, default=500, help="number of sentences that are changed"
    )
    parser.add_json_option()
    arguments = parser.parse_args()
    require_positive("--beam-size", arguments.beam_size)
    require_positive("--max-examples", arguments.max_examples)
    runs = [Run(path) for path in arguments.run_dir]
    languages = {(m.src_lang, m.tgt_lang) for m in (run.read_manifest() for run in runs)}
    if len(languages) > 1:
        raise TranslatorError("--run-dir: the runs translate between different languages")
    [(src_lang, tgt_lang)] = languages
    examples = runs[0].read_held_out(arguments.split)
    systems = {str(run.path): translate_with(load(run.path), arguments.beam_size) for run in runs}
    missing = why_no_apertium((src_lang, tgt_lang))
    if missing:
        print(f"apertium: skipped, {missing}", file=sys.stderr)
    else:
        systems["apertium"] = apertium_translate
    measured, units = {}, {}
    for name, translate in systems.items():
        print(f"measuring {name} …", file=sys.stderr)
        rows = measure_robustness(
            translate,
            examples,
            src_lang=src_lang,
            tgt_lang=tgt_lang,
            max_examples=arguments.max_examples,
        )
        measured[name] = {row.measure: row.value for row in rows}
        units = {row.measure: row.unit for row in rows}
    print_table(measured, units)
    write_records(records_of(measured, units), arguments.json)


if __name__ == "__main__":
    with exit_on_user_error("bench_robustness"):
        main()
