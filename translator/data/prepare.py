"""Turn a corpus into training data, once: fetch, clean, split, tokenize.

DATA_DIR/prepared/CORPUS/            CORPUS is a hash of everything that decides its content
    train/                           pairs as Arrow files: src, tgt, source; the pairs of a source
                                     of the configuration come after those of the one before
    dev.jsonl  test.jsonl            held-out sources with all their references
    report.json                      counts, hashes, licence: see `CorpusReport`
    SHA256SUMS                       checksums of these files, to detect damage
    tokenizer-HASH/                  what `write_encoded` writes:
        lexicon.json                 the words of both languages, see `Lexicon`
        tokenizer.model
        src-*.npy, tgt-*.npy         the training pairs as token ids, see `Ragged`
        phrases-*.npy                words and phrases as token ids, see `PhraseTable`
        report.json  SHA256SUMS
"""

import hashlib
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from translator.config import Config
from translator.corpus.cleaning import clean
from translator.corpus.held_out import Example, content_hash, write_examples
from translator.corpus.inspection import refuse_mostly_dropped
from translator.corpus.leaks import LeakReport, check_leaks
from translator.corpus.parallel_map import BATCH, BATCH_BYTES, column_array
from translator.corpus.sources import Source, find_sources
from translator.corpus.splitting import Split, add_groups, split
from translator.corpus.text_files import Row
from translator.data.encoding import write_encoded
from translator.data.report import (
    CorpusReport,
    HeldOutCounts,
    PreparationReport,
    SourceReport,
    TokenizerReport,
    join_reports,
    read_report,
    write_report,
)
from translator.errors import TranslatorError
from translator.system.checksums import find_damaged_file, fingerprint, sha256_of, write_checksums
from translator.system.files import atomic_path, prepared_data_error, remove_temporaries
from translator.system.locks import locked
from translator.system.parallel import chunked
from translator.text.lexicon import LEXICON_FILE

# Part of every hash. Increase it when the same settings give different files than before.
PREPARE_VERSION = 7


@dataclass(frozen=True)
class Prepared:
    """Prepared data on disk.

    Attributes:
        corpus_dir: folder of train/, dev.jsonl, test.jsonl and report.json
        tokenizer_dir: folder of tokenizer.model and the ids (see `Ragged`)
        report: source, licence, counts, leaks, hashes
    """

    corpus_dir: Path
    tokenizer_dir: Path
    report: PreparationReport

    @property
    def run_files(self) -> list[Path]:
        """The files of which each run has a copy, under the same name."""
        return [
            self.tokenizer_dir / "tokenizer.model",
            self.tokenizer_dir / LEXICON_FILE,
            self.corpus_dir / "dev.jsonl",
            self.corpus_dir / "test.jsonl",
        ]


def prepare(config: Config, verify: bool = True, given_tokenizer: Path | None = None) -> Prepared:
    """Prepare the corpus and the tokenizer, unless they are prepared already.

    Args:
        config: which corpus and tokenizer
        verify: whether to compare prepared data with their checksums. This reads all files, so
            with several processes on one machine, one of them is enough
        given_tokenizer: a SentencePiece model to use instead of training one

    Raises:
        TranslatorError: the corpus could not be loaded, is too small, or can't be written; or
            prepared data are damaged.
    """
    corpus_dir = prepare_corpus(config, verify)
    tokenizer_dir = prepare_tokenizer(config, corpus_dir, verify, given_tokenizer)
    report = join_reports(
        read_report(corpus_dir, CorpusReport), read_report(tokenizer_dir, TokenizerReport)
    )
    return Prepared(corpus_dir, tokenizer_dir, report)


def prepare_corpus(config: Config, verify: bool = True) -> Path:
    """Fetch, clean and split the corpus, unless that is done already.

    For `verify` see `prepare`.

    Returns:
        The folder of the corpus.
    """
    datasets.logging.set_verbosity_error()
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    sources = find_sources(config.corpus, Path(config.data_dir))
    corpus_dir = _corpus_dir(config, sources)
    _make_once(corpus_dir, lambda folder: _make_corpus(config, sources, folder), verify)
    return corpus_dir


def prepare_tokenizer(
    config: Config, corpus_dir: Path, verify: bool = True, given_tokenizer: Path | None = None
) -> Path:
    """Train the tokenizer and encode the training pairs, unless that is done already.

    For `verify` and `given_tokenizer` see `prepare`.

    Returns:
        The folder of the tokenizer.
    """
    source: object = config.tokenizer.vocab_size
    if given_tokenizer is not None:
        source = sha256_of(given_tokenizer), sha256_of(given_tokenizer.with_name(LEXICON_FILE))
    tokenizer_dir = corpus_dir / f"tokenizer-{fingerprint(PREPARE_VERSION, source)}"

    def make(folder: Path) -> None:
        write_encoded(config, load_pairs(corpus_dir / "train"), folder, given_tokenizer)

    _make_once(tokenizer_dir, make, verify)
    return tokenizer_dir


def _corpus_dir(config: Config, sources: dict[str, Source]) -> Path:
    settings = asdict(config.corpus)
    # The fingerprints of the sources cover these, except weights, which decide about epochs only.
    for name in ("sources", *config.corpus.origin()):
        settings.pop(name)
    fingerprints = [(name, source.fingerprint) for name, source in sources.items()]
    key = fingerprint(PREPARE_VERSION, fingerprints, settings)
    return Path(config.data_dir) / "prepared" / key


def _make_once(folder: Path, make: Callable[[Path], None], verify: bool) -> None:
    """Let `make` fill a new folder, which appears under its name once it is complete.

    If `folder` exists, only its checksums are compared, if `verify` is true.

    Raises:
        TranslatorError: the folder is damaged, or can't be written.
    """
    if folder.exists():
        damaged = find_damaged_file(folder) if verify else None
        if damaged:
            raise prepared_data_error(damaged, folder)
        return
    with locked(folder):
        if folder.exists():  # another process made it while this one waited
            return
        remove_temporaries(folder.parent, folder.name)
        with atomic_path(folder, replace=False) as temporary:
            temporary.mkdir()
            make(temporary)
            write_checksums(temporary)


def load_pairs(folder: Path) -> datasets.Dataset:
    """Load the pairs from a folder of Arrow files that `prepare` made.

    Raises:
        TranslatorError: the files can't be read.
    """
    try:
        return datasets.load_from_disk(folder)
    # The library's errors (no JSON, no Arrow, other columns …) have no common base class.
    except Exception as error:
        raise prepared_data_error(folder, folder.parent) from error


def _make_corpus(config: Config, sources: dict[str, Source], folder: Path) -> None:
    started = time.monotonic()
    work = folder / "work"  # the intermediate Arrow files
    pairs = _read(list(sources.values()), work)
    pairs_read = _count_origins(pairs, sources)
    # Each table is released when the next one replaces it, or it would stay mapped into memory.
    pairs, dropped = clean(pairs, config.corpus)
    pairs_kept = _count_origins(pairs, sources)
    for i, source in enumerate(sources.values()):
        if pairs_kept[i] == 0:
            raise TranslatorError(f"{source.name}: no pair is left after cleaning ({dropped[i]})")
        refuse_mostly_dropped(source.name, pairs_read[i], dropped[i], config.corpus)
    parts = split(add_groups(pairs, config.corpus), config.corpus)
    del pairs
    train_pairs = _count_origins(parts.train, sources)
    train = parts.train.remove_columns("origin")
    reports = [
        SourceReport(
            name=name,
            source=source.name,
            licence=source.licence,
            pairs_read=pairs_read[i],
            dropped=dropped[i],
            pairs_kept=pairs_kept[i],
            train_pairs=train_pairs[i],
            dev_sentences=sum(name in example.origins for example in parts.dev),
            test_sentences=sum(name in example.origins for example in parts.test),
        )
        for i, (name, source) in enumerate(sources.items())
    ]
    _refuse_empty_parts(reports, parts)
    _note_small(reports, config)
    train_sha256 = _hash_pairs(train)
    (dev_leaks, dev), (test_leaks, test) = check_leaks(train, [parts.dev, parts.test])
    write_examples(folder / "dev.jsonl", dev)
    write_examples(folder / "test.jsonl", test)
    train.save_to_disk(folder / "train")
    shutil.rmtree(work)
    report = CorpusReport.of_sources(
        reports,
        direction=config.corpus.direction,
        train_sha256=train_sha256,
        unused_pairs=parts.unused_pairs,
        dev=_held_out_counts(dev_leaks, dev),
        test=_held_out_counts(test_leaks, test),
        seconds=round(time.monotonic() - started, 1),
    )
    write_report(folder, report)


def _read(sources: list[Source], work: Path) -> datasets.Dataset:
    """Write the rows of all sources to disk, one after the other, and open them as a data set.

    The column `origin` is the index of the source.
    """
    texts = [(column, pa.string()) for column in ("src", "tgt", "source")]
    schema = pa.schema([*texts, ("origin", pa.int16())])
    work.mkdir()
    path = work / "read.arrow"
    with pa.ipc.new_stream(path, schema) as writer:
        for origin, source in enumerate(sources):
            rows = tqdm(source.rows(), "read", unit="pair", unit_scale=True, disable=None)
            batches = chunked(rows, BATCH, size=_characters, max_size=BATCH_BYTES)
            batch: list[Row] = []
            for batch in batches:
                numbered = [{**row, "origin": origin} for row in batch]
                writer.write_batch(pa.RecordBatch.from_pylist(numbered, schema))
            if not batch:
                raise TranslatorError(f"{source.name}: the corpus is empty")
    return datasets.Dataset.from_file(str(path))


def _count_origins(pairs: datasets.Dataset, sources: dict[str, Source]) -> list[int]:
    """Count the pairs of each source."""
    counts = np.bincount(column_array(pairs, "origin"), minlength=len(sources))
    return [int(count) for count in counts]


def _characters(row: Row) -> int:
    return len(row["src"]) + len(row["tgt"])


def _refuse_empty_parts(sources: list[SourceReport], parts: Split) -> None:
    if not (parts.dev and parts.test and len(parts.train)):
        titles = " and ".join(source.source for source in sources)
        kept = sum(source.pairs_kept for source in sources)
        raise TranslatorError(
            f"{titles}: {kept} pairs are too few, or share too many sentences, to "
            "hold out dev and test; use at least 30 different sentences"
        )
    for source in sources:
        if not source.train_pairs:
            raise TranslatorError(
                f"{source.source}: none of its {source.pairs_kept} pairs is left for training, "
                "because they are linked with held-out pairs of other sources; leave it out"
            )


def _note_small(sources: list[SourceReport], config: Config) -> None:
    for source in sources:
        name = source.name if len(sources) > 1 else "the corpus"
        for part, sentences, asked in (
            ("dev", source.dev_sentences, config.corpus.dev_sentences),
            ("test", source.test_sentences, config.corpus.test_sentences),
        ):
            if sentences < asked:
                print(
                    f"note: {name} is small, so {part} has {sentences} of its source sentences "
                    f"(at most a tenth of it is held out) instead of {asked}",
                    file=sys.stderr,
                )


def _held_out_counts(leaks: LeakReport, examples: list[Example]) -> HeldOutCounts:
    if leaks.src_seen or leaks.tgt_seen:
        raise RuntimeError(f"the split leaks, which is a bug: {leaks}")
    return HeldOutCounts(
        **vars(leaks),
        references=sum(len(example.references) for example in examples),
        sha256=content_hash(examples),
    )


def _hash_pairs(pairs: datasets.Dataset) -> str:
    """Compute the SHA-256 of the pairs, written as a TSV file of two columns."""
    digest = hashlib.sha256()
    for batch in pairs.with_format("arrow").iter(batch_size=BATCH):
        lines = pc.binary_join_element_wise(batch["src"], batch["tgt"], "\t")
        digest.update("\n".join([*lines.to_pylist(), ""]).encode())
    return digest.hexdigest()
