"""A crafted tokenizer is refused before SentencePiece, which it could crash, reads it."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from fuzzing.targets import changed
from helpers import everyday_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from translator.data import tokenizer_format
from translator.data.tokenizer import train_tokenizer
from translator.data.tokenizer_format import MAX_MODEL_BYTES, check_model
from translator.text.normalization import normalize

# Loads each model whose name it reads, and uses it. It is a process of its own, so that a crash
# ends that process and not the tests.
LOADER = """
import sys
from pathlib import Path
from translator.data.tokenizer import Tokenizer
from translator.errors import TranslatorError
for name in sys.stdin:
    try:
        tokenizer = Tokenizer(Path(name.strip()))
        assert tokenizer.alphabet
        ids = tokenizer.encode(["The cat sleeps.", "a" * 100])
        tokenizer.decode(ids + [list(range(tokenizer.vocab_size))])
        tokenizer.sample(["The cat sleeps."], 0.5, 1)
        print("works", flush=True)
    except TranslatorError as error:
        print(error, flush=True)
"""
Load = Callable[[bytes], str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer((normalize(line[0]) for line in everyday_lines()), 150, path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    """A function that loads a model and returns "works" or the error; "" after a crash."""
    path = tmp_path_factory.mktemp("loaded") / "tokenizer.model"
    with subprocess.Popen(
        [sys.executable, "-c", LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as loader:
        assert loader.stdin
        assert loader.stdout
        requests, answers = loader.stdin, loader.stdout

        def ask(content: bytes) -> str:
            path.write_bytes(content)
            requests.write(f"{path}\n")
            requests.flush()
            return answers.readline().strip()

        yield ask
        requests.close()


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(value)) + value


def piece(text: bytes, score: bytes = bytes(4), kind: int = 1) -> bytes:
    return field(1, field(1, text) + b"\x15" + score + b"\x18" + bytes([kind]))


def replaced(model: bytes, old: bytes, new: bytes) -> bytes:
    assert model.count(old) == 1
    return model.replace(old, new)


BPE, UNIGRAM = b"\x18\x02\x20\x96\x01", b"\x18\x01\x20\x96\x01"  # of a vocabulary of 150
IDENTITY = field(3, field(1, b"identity") + field(2, b""))
HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "unigram": lambda model: replaced(model, BPE, UNIGRAM),
    "unigram, a piece of a megabyte": lambda model: (
        replaced(model, BPE, UNIGRAM) + piece(b"a" * 2**20)
    ),
    "a piece of a megabyte": lambda model: model + piece(b"a" * 2**20),
    "a long user-defined piece": lambda model: model + piece(b"a" * 2**20, kind=4),
    "a piece of 17 characters": lambda model: model + piece(b"abcdefghijklmnopq"),
    "an empty piece": lambda model: model + piece(b""),
    "a piece with a zero": lambda model: model + piece(b"a\0b", kind=4),
    "a piece that is not UTF-8": lambda model: model + piece(b"\xff"),
    "a piece twice": lambda model: model + piece(b"~~") * 2,
    "an unused piece": lambda model: model + piece(b"~~", kind=5),
    "a byte piece": lambda model: model + piece(b"<0x00>", kind=6),
    "a score that is no number": lambda model: model + piece(b"~~", b"\0\0\xc0\x7f"),
    "a piece before the special ones": lambda model: piece(b"~~") + model,
    "a map of characters": lambda model: replaced(
        model, IDENTITY, field(3, field(1, b"identity") + field(2, b"\x04\0\0\0" + b"\xff" * 40))
    ),
    "a second normalizer": lambda model: model + IDENTITY,
    "tests of itself": lambda model: model + field(4, field(1, field(1, b"a") + field(2, b"b"))),
    "an unknown field": lambda model: model + field(200, b"a"),
    "an endless number": lambda model: model + b"\xff" * 1000,
    "a size beyond the end": lambda model: model + b"\x0a\xff\xff\xff\xff\x0f",
    "too large": lambda model: model + bytes(MAX_MODEL_BYTES),
    "nothing": lambda model: b"",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_crafted_model_is_refused(load: Load, model: bytes, kind: str) -> None:
    assert "not a readable SentencePiece model" in load(HOSTILE[kind](model))


def test_more_pieces_than_a_vocabulary_may_have_are_refused(
    model: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_format, "MAX_VOCAB_SIZE", 150)
    check_model(model)
    with pytest.raises(ValueError, match="more than 150 tokens"):
        check_model(model + piece(b"~~"))


def test_another_piece_and_another_score_are_accepted(load: Load, model: bytes) -> None:
    """So the models above are refused for what they say."""
    assert load(model + piece("ábcdefghijklmnop".encode(), b"\0\0\x80\xc3")) == "works"


def test_a_trained_model_is_accepted(load: Load, model: bytes) -> None:
    check_model(model)
    assert load(model) == "works"


CHANGE = st.tuples(st.sampled_from(range(5)), st.integers(0, 2**24 - 1), st.binary(max_size=6))


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(CHANGE, min_size=1, max_size=3))
def test_a_changed_model_works_or_is_refused(
    load: Load, model: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    how = b"\xff".join(bytes([op]) + place.to_bytes(3) + new for op, place, new in changes)
    answer = load(changed(model, how))
    assert answer == "works" or "not a readable SentencePiece model" in answer
