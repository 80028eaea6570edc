"""Encode text as token ids and decode it, with one SentencePiece vocabulary for both languages."""

import io
import re
import threading
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import sentencepiece

from translator.data.tokenizer_format import MAX_MODEL_BYTES, check_model
from translator.errors import TranslatorError
from translator.system.files import write_bytes
from translator.text.symbols import SPACE, SYMBOLS, UNKNOWN

# The same in every run, so that no code has to look them up in a tokenizer.
PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3

# SentencePiece divides its counting among the threads. The number is fixed, so that every machine
# trains the same model.
_TRAINING_THREADS = 4

# The beginning of a text that spells one of SentencePiece's own pieces.
_PIECE = re.compile("<(?=(?:pad|unk|/?s)>)")

# In bytes. By default SentencePiece skips sentences of more than 4,192 bytes, and could miss
# characters that way. Cleaning has already removed long sentences.
_MAX_SENTENCE_BYTES = 1 << 24


def train_tokenizer(sentences: Iterable[str], vocab_size: int, path: Path) -> None:
    """Train a byte-pair-encoding model (Sennrich et al. 2016) and write it to `path`.

    SentencePiece doesn't normalize the text any further (see `normalize`), so decoding returns
    exactly what was encoded. The vocabulary contains every character of the training text.

    Args:
        sentences: training text of both languages
        vocab_size: number of tokens, including the four special ones
        path: the file to write

    Raises:
        TranslatorError: the vocabulary is too large for the text, or too small for its characters.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(_learnable, sentences),
            model_writer=model,
            model_type="bpe",
            vocab_size=vocab_size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            user_defined_symbols=[space + sign for sign in SYMBOLS for space in (SPACE, "")],
            num_threads=_TRAINING_THREADS,
            max_sentence_length=_MAX_SENTENCE_BYTES,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise TranslatorError(_explain(str(error), vocab_size)) from error
    write_bytes(path, model.getvalue())


def _learnable(sentence: str) -> str:
    """Change what SentencePiece would skip, so that it learns every character.

    It skips the letters of `<s>` and of its other pieces, and whole sentences with "▅". Encoding
    has no such exceptions, so only the training text is changed.
    """
    return _PIECE.sub("< ", sentence).replace(UNKNOWN, " ")


def _explain(message: str, vocab_size: int) -> str:
    """Replace an error message of SentencePiece with one that says what to do."""
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
        TranslatorError: the file is missing, or is not a model that `train_tokenizer` wrote.
    """

    def __init__(self, path: Path) -> None:
        """Load the model at `path`."""
        try:
            with path.open("rb") as file:
                model = file.read(MAX_MODEL_BYTES + 1)
            if len(model) > MAX_MODEL_BYTES:
                raise ValueError("too large")
            check_model(model)
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (OSError, RuntimeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise TranslatorError(
                f"{path}: not a readable SentencePiece model of this program ({reason}); restore "
                "the file, or train again"
            ) from error

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return int(self._processor.vocab_size())

    @cached_property
    def alphabet(self) -> frozenset[str]:
        """The characters that the tokenizer knows, with the space, without `SYMBOLS`."""
        pieces = self.pieces(list(range(self.vocab_size)))
        return frozenset({" ", *(piece for piece in pieces if len(piece) == 1)} - {*SYMBOLS, SPACE})

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the token ids of each text, without bos and eos."""
        ids: list[list[int]] = self._processor.encode(texts)
        return ids

    def encode_with_spans(self, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """Return the token ids of each text, and the span of characters of each token.

        A span includes the space before a word if the token does.
        """
        encoded = self._processor.encode(texts, out_type="immutable_proto", num_threads=1)
        return [
            ([p.id for p in text.pieces], [(p.begin, p.end) for p in text.pieces])
            for text in encoded
        ]

    def sample(self, texts: list[str], dropout: float, seed: int) -> list[list[int]]:
        """Like `encode`, but each merge is skipped with probability `dropout` (BPE-dropout).

        The same texts, dropout and seed give the same ids. SentencePiece has a random generator in
        each thread, which is seeded at its first use, so each call uses a new thread.
        """
        results: list[list[list[int]]] = []

        def draw() -> None:
            results.append(
                self._processor.encode(texts, num_threads=1, enable_sampling=True, alpha=dropout)
            )

        sentencepiece.set_random_generator_seed(seed)
        thread = threading.Thread(target=draw)
        thread.start()
        thread.join()
        return results[0]

    def decode(self, ids: list[list[int]]) -> list[str]:
        """Return the text of each list of ids, without pad, bos and eos."""
        texts: list[str] = self._processor.decode(ids)
        return texts

    def pieces(self, ids: list[int]) -> list[str]:
        """Return the text of each token, with "▁" for a space: the pieces of SentencePiece."""
        return [str(self._processor.id_to_piece(i)) for i in ids]
