"""Train one model in several processes. This is the only module that knows about ranks.

`torchrun` starts the processes, on one or several machines, and gives each its rank. All of them
read the same batches. Each computes the gradients of its shard of every batch, the gradients are
summed, and each takes the same optimizer step; only Muon's matrix products, the largest part of
that step, are shared out. So the number of processes doesn't change the training, up to rounding,
and a training may be resumed with another number.

PyTorch's DistributedDataParallel does the same in hooks of `backward`, but `Learner` computes
gradients as values, with `torch.autograd.grad`. Hooks can sum some gradients while others are still
being computed; with a few million parameters this would save little time.
"""

import datetime
import json
import math
import os
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from translator.errors import TranslatorError, print_note

# torchrun starts all processes of a machine at once. On several machines a person or a scheduler
# does it, within minutes.
_JOIN_TIMEOUT = datetime.timedelta(minutes=10)
# The others notice at once when a process ends, since its connections close. The timeout is for
# one that hangs; it must be longer than the preparation of a large corpus.
_TIMEOUT = datetime.timedelta(hours=12)

T = TypeVar("T", bound=float | str)


@dataclass(frozen=True)
class World:
    """The processes of a training; without torchrun there is one.

    Attributes:
        rank: number of this process; process 0 is the main process
        size: number of processes
        local_rank: number of this process on its machine
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes files and messages."""
        return self.rank == 0

    @property
    def is_first_on_machine(self) -> bool:
        """Whether this is the process that checks the files of its machine."""
        return self.local_rank == 0

    def log(self, line: str) -> None:
        """Print a line to standard error, in the main process only."""
        if self.is_main:
            print_note(line)

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run a block in the main process first, then in the others, which find its files."""
        if self.is_main:
            yield
            self._barrier()
        else:
            self._barrier()
            yield

    def computed_by_main(self, compute: Callable[[], T]) -> T:
        """Call `compute` in the main process, and return its number or string in all of them."""
        if self.size == 1:
            return compute()
        # As JSON, since PyTorch sends objects as pickles, which can contain code.
        text = json.dumps(compute()).encode() if self.is_main else b""
        length = torch.tensor(len(text))
        self.broadcast([length])
        data = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_main:
            data = torch.frombuffer(bytearray(text), dtype=torch.uint8)
        self.broadcast([data])
        value: T = json.loads(bytes(data.tolist()))
        return value

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with those of the main process."""
        if self.size > 1:
            with _peer_errors(), torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def all_reduce_sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes; all must have the same type."""
        if self.size == 1:
            return
        # One message instead of many, since each has a latency.
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _peer_errors():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def map_shares(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """Apply a function to a tensor, each process to its share of the rows.

        Args:
            function: computes each row by itself; it keeps the shape and the type
            rows: the same in all processes

        Returns:
            The results for all rows, in all processes.
        """
        if self.size == 1:
            return function(rows)
        count = math.ceil(len(rows) / self.size)  # all shares must have the same size
        padding = rows.new_zeros(count * self.size - len(rows), *rows.shape[1:])
        shares = torch.split(torch.cat([rows, padding]), count)
        results = [torch.empty_like(share) for share in shares]
        with _peer_errors():
            dist.all_gather(results, function(shares[self.rank]))
        return torch.cat(results)[: len(rows)]

    def total(self, number: float, device: torch.device) -> float:
        """The sum of a number over the processes."""
        return self.totals([number], device)[0]

    def totals(self, numbers: Sequence[float], device: torch.device) -> list[float]:
        """The sum of each number over the processes, in one message."""
        sums = torch.tensor(numbers, dtype=torch.float64)
        if self.size > 1:
            sums = sums.to(device)
            self.all_reduce_sum([sums])
        values: list[float] = sums.tolist()
        return values

    def _barrier(self) -> None:
        if self.size > 1:
            with _peer_errors():
                dist.barrier()


@contextmanager
def process_group(device: torch.device) -> Iterator[World]:
    """Join the processes started by torchrun, if there are any.

    Args:
        device: the device to compute on; with cuda, each process of a machine uses its own GPU

    Yields:
        The processes.

    Raises:
        TranslatorError: there is no device for this process, or another process has ended.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if device.type == "cuda":
        local_rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if local_rank >= count:
            raise TranslatorError(
                f"process {local_rank} of this machine has no GPU of its own: there are {count} "
                f"(--nproc-per-node {count})"
            )
        torch.cuda.set_device(local_rank)
    elif device.type != "cpu":
        raise TranslatorError(
            f"several processes can't share {device.type}: train without torchrun"
        )
    world = World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    world.log(f"waiting for {size - 1} other process{'es' if size > 2 else ''} …")
    with _peer_errors():
        store = _join(world)
        dist.init_process_group(
            store=store, rank=world.rank, world_size=world.size, timeout=_TIMEOUT
        )
    yield world
    # Not after an error, when the others may have ended already: those that have not will notice
    # the end of this process.
    dist.destroy_process_group()


def _join(world: World) -> Store:
    """Wait until all processes have come.

    Returns:
        The store through which they exchange their addresses.

    Raises:
        TranslatorError: some have not come in time.
    """
    names = [f"joined/{rank}" for rank in range(world.size)]
    try:
        store, _, _ = next(rendezvous("env://", world.rank, world.size, timeout=_JOIN_TIMEOUT))
        store.set(names[world.rank], "")
        store.wait(names, _JOIN_TIMEOUT)
    except RuntimeError as error:
        raise TranslatorError(
            f"process {world.rank}: not all {world.size} processes have come within "
            f"{_JOIN_TIMEOUT.total_seconds() / 60:.2g} minutes "
            f"({textwrap.shorten(str(error), 150)}): start the same command on each machine, or "
            "use a smaller --nnodes"
        ) from error
    return PrefixStore("group", store)


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Turn the failure of a connection into a one-line `TranslatorError`."""
    try:
        yield
    except RuntimeError as error:
        raise TranslatorError(
            f"process {os.environ['RANK']}: another process of this training has ended, or can't "
            f"be reached ({textwrap.shorten(str(error), 150)}); run the same command again to "
            "resume from the last saved state"
        ) from error
