"""The second half of a preparation: learn the words and the tokens, and encode the pairs."""

import math
import shutil
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import datasets
import pyarrow as pa

from translator.config import Config
from translator.corpus.parallel_map import map_batches
from translator.data.arrays import write_ragged
from translator.data.phrases import extract_phrases
from translator.data.report import TokenizerReport, write_report
from translator.data.tokenizer import UNK_ID, Tokenizer, train_tokenizer
from translator.system.checksums import sha256_of
from translator.system.records import read_record, write_record
from translator.text.lexicon import LEXICON_FILE, Lexicons, count_words
from translator.text.model_text import ModelText

# The words, the tokens and the phrases are learned from at most this many pairs, in blocks spread
# over the corpus. More pairs hardly change them, and they are in memory meanwhile.
_MAX_PAIRS = 500_000
_BLOCK = 1000


def write_encoded(
    config: Config, train: datasets.Dataset, folder: Path, given_tokenizer: Path | None
) -> None:
    """Write the lexicon, the tokenizer, the encoded pairs, the phrases and a report.

    Args:
        config: languages and size of the vocabulary
        train: the training pairs
        folder: where to write
        given_tokenizer: a SentencePiece model to use instead of training one; the lexicon in its
            folder is extended with the words of these pairs
    """
    started = time.monotonic()
    lexicons = count_words(_sample(train))
    if given_tokenizer is not None:
        lexicons = read_record(given_tokenizer.with_name(LEXICON_FILE), Lexicons).merged_with(
            lexicons
        )
    write_record(folder / LEXICON_FILE, lexicons)
    model_text = ModelText(config.corpus.src_lang, config.corpus.tgt_lang, lexicons)

    def to_model_text(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        pairs = map(model_text.pair, batch["src"], batch["tgt"])
        src, tgt = zip(*pairs, strict=True)
        return {"src": list(src), "tgt": list(tgt)}

    work = folder / "work"  # the intermediate Arrow files
    work.mkdir()
    texts = map_batches(
        train,
        to_model_text,
        "convert",
        remove_columns=train.column_names,
        cache_file_name=str(work / "texts.arrow"),
    )
    path = folder / "tokenizer.model"
    if given_tokenizer is None:
        sentences = chain.from_iterable(_sample(texts))
        train_tokenizer(sentences, config.tokenizer.vocab_size, path)
    else:
        shutil.copyfile(given_tokenizer, path)
    tokenizer = Tokenizer(path)
    unknown = _write_ids(texts, tokenizer, folder, work)
    if given_tokenizer is not None and unknown:
        print(
            f"note: {unknown} characters of this corpus are not in the vocabulary of the given "
            "tokenizer; the model can't write them",
            file=sys.stderr,
        )
    words, phrases = extract_phrases(_sample(texts), config.corpus.tgt_lang)
    for side, name in enumerate(("phrases-src", "phrases-tgt")):
        ids = tokenizer.encode([entry[side] for entry in words + phrases])
        write_ragged(folder / name, [pa.array(ids, pa.list_(pa.int32()))])
    del texts
    shutil.rmtree(work)
    report = TokenizerReport(
        vocab_size=tokenizer.vocab_size,
        tokenizer_sha256=sha256_of(path),
        lexicon_sha256=sha256_of(folder / LEXICON_FILE),
        words=len(words),
        phrases=len(phrases),
        tokenizer_seconds=round(time.monotonic() - started, 1),
    )
    write_report(folder, report)


def _sample(pairs: datasets.Dataset) -> Iterator[tuple[str, str]]:
    """Yield at most `_MAX_PAIRS` pairs."""
    blocks = math.ceil(len(pairs) / _BLOCK)
    step = math.ceil(len(pairs) / _MAX_PAIRS)
    for block in range(0, blocks, step):
        batch = pairs[block * _BLOCK : (block + 1) * _BLOCK]
        yield from zip(batch["src"], batch["tgt"], strict=True)


def _write_ids(texts: datasets.Dataset, tokenizer: Tokenizer, folder: Path, work: Path) -> int:
    """Write the ids of all pairs; return the number of unknown tokens."""

    def to_ids(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        return {
            "src_ids": tokenizer.encode(batch["src"]),
            "tgt_ids": tokenizer.encode(batch["tgt"]),
        }

    ids = datasets.List(datasets.Value("int32"))
    encoded = map_batches(
        texts,
        to_ids,
        "tokenize",
        remove_columns=texts.column_names,
        features=datasets.Features({"src_ids": ids, "tgt_ids": ids}),
        cache_file_name=str(work / "ids.arrow"),
    )
    unknown = 0
    for side in ("src", "tgt"):
        chunks = encoded.data.column(f"{side}_ids").chunks
        write_ragged(folder / side, chunks)
        unknown += sum(int((chunk.flatten().to_numpy() == UNK_ID).sum()) for chunk in chunks)
    return unknown
