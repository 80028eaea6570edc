"""Decoding restores the encoded text; training and sampling are repeatable."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers import everyday_lines
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from translator.config import CorpusConfig
from translator.corpus.cleaning import reason_to_drop
from translator.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, train_tokenizer
from translator.errors import TranslatorError
from translator.text.normalization import normalize

LINES = everyday_lines()
SENTENCES = [normalize(text) for line in LINES for text in line[:2]]
# Characters that look like special pieces, that other normal forms change, or that are rare.
SENTENCES += [
    "<s> y </s>, <pad> y <unk>",
    "1 < 2 > 1/2",
    "la 1.ª vez, 5 m² y ½ litro…",
    "un gato 🐈 feliz",
    "naïve façade",
]
CHARACTERS = sorted(set("".join(SENTENCES)))
VOCAB_SIZE = 320


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    train_tokenizer(SENTENCES, VOCAB_SIZE, path)
    return path


@pytest.fixture(scope="module")
def tokenizer(model: Path) -> Tokenizer:
    return Tokenizer(model)


# --- text to ids and back -------------------------------------------------------------------------


@given(text=st.text(CHARACTERS).map(normalize))
@example(text="<s> </s> <pad> <unk>")
@example(text="")
@example(text="🐈🐈")
def test_decoding_restores_the_encoded_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode([text])) == [text]


@given(text=st.text(CHARACTERS).map(normalize))
@example(text="<s> </s> <pad> <unk>")
def test_text_never_becomes_a_special_piece(tokenizer: Tokenizer, text: str) -> None:
    assert {PAD_ID, UNK_ID, BOS_ID, EOS_ID}.isdisjoint(tokenizer.encode([text])[0])


def test_a_batch_is_encoded_and_decoded_row_by_row(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(SENTENCES)
    assert ids == [tokenizer.encode([text])[0] for text in SENTENCES]
    assert tokenizer.decode(ids) == SENTENCES


def test_special_ids_are_fixed(tokenizer: Tokenizer) -> None:
    assert (PAD_ID, UNK_ID, BOS_ID, EOS_ID) == (0, 1, 2, 3)
    assert tokenizer.pieces([0, 1, 2, 3]) == ["<pad>", "<unk>", "<s>", "</s>"]


def test_an_unknown_character_is_one_unknown_piece(tokenizer: Tokenizer) -> None:
    assert "漢" not in CHARACTERS
    assert tokenizer.encode(["a漢a"])[0].count(UNK_ID) == 1


def test_decoding_leaves_out_special_pieces(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(["Hay un gato."])[0]
    assert tokenizer.decode([[BOS_ID, *ids, EOS_ID, PAD_ID, PAD_ID]]) == ["Hay un gato."]


def test_pieces_join_to_the_text(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.pieces(tokenizer.encode(["Hay un gato."])[0])
    assert "".join(pieces) == "▁Hay▁un▁gato."


def test_vocabulary_has_the_requested_size(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size == VOCAB_SIZE
    assert max(max(row) for row in tokenizer.encode(SENTENCES)) < VOCAB_SIZE


def test_training_again_gives_the_same_file(model: Path, tmp_path: Path) -> None:
    train_tokenizer(SENTENCES, VOCAB_SIZE, tmp_path / "again.model")
    assert (tmp_path / "again.model").read_bytes() == model.read_bytes()


# --- any training text ----------------------------------------------------------------------------

PIECES = ["<s>", "</s>", "<unk>", "<pad>", "<", ">", "/"]


def train_at_a_size_that_fits(texts: list[str], path: Path) -> Tokenizer:
    """Train with the size that the error for a far too large one names."""
    with pytest.raises(TranslatorError, match="is too large") as caught:
        train_tokenizer(texts, 9000, path)
    size = re.search(r"--tokenizer\.vocab_size (\d+) or less", str(caught.value))
    assert size
    train_tokenizer(texts, int(size[1]), path)
    return Tokenizer(path)


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("others", [[], ["a < b"], SENTENCES[:20]], ids=["alone", "few", "many"])
def test_a_text_that_spells_a_piece_of_sentencepiece_breaks_no_vocabulary(
    tmp_path: Path, piece: str, others: list[str]
) -> None:
    texts = [*others, f"{piece} y{piece}", piece]
    tokenizer = train_at_a_size_that_fits(texts, tmp_path / "tokenizer.model")
    assert tokenizer.decode(tokenizer.encode(texts)) == texts


def test_a_sentence_with_the_sign_for_unknown_characters_is_learned(tmp_path: Path) -> None:
    tokenizer = train_at_a_size_that_fits(["sol", "▅ luna"], tmp_path / "tokenizer.model")
    assert tokenizer.decode(tokenizer.encode(["un sol", "luna"])) == ["un sol", "luna"]


ANY_TEXT = st.text() | st.lists(st.sampled_from([*PIECES, "a", " ", "é", "⇧", "▁", "▅"])).map(
    "".join
)


@settings(max_examples=10)
@given(texts=st.lists(ANY_TEXT.map(normalize), min_size=1, max_size=6))
def test_any_text_that_cleaning_keeps_is_restored(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    config = CorpusConfig()
    kept = [text for text in texts if reason_to_drop(text, f"{text}.", config) is None]
    assume(kept)
    path = tmp_path_factory.mktemp("any") / "tokenizer.model"
    tokenizer = train_at_a_size_that_fits(kept, path)
    assert tokenizer.decode(tokenizer.encode(kept)) == kept


# --- a size that doesn't fit ----------------------------------------------------------------------


def refusal(vocab_size: int, path: Path) -> str:
    with pytest.raises(TranslatorError) as caught:
        train_tokenizer(SENTENCES[:40], vocab_size, path)
    assert not path.exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("size", "kind", "advice", "beyond"),
    [(9000, "large", "less", 1), (10, "small", "more", -1)],
)
def test_a_refused_size_is_reported_with_the_nearest_that_works(
    tmp_path: Path, size: int, kind: str, advice: str, beyond: int
) -> None:
    path = tmp_path / "tokenizer.model"
    message = refusal(size, path)
    assert f"tokenizer.vocab_size {size} is too {kind}" in message
    named = re.search(rf"--tokenizer\.vocab_size (\d+) or {advice}", message)
    assert named
    nearest = int(named[1])
    assert f"too {kind}" in refusal(nearest + beyond, path)
    train_tokenizer(SENTENCES[:40], nearest, path)
    assert Tokenizer(path).vocab_size == nearest


def test_training_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TranslatorError, match="can't train on this corpus"):
        train_tokenizer([], VOCAB_SIZE, tmp_path / "tokenizer.model")


# --- sampling -------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_pieces(tokenizer: Tokenizer) -> None:
    assert tokenizer.sample(SENTENCES, 0.3, 7) == tokenizer.sample(SENTENCES, 0.3, 7)


def test_another_seed_gives_other_pieces(tokenizer: Tokenizer) -> None:
    assert tokenizer.sample(SENTENCES, 0.3, 7) != tokenizer.sample(SENTENCES, 0.3, 8)


def test_sampling_does_not_depend_on_earlier_samples(tokenizer: Tokenizer) -> None:
    first = tokenizer.sample(SENTENCES, 0.3, 7)
    tokenizer.sample(SENTENCES[:10], 0.9, 1)
    assert tokenizer.sample(SENTENCES, 0.3, 7) == first


def test_sampling_does_not_depend_on_the_thread(tokenizer: Tokenizer) -> None:
    here = tokenizer.sample(SENTENCES, 0.3, 7)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(tokenizer.sample, SENTENCES, 0.3, 1).result()
        there = pool.submit(tokenizer.sample, SENTENCES, 0.3, 7).result()
    assert there == here


def test_sampling_is_the_same_after_loading_again(tokenizer: Tokenizer, model: Path) -> None:
    assert Tokenizer(model).sample(SENTENCES, 0.3, 7) == tokenizer.sample(SENTENCES, 0.3, 7)


@pytest.mark.parametrize("dropout", [0.1, 0.9])
def test_sampled_pieces_decode_to_the_same_text(tokenizer: Tokenizer, dropout: float) -> None:
    assert tokenizer.decode(tokenizer.sample(SENTENCES, dropout, 7)) == SENTENCES


def test_more_dropout_gives_more_pieces(tokenizer: Tokenizer) -> None:
    lengths = [sum(map(len, tokenizer.sample(SENTENCES, p, 7))) for p in (0.0, 0.1, 0.5)]
    assert lengths == sorted(set(lengths))
    assert lengths[0] == sum(map(len, tokenizer.encode(SENTENCES)))


def test_sampling_does_not_change_encode(tokenizer: Tokenizer) -> None:
    before = tokenizer.encode(SENTENCES)
    tokenizer.sample(SENTENCES, 0.5, 7)
    assert tokenizer.encode(SENTENCES) == before


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"not a model at all"])
def test_an_unreadable_model_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TranslatorError, match=r"tokenizer\.model: not a readable SentencePiece"):
        Tokenizer(path)


def test_a_truncated_model_is_refused(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(model.read_bytes()[:1000])
    with pytest.raises(TranslatorError, match="not a readable SentencePiece model"):
        Tokenizer(path)
