"""The model learns small tasks with a known answer, and each step computes the right gradients."""

import math
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any, Literal

import numpy as np
import pytest
import torch
from helpers import encode, pairs_of
from torch import Tensor

from translator.config import ModelConfig, NormalizerName, TrainingConfig
from translator.data.arrays import Ragged
from translator.data.batching import Batch, BatchStream, PairIds, make_batch
from translator.data.tokenizer import EOS_ID
from translator.errors import TranslatorError
from translator.inference.search import greedy_search
from translator.model.transformer import Transformer
from translator.model.weights import get_weights
from translator.training.distributed import World
from translator.training.learner import Learner, Replica, estimate_steps
from translator.training.objectives import CrossEntropy, SupervisedObjective

VOCAB = 20
Ids = list[int]


class Given:
    """A stream that repeats the given batches in their order."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = cycle(batches)

    def next(self) -> Batch:
        return next(self._batches)


def tiny_model(**attention: NormalizerName) -> Transformer:
    return Transformer(ModelConfig(d_model=32, n_heads=2, encoder_layers=2, decoder_layers=2,
                                   d_ff=64, **attention), VOCAB)  # type: ignore[arg-type] # fmt: skip


def random_sentences(generator: np.random.Generator, rows: int) -> list[Ids]:
    lengths = generator.integers(3, 9, rows)
    return [generator.integers(EOS_ID + 1, VOCAB, length).tolist() for length in lengths]


def random_pairs(rows: int) -> PairIds:
    generator = np.random.default_rng(0)
    return pairs_of(random_sentences(generator, rows), random_sentences(generator, rows))


def greedy(model: Transformer, src: Tensor) -> list[Ids]:
    memory = encode(model.eval(), src)
    return [hypothesis.ids for hypothesis in greedy_search(model.decoder, memory)]


def learner_of(
    model: Transformer, config: TrainingConfig, batches: Given | BatchStream, max_steps: int = 10
) -> Learner:
    objective = SupervisedObjective([CrossEntropy(config.label_smoothing)])
    return Learner(config, model, objective, batches, max_steps, seed=1, world=World())  # type: ignore[arg-type]


def gradients_of_step(
    monkeypatch: pytest.MonkeyPatch, config: TrainingConfig, batches: Sequence[Batch]
) -> tuple[dict[str, Tensor], float, int]:
    """Return the gradients that the optimizers get in a step, its loss and its number of tokens."""
    torch.manual_seed(0)
    model = tiny_model()
    learner = learner_of(model, config, Given(*batches))
    monkeypatch.setattr(learner.optimizers, "step", lambda step: None)
    losses, tokens = learner.step(0)
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return gradients, losses["loss"], tokens  # type: ignore[misc]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_batch_is_memorized(
    optimizer: Literal["muon", "adamw"], precision: Literal["float32", "bfloat16"]
) -> None:
    steps, rows = 250, 16
    pairs = random_pairs(rows)
    batch = make_batch(pairs, np.arange(rows))
    model = tiny_model()
    config = TrainingConfig(
        optimizer=optimizer, label_smoothing=0, warmup_steps=10, precision=precision
    )
    learner = learner_of(model, config, Given(batch), steps)
    losses = [sums["loss"] / tokens for sums, tokens in map(learner.step, range(steps))]
    assert losses[0] > 2
    assert losses[-1] < 0.02
    expected = [np.array(pairs.tgt.row(i)) for i in range(len(pairs.tgt.lengths))]
    assert greedy(model, batch.src) == [ids.tolist() for ids in expected]


@pytest.mark.parametrize(
    ("normalizer", "precision"),
    [
        ("sparsemax", "float32"),
        ("topk", "float32"),
        ("entmax", "float32"),
        ("entmax", "bfloat16"),
        ("entmax15", "bfloat16"),
    ],
)
def test_a_batch_is_memorized_with_every_attention_normalizer(
    normalizer: NormalizerName, precision: Literal["float32", "bfloat16"]
) -> None:
    steps, rows = 250, 16
    batch = make_batch(random_pairs(rows), np.arange(rows))
    model = tiny_model(cross_attention=normalizer, self_attention=normalizer)
    config = TrainingConfig(label_smoothing=0, warmup_steps=10, precision=precision)
    learner = learner_of(model, config, Given(batch), steps)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    losses = [sums["loss"] / tokens for sums, tokens in map(learner.step, range(steps))]
    assert losses[-1] < 0.05
    assert not [name for name, old in before.items() if torch.equal(old, model.get_parameter(name))]


@pytest.mark.parametrize("rule", [list, lambda ids: ids[::-1]], ids=["copy", "reverse"])
def test_a_rule_is_learned_from_examples(rule: Callable[[Ids], Ids]) -> None:
    """Unseen sentences are translated by the rule: copied, or reversed."""
    seed = 3653141555
    torch.manual_seed(seed)
    steps = 400

    def pairs_of_epoch(epoch: int) -> PairIds:
        src = random_sentences(np.random.default_rng([seed, epoch]), 2000)
        seen.update(map(tuple, src))
        return pairs_of(src, [rule(ids) for ids in src])

    seen: set[tuple[int, ...]] = set()
    model = tiny_model()
    config = TrainingConfig(label_smoothing=0, warmup_steps=20)
    learner = learner_of(model, config, BatchStream(pairs_of_epoch, 512, seed), steps)
    for step in range(steps):
        learner.step(step)
    others = random_sentences(np.random.default_rng([seed, 0, 1]), 500)
    unseen = [ids for ids in others if tuple(ids) not in seen]
    assert len(unseen) > 300
    src = torch.from_numpy(Ragged.from_lists(unseen).padded(np.arange(len(unseen)), bos=False))
    right = [found == rule(ids) for found, ids in zip(greedy(model, src), unseen, strict=True)]
    assert np.mean(right) >= 0.95, f"seed {seed}"


def test_gradients_of_accumulated_batches_equal_those_of_one_joined_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = random_pairs(10)
    # The parts differ in size, so a mean of their means would be wrong.
    parts = [make_batch(pairs, rows) for rows in (np.arange(7), np.arange(7, 10))]
    joined = [make_batch(pairs, np.arange(10))]
    two, one = (
        TrainingConfig(gradient_accumulation=n, max_grad_norm=0, precision="float32")
        for n in (2, 1)
    )
    gradients, total, tokens = gradients_of_step(monkeypatch, two, parts)
    expected, expected_total, expected_tokens = gradients_of_step(monkeypatch, one, joined)
    torch.testing.assert_close(gradients, expected)
    assert total == pytest.approx(expected_total, rel=1e-6)
    assert tokens == expected_tokens == int(pairs.tgt.lengths.sum()) + 10


def gradients_with_threads(
    monkeypatch: pytest.MonkeyPatch, threads: int, dropout: float
) -> tuple[dict[str, Tensor], float]:
    """Return gradients and loss of one step on a batch, with one worker per thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(0)
        shape = ModelConfig(d_model=32, n_heads=2, d_ff=64, dropout=dropout)
        model = Transformer(shape, VOCAB)
        pairs = random_pairs(101)
        config = TrainingConfig(precision="float32")
        learner = learner_of(model, config, Given(make_batch(pairs, np.arange(101))))
        assert learner.workers.count == threads
        monkeypatch.setattr(learner.optimizers, "step", lambda step: None)
        losses, _ = learner.step(0)
        return {name: p.grad for name, p in model.named_parameters()}, losses["loss"]  # type: ignore[misc]
    finally:
        torch.set_num_threads(before)


def test_parallel_workers_compute_the_gradients_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, expected_total = gradients_with_threads(monkeypatch, 1, dropout=0)
    for threads in (2, 3):
        gradients, total = gradients_with_threads(monkeypatch, threads, dropout=0)
        torch.testing.assert_close(gradients, expected, rtol=0, atol=1e-5)
        assert total == pytest.approx(expected_total, rel=1e-5)


def test_dropout_of_parallel_workers_does_not_depend_on_their_timing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected, _ = gradients_with_threads(monkeypatch, 2, dropout=0.3)
    for _ in range(5):
        gradients, _ = gradients_with_threads(monkeypatch, 2, dropout=0.3)
        torch.testing.assert_close(gradients, expected, rtol=0, atol=0)


def test_bfloat16_changes_gradients_little_and_keeps_them_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = [make_batch(random_pairs(50), np.arange(50))]
    exact = TrainingConfig(precision="float32", max_grad_norm=0)
    half = TrainingConfig(precision="bfloat16", max_grad_norm=0)
    expected, expected_total, _ = gradients_of_step(monkeypatch, exact, batch)
    gradients, total, _ = gradients_of_step(monkeypatch, half, batch)
    assert expected_total != total == pytest.approx(expected_total, rel=0.01)
    for name, gradient in gradients.items():
        assert gradient.dtype == torch.float32
        cosine = torch.cosine_similarity(gradient.flatten(), expected[name].flatten(), dim=0)
        assert cosine > 0.98, name


def test_dropout_differs_between_steps_and_is_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(random_pairs(10), np.arange(10))
    model = Transformer(ModelConfig(d_model=32, n_heads=2, d_ff=64, dropout=0.3), VOCAB)
    learner = learner_of(model, TrainingConfig(), Given(batch))
    monkeypatch.setattr(learner.optimizers, "step", lambda step: None)
    losses = [learner.step(step)[0] for step in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_loss_or_gradient_that_is_not_finite_changes_no_weight(
    monkeypatch: pytest.MonkeyPatch, where: str, bad: float
) -> None:
    model = tiny_model()
    learner = learner_of(model, TrainingConfig(), Given(make_batch(random_pairs(8), np.arange(8))))
    learner.step(0)
    before = {name: weight.clone() for name, weight in get_weights(learner.model).items()}
    exact = Replica.gradients

    def corrupted(*arguments: Any) -> tuple[dict[str, float], tuple[Tensor, ...]]:
        losses, gradients = exact(*arguments)
        if where == "loss":
            return losses | {"loss": bad}, gradients
        gradients[3].view(-1)[5] = bad
        return losses, gradients

    monkeypatch.setattr(Replica, "gradients", corrupted)
    with pytest.raises(TranslatorError, match=r"step 2: .*precision float32.*lr"):
        learner.step(1)
    assert all(torch.equal(get_weights(model)[name], before[name]) for name in before)


def test_a_gradient_above_the_maximum_norm_is_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [make_batch(random_pairs(10), np.arange(10))]
    free, _, _ = gradients_of_step(monkeypatch, TrainingConfig(max_grad_norm=0), batch)
    norm = sum(gradient.square().sum() for gradient in free.values()) ** 0.5
    clipped, _, _ = gradients_of_step(
        monkeypatch, TrainingConfig(max_grad_norm=norm.item() / 10), batch
    )
    torch.testing.assert_close(clipped, {name: g / 10 for name, g in free.items()})


def test_a_gradient_below_the_maximum_norm_is_not_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [make_batch(random_pairs(10), np.arange(10))]
    free, _, _ = gradients_of_step(monkeypatch, TrainingConfig(max_grad_norm=0), batch)
    short, _, _ = gradients_of_step(monkeypatch, TrainingConfig(max_grad_norm=1e6), batch)
    torch.testing.assert_close(short, free, rtol=0, atol=0)


@pytest.mark.parametrize("pauses", [(), (4,), (9, 10, 27)])
def test_a_pause_does_not_shorten_a_training(
    monkeypatch: pytest.MonkeyPatch, pauses: tuple[int, ...]
) -> None:
    """If a laptop sleeps, or a process is stopped for a while, some steps take 10 s longer."""
    clock = [0.0]
    steps: list[int] = []

    def step(learner: Learner, number: int) -> None:
        clock[0] += 0.045 + 0.005 * (number % 3) + 10 * (len(steps) in pauses)
        steps.append(number)

    monkeypatch.setattr(Learner, "step", step)
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    config = TrainingConfig(max_minutes=1, precision="float32")
    objective = SupervisedObjective([CrossEntropy(0.1)])
    found = estimate_steps(config, tiny_model(), objective, Given, World())  # type: ignore[arg-type]
    assert found == pytest.approx(0.95 * 60 / 0.05, rel=0.02)  # a step takes 50 ms on average
