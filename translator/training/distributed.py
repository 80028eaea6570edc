"""Several processes that train one model together: the only module that knows about ranks.

`torchrun` starts them, on one machine or on several, and tells each its rank. All read the same
batches; each computes the gradient of its share of every batch, the shares are summed, and each
makes the same step with the sum. So a training is the same with any number of processes, but for
roundings, and may go on with another number.

PyTorch's DistributedDataParallel sums in the same way and with the same engine
(`torch.distributed`), but by hooks of `backward`, where `Learner` asks for gradients as values.
What hooks win, summing while others are still computed, is little with a few million parameters.
"""

import datetime
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from translator.errors import TranslatorError

# A process that ends closes its connections, which the others see at once. This is only for one
# that falls silent; the others may have to wait for the preparation of a large corpus.
_TIMEOUT = datetime.timedelta(hours=12)

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of a training, as one of them sees them; without torchrun it is alone.

    Attributes:
        rank: number of this process; 0 is the one that writes files and talks
        size: how many there are
        local_rank: number of this process on its machine
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    @property
    def is_first_on_machine(self) -> bool:
        """Whether this is the process that checks the files of its machine."""
        return self.local_rank == 0

    def log(self, line: str) -> None:
        """Print a line to standard error, once for all."""
        if self.is_main:
            print(line, file=sys.stderr)

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Let the first process do something before the others do: they find it done."""
        if self.is_main:
            yield
            self._barrier()
        else:
            self._barrier()
            yield

    def computed_by_main(self, compute: Callable[[], T]) -> T:
        """What the first process computes, for all of them: a number or a text."""
        values = [compute() if self.is_main else None]
        if self.size > 1:
            with _peer_errors():
                dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]  # type: ignore[return-value]

    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors with those of the first process."""
        if self.size > 1:
            with _peer_errors(), torch.no_grad():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def all_reduce_sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes; all are of one type."""
        if self.size == 1:
            return
        # All at once: each message costs a moment, however short it is.
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        with _peer_errors():
            dist.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def total(self, number: float, device: torch.device) -> float:
        """The sum of a number over the processes."""
        numbers = torch.tensor([number], dtype=torch.float64)
        if self.size > 1:
            numbers = numbers.to(device)
            self.all_reduce_sum([numbers])
        return numbers.item()

    def _barrier(self) -> None:
        if self.size > 1:
            with _peer_errors():
                dist.barrier()


@contextmanager
def process_group(device: torch.device) -> Iterator[World]:
    """Be one of the processes that torchrun has started, or alone.

    Args:
        device: what to compute on; with cuda, each process of a machine takes a GPU of its own

    Raises:
        TranslatorError: there is no device for this process, or another process has gone.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if device.type == "cuda":
        number, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= there:
            raise TranslatorError(
                f"process {number} of this machine has no GPU to itself: there are {there} "
                f"(--nproc-per-node {there})"
            )
        torch.cuda.set_device(number)
    elif device.type != "cpu":
        raise TranslatorError(
            f"several processes can't share {device.type}: train without torchrun"
        )
    world = World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    world.log(f"waiting for the other processes, {size - 1} of them …")
    with _peer_errors():
        dist.init_process_group(timeout=_TIMEOUT)
    yield world
    # After an error it is not said goodbye to the others, who may be gone; the end of this process
    # tells them.
    dist.destroy_process_group()


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Turn the failure of a connection into a one-line `TranslatorError`."""
    try:
        yield
    except RuntimeError as error:
        raise TranslatorError(
            f"process {os.environ['RANK']}: another process of this training has ended, or can't "
            f"be reached ({textwrap.shorten(str(error), 150)}); the same command goes on from the "
            "state saved last"
        ) from error
