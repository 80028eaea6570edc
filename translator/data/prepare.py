"""Turn a corpus into training data, once: fetch, clean, split, tokenize.

DATA_DIR/prepared/CORPUS/            CORPUS is a hash of everything that decides its content
    train/                           pairs as Arrow files: src, tgt, source
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
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from translator.config import Config
from translator.corpus.cleaning import clean
from translator.corpus.held_out import Example, content_hash, write_examples
from translator.corpus.leaks import LeakReport, check_leaks
from translator.corpus.parallel_map import BATCH, BATCH_BYTES
from translator.corpus.sources import Source, find_source
from translator.corpus.splitting import add_groups, split
from translator.corpus.text_files import Row
from translator.data.encoding import write_encoded
from translator.data.report import (
    CorpusReport,
    HeldOutCounts,
    PreparationReport,
    TokenizerReport,
    join_reports,
    read_report,
    write_report,
)
from translator.errors import TranslatorError
from translator.system.checksums import find_damaged_file, fingerprint, sha256_of, write_checksums
from translator.system.files import (
    atomic_path,
    locked,
    prepared_data_error,
    remove_temporaries,
)
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
    source = find_source(config.corpus, Path(config.data_dir))
    corpus_dir = _corpus_dir(config, source)
    _make_once(corpus_dir, lambda folder: _make_corpus(config, source, folder), verify)
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


def _corpus_dir(config: Config, source: Source) -> Path:
    settings = asdict(config.corpus)
    # The fingerprint of the source covers these.
    for name in ("files", "hub_name", "hub_config", "hub_split", "hub_columns", "hub_rows"):
        settings.pop(name)
    key = fingerprint(PREPARE_VERSION, source.fingerprint, settings)
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


def _make_corpus(config: Config, source: Source, folder: Path) -> None:
    started = time.monotonic()
    work = folder / "work"  # the intermediate Arrow files
    pairs = _read(source, work)
    pairs_read = len(pairs)
    # Each table is released when the next one replaces it, or it would stay mapped into memory.
    pairs, dropped = clean(pairs, config.corpus)
    pairs_kept = len(pairs)
    if pairs_kept == 0:
        raise TranslatorError(f"{source.name}: no pair is left after cleaning ({dropped})")
    parts = split(add_groups(pairs, config.corpus), config.corpus)
    del pairs
    if not (parts.dev and parts.test and len(parts.train)):
        raise TranslatorError(
            f"{source.name}: {pairs_kept} pairs are too few, or share too many sentences, to "
            "hold out dev and test; use at least 30 different sentences"
        )
    train_sha256 = _hash_pairs(parts.train)
    (dev_leaks, dev), (test_leaks, test) = check_leaks(parts.train, [parts.dev, parts.test])
    _note_small("dev", len(dev), config.corpus.dev_sentences)
    _note_small("test", len(test), config.corpus.test_sentences)
    write_examples(folder / "dev.jsonl", dev)
    write_examples(folder / "test.jsonl", test)
    parts.train.save_to_disk(folder / "train")
    shutil.rmtree(work)
    report = CorpusReport(
        source=source.name,
        licence=source.licence,
        direction=config.corpus.direction,
        pairs_read=pairs_read,
        dropped=dropped,
        pairs_kept=pairs_kept,
        train_pairs=len(parts.train),
        train_sha256=train_sha256,
        unused_pairs=parts.unused_pairs,
        dev=_held_out_counts(dev_leaks, dev),
        test=_held_out_counts(test_leaks, test),
        seconds=round(time.monotonic() - started, 1),
    )
    write_report(folder, report)


def _read(source: Source, work: Path) -> datasets.Dataset:
    """Write the rows of a source to disk, and open them as a data set."""
    schema = pa.schema([(column, pa.string()) for column in ("src", "tgt", "source")])
    work.mkdir()
    path = work / "read.arrow"
    rows = tqdm(source.rows(), "read", unit="pair", unit_scale=True, disable=None)
    with pa.ipc.new_stream(path, schema) as writer:
        for batch in chunked(rows, BATCH, size=_characters, max_size=BATCH_BYTES):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema))
    pairs = datasets.Dataset.from_file(str(path))
    if len(pairs) == 0:
        raise TranslatorError(f"{source.name}: the corpus is empty")
    return pairs


def _characters(row: Row) -> int:
    return len(row["src"]) + len(row["tgt"])


def _note_small(name: str, sentences: int, asked: int) -> None:
    if sentences < asked:
        print(
            f"note: the corpus is small, so {name} has {sentences} source sentences "
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
