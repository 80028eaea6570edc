"""The command that shows which words are translations of each other."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import Namespace

from translator.cli.options import add_run_options, command_parser, parse, selected_run
from translator.errors import TranslatorError, print_note
from translator.runs.run import Run
from translator.system.parallel import chunked

if TYPE_CHECKING:
    from translator.alignment.aligner import Aligner
    from translator.alignment.scoring import GoldPair
    from translator.alignment.words import Floats, Pair

# Number of pairs of a file that are in memory at the same time.
_CHUNK_PAIRS = 1000
# Named here so that --help does not import the modules that read attention.
_SYMMETRIZATIONS = ("agreement", "grow-diag-final-and", "intersection", "union")


def align_command(argv: list[str]) -> None:
    """Show which words are translations of each other, as links between word numbers (from 0)."""
    parser = command_parser(align_command, '--show "The cat sleeps." "El gato duerme."')
    parser.add_argument(
        "texts",
        nargs="*",
        help="a sentence and its translation; if that is missing, the run translates",
    )
    add_run_options(parser)
    parser.add_argument("--pairs", type=str, help="align the pairs of this TSV file")
    parser.add_argument(
        "--train", action="store_true", help="align the pairs that the run was trained on"
    )
    parser.add_argument(
        "--reverse-run", type=str, help="a run of the opposite direction: align with both runs"
    )
    parser.add_argument(
        "--symmetrize",
        choices=_SYMMETRIZATIONS,
        help=f"how to combine the two directions; default: {_SYMMETRIZATIONS[0]}",
    )
    parser.add_argument("--gold", type=str, help="score on this TSV file, with links in column 3")
    parser.add_argument(
        "--gold-base",
        type=int,
        choices=[0, 1],
        help="number of the first word in the gold links; default: 0",
    )
    parser.add_argument(
        "--heads", action="store_true", help="with --gold: score each layer and head separately"
    )
    parser.add_argument("--json", action="store_true", help="print words, links, weights as JSON")
    parser.add_argument("--show", action="store_true", help="draw the weights in the terminal")
    parser.add_argument("--picture", type=str, help="draw the weights into this .png or .svg file")
    parser.add_argument("--page", type=str, help="write an HTML page; it highlights linked words")
    options = parse(parser, argv)
    given = [len(options.texts) in (1, 2), options.pairs, options.gold, options.train]
    if sum(map(bool, given)) != 1 or len(options.texts) > 2:
        raise TranslatorError(
            "give one of: a sentence (and its translation), --pairs FILE, --gold FILE, --train"
        )
    _refuse_options_without_effect(options)
    if options.picture and Path(options.picture).suffix not in (".png", ".svg"):
        raise TranslatorError(f"--picture {options.picture}: the name must end with .png or .svg")
    from translator.alignment.aligner import load_aligner

    run = selected_run(options)
    aligner = load_aligner(run, options.device)
    reverse = None
    if options.reverse_run:
        reverse = load_aligner(Run(Path(options.reverse_run)), options.device)
        src_lang, tgt_lang = reverse.translator.src_lang, reverse.translator.tgt_lang
        if (tgt_lang, src_lang) != (aligner.translator.src_lang, aligner.translator.tgt_lang):
            raise TranslatorError(
                f"--reverse-run {options.reverse_run} translates from {src_lang} to {tgt_lang}; "
                "it must translate in the opposite direction of the run"
            )
    print(f"reading {aligner.reading}", file=sys.stderr)
    if options.gold:
        _score(options, aligner, reverse)
    elif options.pairs or options.train:
        pairs = _pairs_of_file(Path(options.pairs)) if options.pairs else _pairs_of_training(run)
        for chunk in chunked(pairs, _CHUNK_PAIRS):
            _print_pairs(options, aligner, reverse, chunk)
    else:
        pair = _pair_of_texts(options.texts, aligner)
        [weights] = _print_pairs(options, aligner, reverse, [pair])
        _draw(options, aligner, pair, weights)


def _refuse_options_without_effect(options: Namespace) -> None:
    needed = {
        "show": ("a sentence", options.texts),
        "picture": ("a sentence", options.texts),
        "page": ("a sentence", options.texts),
        "symmetrize": ("--reverse-run", options.reverse_run and not options.heads),
        "gold_base": ("--gold", options.gold),
        "heads": ("--gold, and neither --json nor --reverse-run",
                  options.gold and not options.json and not options.reverse_run),
    }  # fmt: skip
    for name, (what, there) in needed.items():
        given = options[name] is not None and options[name] is not False  # 0 counts as given
        if given and not there:
            raise TranslatorError(f"--{name.replace('_', '-')} needs {what}")


def _pair_of_texts(texts: list[str], aligner: "Aligner") -> "Pair":
    from translator.alignment.words import require_sentences, split_words

    src, *given = texts
    if given:
        tgt = given[0]
    else:
        [translation] = aligner.translator.translate([src])
        tgt = translation.text
        for warning in translation.warnings:
            print_note(warning)
    pair = split_words(src), split_words(tgt)
    if not (pair[0].words and pair[1].words):
        raise TranslatorError("nothing to align: the sentence or its translation has no words")
    require_sentences(pair, "the sentence or its translation")
    return pair


def _pairs_of_file(path: Path) -> "Iterator[Pair]":
    from translator.alignment.scoring import read_pairs

    return ((src, tgt) for _, src, tgt, _ in read_pairs(path))


def _pairs_of_training(run: Run) -> "Iterator[Pair]":
    from translator.alignment.aligner import training_pairs
    from translator.data.prepare import prepare_corpus
    from translator.data.report import CorpusReport, read_report

    corpus_dir = prepare_corpus(run.load_config())
    trained_on = run.read_manifest().corpus.train_sha256
    if read_report(corpus_dir, CorpusReport).train_sha256 != trained_on:
        raise TranslatorError(
            f"{run.path}: the corpus has changed since it was trained; restore it, or train again"
        )
    return training_pairs(corpus_dir)


def _print_pairs(
    options: Namespace, aligner: "Aligner", reverse: "Aligner | None", pairs: "list[Pair]"
) -> "list[Floats]":
    """Print the links of pairs.

    Returns:
        The attention weights of each pair, from target words to source words.
    """
    from translator.alignment.aligner import bidirectional_weights
    from translator.alignment.symmetrization import best_links, symmetrize

    found: list[tuple[Floats, ...]]
    if reverse is None:
        found = [(weights,) for weights in aligner.weights(pairs)]
        links = [best_links(weights) for (weights,) in found]
    else:
        both = list(bidirectional_weights(aligner, reverse, pairs))
        found, links = [*both], [symmetrize(_how(options), *of_pair) for of_pair in both]
    for (src, tgt), weights, of_pair in zip(pairs, found, links, strict=True):
        if options.json:
            record = {"src": src.words, "tgt": tgt.words, "links": sorted(of_pair)}
            rounded = [of_direction.round(4).tolist() for of_direction in weights]
            record |= dict(zip(("weights", "reverse_weights"), rounded, strict=False))
            print(json.dumps(record, ensure_ascii=False))
            continue
        pharaoh = " ".join(f"{i}-{j}" for i, j in sorted(of_pair))
        # For texts on the command line, also print the words that the numbers refer to.
        named = [" ".join(src.words), " ".join(tgt.words)] if options.texts else []
        print("\t".join([*named, pharaoh]))
    return [weights[0] for weights in found]


def _how(options: Namespace) -> str:
    return str(options.symmetrize or _SYMMETRIZATIONS[0])


def _draw(options: Namespace, aligner: "Aligner", pair: "Pair", weights: "Floats") -> None:
    src, tgt = pair
    if options.show:
        from translator.alignment.rendering import render_terminal

        print(render_terminal(src.words, tgt.words, weights))
    if options.picture:
        from translator.runs.figures import draw_attention

        draw_attention([(src.words, tgt.words, weights)], Path(options.picture))
    if options.page:
        from translator.alignment.rendering import write_html

        write_html(aligner, [pair], Path(options.page))


def _score(options: Namespace, aligner: "Aligner", reverse: "Aligner | None") -> None:
    from tabulate import tabulate

    from translator.alignment.aligner import bidirectional_links
    from translator.alignment.scoring import read_gold, score_links

    gold = read_gold(Path(options.gold), options.gold_base or 0)
    if options.heads:
        rows = _scores_of_heads(aligner, gold)
        print(tabulate(rows, headers="keys", floatfmt=".3f", missingval="-"))
        return
    pairs = [pair.pair for pair in gold]
    if reverse:
        links = bidirectional_links(aligner, reverse, pairs, _how(options))
    else:
        links = aligner.links(pairs)
    scores = asdict(score_links(links, gold)) | {"pairs": len(gold)}
    if options.json:
        print(json.dumps(scores))
    else:
        print(tabulate(scores.items(), tablefmt="plain", floatfmt=".3f"))


def _scores_of_heads(aligner: "Aligner", gold: "list[GoldPair]") -> list[dict[str, Any]]:
    """Return AER, with a row for each step and layer, and a column for each head and the mean."""
    from translator.alignment.aligner import links_by_reading
    from translator.alignment.extraction import candidate_heads
    from translator.alignment.scoring import score_links

    heads = [*range(aligner.model.n_heads), None]
    every = candidate_heads(aligner.model.decoder_layers, heads)
    found = links_by_reading(aligner.translator, [pair.pair for pair in gold], every)
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for reading, links in zip(every, found, strict=True):
        row = rows.setdefault(
            (reading.step, reading.layer), {"step": reading.step, "layer": reading.layer + 1}
        )
        name = "mean" if reading.head is None else f"head {reading.head + 1}"
        row[name] = score_links(links, gold).aer
    return list(rows.values())
