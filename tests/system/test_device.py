"""The choice of the precision of a training."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from translator.system.device import faster_in, keep_precision, pick_precision, speedup

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _nothing_tried_yet() -> Iterator[None]:
    speedup.cache_clear()
    yield
    speedup.cache_clear()


def processor_with(monkeypatch: pytest.MonkeyPatch, seconds: dict[torch.dtype, float]) -> None:
    """A fake processor with its own clock, whose matrix products take the given seconds."""
    now = 0.0

    def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        nonlocal now
        now += seconds[left.dtype]
        return left

    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.setattr(torch, "_int_mm", product)
    monkeypatch.setattr(time, "perf_counter", lambda: now)


@pytest.mark.parametrize(
    ("float32", "bfloat16", "picked"),
    [
        (1.0, 0.5, "bfloat16"),
        (1.0, 0.1, "bfloat16"),
        (1.0, 0.9, "float32"),  # the conversions would cost more
        (1.0, 1.0, "float32"),
        (1.0, 100.0, "float32"),
    ],
)
def test_bfloat16_is_taken_where_it_is_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float, picked: str
) -> None:
    processor_with(monkeypatch, {torch.float32: float32, torch.bfloat16: bfloat16})
    assert pick_precision("auto", CPU) == picked


@pytest.mark.parametrize(("seconds", "faster"), [(0.5, True), (0.9, False), (100.0, False)])
def test_int8_is_timed(monkeypatch: pytest.MonkeyPatch, seconds: float, *, faster: bool) -> None:
    processor_with(monkeypatch, {torch.float32: 1.0, torch.int8: seconds})
    assert faster_in(torch.int8) == faster


def test_an_explicit_precision_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    processor_with(monkeypatch, {torch.float32: 1.0, torch.bfloat16: 100.0})
    assert pick_precision("bfloat16", CPU) == "bfloat16"
    processor_with(monkeypatch, {torch.float32: 1.0, torch.bfloat16: 0.1})
    assert pick_precision("float32", CPU) == "float32"


@pytest.mark.parametrize(
    ("wanted", "before", "seconds", "kept"),
    [
        ("auto", "bfloat16", 0.5, "bfloat16"),
        ("auto", "bfloat16", 1.5, "bfloat16"),  # busy now, but it was faster before
        ("auto", "bfloat16", 100.0, "float32"),  # a machine without bfloat16 units
        ("auto", "float32", 0.5, "float32"),
        ("float32", "bfloat16", 0.5, "float32"),
        ("bfloat16", "float32", 100.0, "bfloat16"),
    ],
)
def test_a_training_keeps_its_precision(
    monkeypatch: pytest.MonkeyPatch, wanted: Any, before: Any, seconds: float, kept: str
) -> None:
    processor_with(monkeypatch, {torch.float32: 1.0, torch.bfloat16: seconds})
    assert keep_precision(wanted, before, CPU) == kept


def test_a_disturbed_trial_continues_until_it_is_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs use the processor during the first products in bfloat16."""
    now, products = 0.0, 0

    def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        nonlocal now, products
        products += left.dtype == torch.bfloat16
        now += 0.5 if left.dtype == torch.bfloat16 and products > 7 else 1.0
        return left

    monkeypatch.setattr(torch, "mm", product)
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert faster_in(torch.bfloat16)
    assert products == 8


def test_timing_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    pick_precision("auto", CPU)
    assert torch.equal(torch.get_rng_state(), before)


GROWTH = """
import resource, torch
from translator.system.device import limit_kernel_caches
limit_kernel_caches()
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
def multiply(rows): torch.mm(torch.ones(rows, 128, dtype=torch.bfloat16), matrix)
matrix = torch.ones(128, 512, dtype=torch.bfloat16)
for rows in range(800, 900): multiply(rows)
before = peak()
for rows in range(100, 800): multiply(rows)
print(peak() - before)
"""


def test_products_of_many_shapes_do_not_accumulate_memory() -> None:
    """In a separate process, since memory that is already allocated would hide the growth."""
    names = ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")
    bare = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, "-c", GROWTH]
    result = subprocess.run(command, env=bare, capture_output=True, text=True, check=True)
    kibibytes = int(result.stdout) if sys.platform != "darwin" else int(result.stdout) / 1024
    assert kibibytes < 60_000
