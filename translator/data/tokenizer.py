"""Text to pieces and back: a joint SentencePiece vocabulary for both languages."""

import io
import re
import threading
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from translator.errors import TranslatorError
from translator.system.files import write_bytes

# Fixed for every run, so that no code has to ask a tokenizer for them.
PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3

# SentencePiece counts in so many shards; fixed, so that every machine trains the same model.
_TRAINING_THREADS = 4

# In bytes. SentencePiece would skip sentences over 4,192, and with them characters of the corpus;
# cleaning alone decides what is too long.
_MAX_SENTENCE_BYTES = 1 << 24


def train_tokenizer(sentences: Iterable[str], vocab_size: int, path: Path) -> None:
    """Train a byte-pair-encoding model (Sennrich et al. 2016) and write it to `path`.

    Text is taken as `normalize` leaves it: SentencePiece changes nothing further, so decoding
    gives back exactly what was encoded. Every character of the training text is in the vocabulary.

    Args:
        sentences: training text of both languages
        vocab_size: number of pieces, the four special ones included
        path: where the model goes

    Raises:
        TranslatorError: the text is too small for the vocabulary, or has more characters than it.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            num_threads=_TRAINING_THREADS,
            max_sentence_length=_MAX_SENTENCE_BYTES,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise TranslatorError(_explain(str(error), vocab_size)) from error
    write_bytes(path, model.getvalue())


def _explain(message: str, vocab_size: int) -> str:
    if largest := re.search(r"value <= (\d+)", message):
        return (
            f"tokenizer.vocab_size {vocab_size} is too large for this corpus: "
            f"set --tokenizer.vocab_size {largest[1]} or less"
        )
    if smallest := re.search(r"smaller than required_chars\D*\d+ vs (\d+)", message):
        return (
            f"tokenizer.vocab_size {vocab_size} is too small for the characters of this corpus: "
            f"set --tokenizer.vocab_size {smallest[1]} or more"
        )
    return f"SentencePiece can't train on this corpus: {message}"


class Tokenizer:
    """A trained SentencePiece model.

    Raises:
        TranslatorError: the file is missing or is not such a model.
    """

    def __init__(self, path: Path) -> None:
        """Load the model at `path`."""
        try:
            self._pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise TranslatorError(f"{path}: not a readable SentencePiece model") from error

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return int(self._pieces.vocab_size())

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Piece ids of each text, without bos or eos."""
        ids: list[list[int]] = self._pieces.encode(texts)
        return ids

    def encode_with_spans(self, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Piece ids of each text, and which of its characters each piece stands for.

        The spans hold the space before a word, if its first piece does.
        """
        found = self._pieces.encode(texts, out_type="immutable_proto", num_threads=1)
        return [
            ([p.id for p in text.pieces], [(p.begin, p.end) for p in text.pieces]) for text in found
        ]

    def sample(self, texts: list[str], dropout: float, seed: int) -> list[list[int]]:
        """Like `encode`, but each merge is skipped with probability `dropout`.

        The same texts, dropout and seed give the same ids. SentencePiece keeps one random
        generator per thread, seeded when it is first used: a fresh thread starts from our seed.
        """
        results: list[list[list[int]]] = []

        def draw() -> None:
            results.append(
                self._pieces.encode(texts, num_threads=1, enable_sampling=True, alpha=dropout)
            )

        sentencepiece.set_random_generator_seed(seed)
        thread = threading.Thread(target=draw)
        thread.start()
        thread.join()
        return results[0]

    def decode(self, ids: list[list[int]]) -> list[str]:
        """The text of each list of ids; pad, bos and eos are left out."""
        texts: list[str] = self._pieces.decode(ids)
        return texts

    def pieces(self, ids: list[int]) -> list[str]:
        """The piece behind each id, "▁" marking the start of a word."""
        return [str(self._pieces.id_to_piece(i)) for i in ids]
