"""One optimizer step: the gradient of a batch, from several workers, and the update."""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from copy import deepcopy
from statistics import mean, median

import numpy as np
import torch
from torch import Tensor

from translator.config import TrainingConfig
from translator.data.batching import Batch, BatchStream
from translator.errors import TranslatorError
from translator.model.layers import Dropout
from translator.model.transformer import Transformer
from translator.model.weights import get_weights, set_weights
from translator.system.device import pick_precision
from translator.system.parallel import Workers
from translator.training.distributed import World
from translator.training.objectives import Objective
from translator.training.optimizer import ExponentialMovingAverage, Optimizers

# The first steps are slow, since memory is allocated and kernels are chosen: not timed.
_WARMING_STEPS = 3
# Enough batches of random lengths to estimate the mean time of a step to a few percent.
_TIMED_STEPS = 25
# Batches differ less than this. A step that takes so many times as long as the median was
# interrupted: the process was stopped, or the machine was busy for a moment.
_MAX_TIMES_MEDIAN = 3
# Share of a time budget that is not planned, in case the machine slows down.
_RESERVE = 0.05
# With fewer positions, a worker's matrix products are too small to keep a core busy.
_POSITIONS_PER_WORKER = 512


class Replica:
    """A copy of a model for one worker: it shares the weights, but draws its own dropout."""

    def __init__(self, model: Transformer, dtype: torch.dtype) -> None:
        """Copy the modules; the parameters are shared with the original.

        Args:
            model: the model to copy
            dtype: type of the matrix products
        """
        self.dtype = dtype
        # deepcopy takes what is in its memo as copied already.
        shared = {id(parameter): parameter for parameter in model.parameters()}
        self.model = deepcopy(model, memo=shared).train()
        self.parameters = list(model.parameters())
        self.device = self.parameters[0].device
        self._generator = torch.Generator(self.device)
        for module in self.model.modules():
            if isinstance(module, Dropout):
                module.generator = self._generator

    def gradients(
        self, objective: Objective, batch: Batch, tokens: int, seed: int
    ) -> tuple[dict[str, float], tuple[Tensor, ...]]:
        """Run the model on a batch, forward and backward.

        Args:
            objective: what to minimize
            batch: a batch or a part of one
            tokens: target tokens of the whole step, over which the loss is averaged
            seed: seed of the dropout

        Returns:
            The losses in nats, summed over the batch: their weighted sum as "loss", then each by
            its name; and the gradient of the mean loss for each parameter.
        """
        self._generator.manual_seed(seed)
        half = self.dtype != torch.float32
        # No autocast cache: threads would share it, and each weight is used only once anyway.
        with torch.autocast(self.device.type, self.dtype, enabled=half, cache_enabled=False):
            losses = objective(self.model, batch.to(self.device))
        gradients = torch.autograd.grad(losses.total / tokens, self.parameters)
        values = {"loss": losses.total, **losses.parts}
        return {name: value.item() for name, value in values.items()}, gradients


class Learner:
    """A model, the batches it learns from, and its optimizers."""

    def __init__(
        self,
        config: TrainingConfig,
        model: Transformer,
        objective: Objective,
        batches: BatchStream,
        max_steps: int,
        seed: int,
        world: World,
    ) -> None:
        """Set up a training.

        Args:
            config: optimizers, learning rates, averaging and precision
            model: the model to train, in place
            objective: what to minimize
            batches: the training data
            max_steps: the step at which the learning rates reach zero
            seed: seed of the dropout
            world: the processes that share each batch
        """
        self.config = config
        self.world = world
        self.model = model
        self.objective = objective
        self.batches = batches
        self.seed = seed
        self.device = next(model.parameters()).device
        self.precision = world.computed_by_main(
            lambda: pick_precision(config.precision, self.device)
        )
        dtype = getattr(torch, self.precision)
        self.workers = Workers(_worker_count(config, self.device, world))
        self._replicas = [Replica(model, dtype) for _ in range(self.workers.count)]
        self.optimizers = Optimizers(model, config, max_steps, dtype, world)
        self.average = (
            ExponentialMovingAverage(model, config.ema_decay) if config.ema_decay else None
        )

    @property
    def evaluated_model(self) -> Transformer:
        """The model to evaluate and save: the averaged one, if weights are averaged."""
        return self.model if self.average is None else self.average.model

    def step(self, step: int) -> tuple[dict[str, float], int]:
        """Make a step (counted from 0) on the next batches.

        The gradient is that of the mean loss over all target tokens of the step, no matter how
        they are divided among batches, processes and workers. The dropout depends only on the
        seed, the step and the worker.

        Returns:
            The summed losses in nats, as `Replica.gradients` names them, and the number of target
            tokens.

        Raises:
            TranslatorError: the loss or the gradient is infinite or NaN; the weights have not been
                changed.
        """
        batches = [self.batches.next() for _ in range(self.config.gradient_accumulation)]
        tokens = sum(batch.tgt_tokens for batch in batches)
        losses, sums = self.gradients(batches, tokens, step)
        norm = torch.nn.utils.get_total_norm(sums)
        if not math.isfinite(losses["loss"] + norm.item()):
            raise TranslatorError(
                f"step {step + 1}: the loss ({losses['loss'] / tokens:.4g} nats per token) or its "
                f"gradient (norm {norm.item():.4g}) is not a number to learn from. The saved state "
                "is from before this step: resume with --training.precision float32, or train "
                "into another --run-dir with lower rates (--training.lr, --training.muon_lr)"
            )
        parameters = list(self.model.parameters())
        for parameter, gradient in zip(parameters, sums, strict=True):
            parameter.grad = gradient
        if self.config.max_grad_norm:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.config.max_grad_norm, norm)
        self.optimizers.step(step)
        if self.average is not None:
            self.average.update(self.model, step)
        return losses, tokens

    def gradients(
        self, batches: list[Batch], tokens: int, step: int
    ) -> tuple[dict[str, float], list[Tensor]]:
        """Divide the batches of a step among the workers, and sum their results.

        Args:
            batches: those of all processes together
            tokens: number of target tokens in them
            step: counted from 0

        Returns:
            The summed losses in nats, as `Replica.gradients` names them; and the gradient of the
            mean loss for each parameter. Every process gets the same sums.
        """
        total: Counter[str] = Counter()
        sums: list[Tensor] = []
        first = self.world.rank * self.workers.count  # number of this process's first worker
        for number, batch in enumerate(batches):
            parts = batch.shard(self.world.rank, self.world.size).split(self.workers.count)
            draw = np.random.SeedSequence([self.seed, step, number])
            seeds = draw.generate_state(first + self.workers.count)[first:]
            results = self.workers.map(
                lambda replica, part, seed: replica.gradients(self.objective, part, tokens, seed),
                self._replicas,
                parts,
                seeds.tolist(),
            )
            for losses, gradients in results:
                total.update(losses)
                if sums:
                    torch._foreach_add_(sums, gradients)
                else:
                    sums = list(gradients)
        if not sums:  # the batches had fewer pairs than there are processes
            sums = [torch.zeros_like(parameter) for parameter in self.model.parameters()]
        self.world.all_reduce_sum(sums)
        names = ["loss", *self.objective.names]
        totals = self.world.totals([total[name] for name in names], self.device)
        return dict(zip(names, totals, strict=True)), sums

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors that the next steps depend on.

        They also depend on the configuration, the seed and the position in the batches.
        """
        parts = {"model": get_weights(self.model), "optimizers": self.optimizers.state_dict()}
        if self.average is not None:
            parts["average"] = get_weights(self.average.model)
        return {
            f"{part}/{name}": t for part, tensors in parts.items() for name, t in tensors.items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a state.

        Raises:
            ValueError: it is the state of another model.
        """
        parts: defaultdict[str, dict[str, Tensor]] = defaultdict(dict)
        for path, tensor in state.items():
            part, _, name = path.partition("/")
            parts[part][name] = tensor
        self.optimizers.load_state_dict(parts["optimizers"])
        set_weights(self.model, parts["model"])
        if self.average is not None:
            set_weights(self.average.model, parts["average"])


def estimate_steps(
    config: TrainingConfig,
    model: Transformer,
    objective: Objective,
    make_batches: Callable[[], BatchStream],
    world: World,
) -> int:
    """Estimate how many steps fit into `max_minutes`, by timing real steps of a copied model.

    Steps that were interrupted don't count, since the estimate holds for the whole training.
    """
    trial = Learner(
        config, deepcopy(model), objective, make_batches(), _TIMED_STEPS, seed=0, world=world
    )
    for step in range(_WARMING_STEPS):
        trial.step(step)
    times = []
    for step in range(_TIMED_STEPS):
        started = time.perf_counter()
        trial.step(step)
        times.append(time.perf_counter() - started)
    longest = _MAX_TIMES_MEDIAN * median(times)
    seconds = mean(taken for taken in times if taken <= longest)
    steps = max(1, int(config.max_minutes * 60 * (1 - _RESERVE) / seconds))
    return world.computed_by_main(lambda: steps)


def _worker_count(config: TrainingConfig, device: torch.device, world: World) -> int:
    """One worker per thread, if the batch is large enough; a GPU needs only one."""
    if device.type != "cpu":
        return 1
    positions = config.batch_tokens // world.size
    return max(1, min(torch.get_num_threads(), positions // _POSITIONS_PER_WORKER))
