import itertools
import math
from functools import partial

import pytest
import torch
from helpers import encode, random_model, random_sources
from torch import Tensor

from translator.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from translator.inference import search
from translator.inference.engine import Hypothesis
from translator.inference.search import beam_search, greedy_search, length_limits
from translator.model.transformer import Transformer

SPECIAL = [PAD_ID, UNK_ID, BOS_ID]
REAL = [4, 5, 6]  # the ordinary tokens of a vocabulary small enough for an exhaustive search
WIDE = 3**3 * 4  # a beam size that keeps every candidate of up to four tokens
LENGTHS = (6, 1, 3, 8, 2)
VOCAB = 12
SEEDS = pytest.mark.parametrize("seed", [3, 5, 6])
PENALTIES = pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.0])

sources = partial(random_sources, vocab_size=VOCAB)


def decisive_model(vocab_size: int = VOCAB) -> Transformer:
    """Return a model in double precision whose logits differ widely.

    Input and output share one embedding, so a random model would repeat the last token forever.
    With the sign of its output flipped, it avoids that token and reaches eos.
    """
    model = random_model(vocab_size).double().eval().requires_grad_(False)
    model.decoder.norm.weight.mul_(-2)
    return model


def prefer(model: Transformer, token: int, by: float) -> Transformer:
    """Raise the logit of a token far above all others at every position, or lower it far below."""
    model.decoder.norm.bias.fill_(1)  # each state is then this plus a vector that sums to zero
    model.embedding.weight[token] = by
    return model


def greedy(model: Transformer, src: Tensor) -> list[Hypothesis]:
    return greedy_search(model.decoder, encode(model, src))


def beam(
    model: Transformer, src: Tensor, size: int, length_penalty: float = 1.0, n_best: int = 1
) -> list[list[Hypothesis]]:
    return beam_search(model.decoder, encode(model, src), size, length_penalty, n_best)


def next_logits(model: Transformer, src: Tensor, targets: list[list[int]]) -> Tensor:
    """Return logits (N, T + 1, V) for one source without padding and N targets of one length."""
    many = src.expand(len(targets), -1)
    tgt = torch.tensor([[BOS_ID, *ids] for ids in targets])
    states, _ = model.decoder(tgt, encode(model, many))
    return model.decoder.logits(states)


def next_log_probs(model: Transformer, src: Tensor, targets: list[list[int]]) -> Tensor:
    """Return log-probabilities that are renormalized over the tokens allowed in a translation."""
    logits = next_logits(model, src, targets)
    logits[..., SPECIAL] = -torch.inf
    return logits.log_softmax(dim=-1)


def log_prob_of(model: Transformer, src: Tensor, hypothesis: Hypothesis) -> float:
    tokens = hypothesis.ids + [EOS_ID] * hypothesis.complete
    assert hypothesis.length == len(tokens)
    log_probs = next_log_probs(model, src, [hypothesis.ids])[0]
    return sum(log_probs[position, token].item() for position, token in enumerate(tokens))


def without_padding(src: Tensor) -> list[Tensor]:
    return [row[row != PAD_ID] for row in src]


def naive_greedy(model: Transformer, src: Tensor) -> tuple[list[int], float]:
    """Search for one source without padding; recompute everything at each step."""
    ids: list[int] = []
    total = 0.0
    for _ in range(2 * len(src) + 10):
        log_probs = next_log_probs(model, src, [ids])[0, -1]
        token = max(range(EOS_ID, len(log_probs)), key=lambda i: log_probs[i].item())
        total += log_probs[token].item()
        if token == EOS_ID:
            break
        ids.append(token)
    return ids, total


def assert_same(actual: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [h.ids for h in actual] == [h.ids for h in expected]
    assert [h.complete for h in actual] == [h.complete for h in expected]
    assert [h.length for h in actual] == [h.length for h in expected]
    assert [h.log_prob for h in actual] == pytest.approx([h.log_prob for h in expected], abs=1e-4)


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit targets to 3 or 4 tokens (with eos), depending on the length of the source."""

    def limits(padding_mask: Tensor) -> Tensor:
        return 3 + (~padding_mask).sum(dim=1) % 2

    monkeypatch.setattr(search, "length_limits", limits)


def everything(
    model: Transformer, src: Tensor, length_penalty: float
) -> list[tuple[float, list[int]]]:
    """Return the scores and ids of all complete targets of one source, the best first."""
    ranked = []
    for length in range(3 + len(src) % 2):
        targets = [list(ids) for ids in itertools.product(REAL, repeat=length)]
        for ids, log_probs in zip(targets, next_log_probs(model, src, targets), strict=True):
            total = sum(log_probs[i, token].item() for i, token in enumerate([*ids, EOS_ID]))
            ranked.append((total / (length + 1) ** length_penalty, ids))
    return sorted(ranked, reverse=True)


def naive_beam(
    model: Transformer, src: Tensor, size: int, length_penalty: float, n_best: int
) -> list[Hypothesis]:
    """Search for one source without padding; recompute everything at each step.

    Unlike ours, this search doesn't stop early when no better hypothesis is possible.
    """
    live: list[tuple[float, list[int]]] = [(0.0, [])]
    done: list[Hypothesis] = []
    for length in range(1, 2 * len(src) + 11):
        log_probs = next_log_probs(model, src, [ids for _, ids in live])[:, -1].tolist()
        candidates = sorted(
            (
                (total + log_probs[row][token], [*ids, token])
                for row, (total, ids) in enumerate(live)
                for token in range(EOS_ID, len(log_probs[row]))
            ),
            reverse=True,
        )
        for total, ids in candidates[:size]:
            if ids[-1] == EOS_ID:
                done.append(Hypothesis(ids[:-1], total, length, complete=True))
        live = [(total, ids) for total, ids in candidates if ids[-1] != EOS_ID][:size]
        if len(done) >= size:
            break
    else:
        if not done:
            done = [Hypothesis(live[0][1], live[0][0], length, complete=False)]
    return sorted(done, key=lambda h: h.score(length_penalty), reverse=True)[:n_best]


def test_length_limit_is_twice_the_source_length_plus_ten() -> None:
    src = sources(6, 1)
    assert length_limits(src == PAD_ID).tolist() == [22, 12]


@SEEDS
def test_greedy_search_takes_the_most_likely_token_at_each_step(seed: int) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    for hypothesis, row in zip(greedy(model, src), without_padding(src), strict=True):
        ids, total = naive_greedy(model, row)
        assert hypothesis.ids == ids
        assert hypothesis.log_prob == pytest.approx(total, abs=1e-4)


@SEEDS
def test_greedy_search_finds_the_same_without_scores(seed: int) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    unscored = greedy_search(model.decoder, encode(model, src), with_scores=False)
    assert all(math.isnan(hypothesis.log_prob) for hypothesis in unscored)
    assert [h.ids for h in unscored] == [h.ids for h in greedy(model, src)]


@SEEDS
def test_beam_size_one_equals_greedy_search(seed: int) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    assert_same([found for (found,) in beam(model, src, 1)], greedy(model, src))


@PENALTIES
@SEEDS
@pytest.mark.parametrize(("size", "n_best"), [(2, 1), (3, 3), (5, 1), (5, 2)])
def test_beam_search_equals_the_naive_one(
    size: int, n_best: int, length_penalty: float, seed: int
) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    found = beam(model, src, size, length_penalty, n_best)
    for hypotheses, row in zip(found, without_padding(src), strict=True):
        assert_same(hypotheses, naive_beam(model, row, size, length_penalty, n_best))


@PENALTIES
@pytest.mark.parametrize("n_best", [1, 3, 10])
@pytest.mark.usefixtures("short_limits")
def test_a_wide_beam_finds_the_best_of_all_targets(length_penalty: float, n_best: int) -> None:
    model, src = decisive_model(vocab_size=7), sources(*LENGTHS, vocab_size=7)
    found = beam(model, src, WIDE, length_penalty, n_best)
    for hypotheses, row in zip(found, without_padding(src), strict=True):
        expected = everything(model, row, length_penalty)[:n_best]
        assert [h.ids for h in hypotheses] == [ids for _, ids in expected]
        scores = [h.score(length_penalty) for h in hypotheses]
        assert scores == pytest.approx([score for score, _ in expected], abs=1e-5)


@pytest.mark.usefixtures("short_limits")
def test_n_best_larger_than_the_number_of_targets_returns_all() -> None:
    model, src = decisive_model(vocab_size=7), sources(4, 3, vocab_size=7)
    found = beam(model, src, WIDE, n_best=WIDE)
    assert [len(hypotheses) for hypotheses in found] == [1 + 3 + 9, 1 + 3 + 9 + 27]


@PENALTIES
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.usefixtures("short_limits")
def test_no_beam_scores_higher_than_the_best_of_all_targets(
    length_penalty: float, size: int
) -> None:
    model, src = decisive_model(vocab_size=7), sources(*LENGTHS, vocab_size=7)
    found = beam(model, src, size, length_penalty)
    for (best,), row in zip(found, without_padding(src), strict=True):
        if best.complete:
            limit = everything(model, row, length_penalty)[0][0]
            assert best.score(length_penalty) <= limit + 1e-5


@PENALTIES
@SEEDS
def test_log_prob_is_the_sum_over_the_tokens(length_penalty: float, seed: int) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    for hypotheses, row in zip(
        beam(model, src, 4, length_penalty, n_best=4), without_padding(src), strict=True
    ):
        for hypothesis in hypotheses:
            expected = log_prob_of(model, row, hypothesis)
            assert hypothesis.log_prob == pytest.approx(expected, abs=1e-4)


def test_score_divides_by_a_power_of_the_length() -> None:
    hypothesis = Hypothesis([4, 5, 6], log_prob=-6.0, length=4, complete=True)
    assert [hypothesis.score(penalty) for penalty in (0, 0.5, 1)] == [-6, -3, -1.5]


@PENALTIES
@SEEDS
def test_hypotheses_differ_and_the_best_is_first(length_penalty: float, seed: int) -> None:
    torch.manual_seed(seed)
    found = beam(decisive_model(), sources(*LENGTHS), 5, length_penalty, n_best=5)
    assert max(len(hypotheses) for hypotheses in found) == 5
    for hypotheses in found:
        scores = [h.score(length_penalty) for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(h.ids) for h in hypotheses}) == len(hypotheses)


@SEEDS
def test_other_sentences_of_the_batch_do_not_change_the_result(seed: int) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    together, with_beam = greedy(model, src), beam(model, src, 4, n_best=4)
    assert any(h.complete for h in together), "rows must leave the batch before its end"
    for i, row in enumerate(without_padding(src)):
        assert_same(greedy(model, row[None]), [together[i]])
        assert_same(beam(model, row[None], 4, n_best=4)[0], with_beam[i])


@pytest.mark.parametrize("special", SPECIAL)
def test_special_tokens_are_never_generated(special: int) -> None:
    model, src = prefer(decisive_model(), special, by=10), sources(*LENGTHS)
    for hypotheses in [greedy(model, src), *beam(model, src, 4, n_best=4)]:
        for hypothesis in hypotheses:
            assert not {*SPECIAL, EOS_ID} & set(hypothesis.ids)
            best = next_logits(model, src[3], [hypothesis.ids])[0].argmax(dim=-1)
            assert (best == special).all(), "nothing is tested"


def test_search_without_eos_stops_at_the_limit() -> None:
    model, src = prefer(decisive_model(), EOS_ID, by=-10), sources(*LENGTHS)
    limits = [2 * length + 10 for length in LENGTHS]
    for hypotheses in (greedy(model, src), [found for (found,) in beam(model, src, 4)]):
        assert [h.complete for h in hypotheses] == [False] * len(LENGTHS)
        assert [h.length for h in hypotheses] == limits
        assert [len(h.ids) for h in hypotheses] == limits
        for hypothesis, row in zip(hypotheses, without_padding(src), strict=True):
            expected = log_prob_of(model, row, hypothesis)
            assert hypothesis.log_prob == pytest.approx(expected, abs=1e-4)


def test_computing_logits_in_blocks_does_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, src = decisive_model(), sources(*LENGTHS)
    expected = greedy(model, src), beam(model, src, 3, n_best=3)
    for rows in (1, 2):  # with beams, the last block is not full
        monkeypatch.setattr(search, "_BLOCK_LOGITS", rows * VOCAB)
        assert (greedy(model, src), beam(model, src, 3, n_best=3)) == expected


@pytest.mark.parametrize("count", [1, 2, 10, 63, 64, 65, 500])
@pytest.mark.parametrize("vocab_size", [5, 64, 130, 300])
def test_top_tokens_equal_the_first_of_a_full_sort(vocab_size: int, count: int) -> None:
    logits = torch.randn(7, vocab_size)
    logits[0] = logits[0].sort().values  # the highest are next to each other, in one block or two
    logits[:, SPECIAL] = -torch.inf
    tokens = search._top_tokens(logits, count)
    expected = logits.sort(dim=-1, descending=True).indices
    real = min(count, vocab_size - len(SPECIAL))  # the masked ones come last, in any order
    assert torch.equal(tokens[:, :real], expected[:, :real])
    assert tokens.size(1) == min(count, vocab_size)


# --- forced prefixes ------------------------------------------------------------------------------

PREFIXES = [[4], [], [5, 6], [6, 4], [4, 4]]


@PENALTIES
@pytest.mark.parametrize("n_best", [1, 3])
@pytest.mark.usefixtures("short_limits")
def test_a_wide_beam_finds_the_best_targets_that_start_with_the_prefix(
    length_penalty: float, n_best: int
) -> None:
    model, src = decisive_model(vocab_size=7), sources(*LENGTHS, vocab_size=7)
    found = beam_search(
        model.decoder, encode(model, src), WIDE, length_penalty, n_best, prefixes=PREFIXES
    )
    for hypotheses, row, prefix in zip(found, without_padding(src), PREFIXES, strict=True):
        expected = [
            (score, ids)
            for score, ids in everything(model, row, length_penalty)
            if ids[: len(prefix)] == prefix
        ][:n_best]
        assert [h.ids for h in hypotheses] == [ids for _, ids in expected]
        scores = [h.score(length_penalty) for h in hypotheses]
        assert scores == pytest.approx([score for score, _ in expected], abs=1e-5)


@SEEDS
def test_log_probability_includes_the_forced_prefix(seed: int) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    prefixes = [[4], [], [5, 6, 7], [8] * 40, [9, 4]]  # one is longer than the limit
    memory = encode(model, src)
    found = [
        greedy_search(model.decoder, memory, prefixes=prefixes),
        [best for (best,) in beam_search(model.decoder, memory, 3, prefixes=prefixes)],
        [best for (best,) in beam_search(model.decoder, memory, 1, prefixes=prefixes)],
    ]
    for hypotheses in found:
        for hypothesis, row, prefix in zip(hypotheses, without_padding(src), prefixes, strict=True):
            assert hypothesis.ids[: len(prefix)] == prefix
            expected = log_prob_of(model, row, hypothesis)
            assert hypothesis.log_prob == pytest.approx(expected, abs=1e-4)
    assert_same(found[0], found[2])


@SEEDS
def test_forcing_a_prefix_of_the_best_target_does_not_change_the_result(seed: int) -> None:
    torch.manual_seed(seed)
    model, src = decisive_model(), sources(*LENGTHS)
    free = greedy(model, src)
    prefixes = [hypothesis.ids[: row % 3] for row, hypothesis in enumerate(free)]
    memory = encode(model, src)
    assert_same(greedy_search(model.decoder, memory, prefixes=prefixes), free)
    unscored = greedy_search(model.decoder, memory, prefixes=prefixes, with_scores=False)
    assert [h.ids for h in unscored] == [h.ids for h in free]
