"""Kills a training at planned moments and checks that it resumes from the last saved state."""

import random
import re
import signal
import time
from collections import Counter

from crashing.process import (
    BRIEF,
    CHECKPOINT,
    EVALUATION,
    EVALUATIONS,
    PHASES,
    PREPARING,
    REPORT,
    START,
    STEPS,
    TIMEOUT,
    WEIGHTS,
    Process,
    Training,
)
from translator.errors import TranslatorError
from translator.runs.measurements import read_measurements


class BrokenTrainingError(Exception):
    """The training did not resume or end as it must."""


def train_without_kills(training: Training) -> dict[str, float]:
    """Train from start to end in one process.

    Returns:
        The seconds that each phase took: of one evaluation and of one step, not of all of them.

    Raises:
        TranslatorError: the training failed.
    """
    seconds = dict.fromkeys(PHASES, 0.0)
    with training.process() as process:
        before = time.monotonic()
        while not process.ended():
            time.sleep(0.01)
            now = time.monotonic()
            seconds[process.phase()] += now - before
            before = now
        if process.popen.returncode:
            raise TranslatorError(f"the training without kills failed:\n{process.output()}")
    measurements = read_measurements(training.run.metrics)
    measured = [m.evaluation_seconds for m in measurements if m.evaluation_seconds is not None]
    seconds[EVALUATION] = sum(measured) / len(measured)
    seconds[STEPS] /= training.max_steps
    return seconds


class Killer:
    """Kills a training at planned moments.

    Attributes:
        kills: the number of kills in each phase
        lost: the most steps that a kill has lost
    """

    def __init__(self, training: Training, seconds: dict[str, float], moments: random.Random):
        """Create a killer.

        Args:
            training: the training to kill
            seconds: how long each phase takes
            moments: draws the moments of the kills
        """
        self.training = training
        self.seconds = seconds
        self.moments = moments
        self.kills: Counter[str] = Counter()
        self.lost = 0

    def plan(self, kills: int) -> list[tuple[str, int]]:
        """Choose the phases to kill in, each about equally often.

        Args:
            kills: how many

        Returns:
            Pairs of a phase and the step at which to wait for it, in the order of the training.
        """
        phases = PHASES if self.training.downloads else PHASES[1:]
        drawn = phases * (kills // len(phases)) + self.moments.sample(phases, kills % len(phases))
        every = self.training.max_steps // EVALUATIONS
        planned = []
        for phase in drawn:
            anywhere = self.moments.randrange(1, self.training.max_steps)
            any_evaluation = every * self.moments.randint(1, EVALUATIONS) - 1
            step = {
                STEPS: anywhere,
                CHECKPOINT: anywhere,
                EVALUATION: any_evaluation,
                # Of the first evaluation: weights are only written if they are the best so far.
                WEIGHTS: every - 1,
                REPORT: self.training.max_steps,
            }
            planned.append((phase, step.get(phase, 0)))
        return sorted(planned, key=lambda item: (item[1], PHASES.index(item[0])))

    def kill_at(self, phase: str, step: int, share: float) -> None:
        """Start the training, kill it in a phase, and check where it started.

        Args:
            phase: where to kill
            step: at which to wait for the phase
            share: the kill is within this share of the time that the phase takes

        Raises:
            BrokenTrainingError: the training didn't resume at the saved state, or failed.
            TranslatorError: the training ended before it could be killed.
        """
        pause = 0 if phase in BRIEF else self.moments.uniform(0, share * self.seconds[phase])
        with self.training.process() as process:
            self._wait_for(process, phase, step)
            end = time.monotonic() + pause
            while time.monotonic() < end and not process.nearly_done():
                # The phase may take less time than before and so end before the planned moment.
                over = process.resumed() if phase == START else process.phase() != phase
                if over and phase != STEPS:
                    break
                time.sleep(0.002)
            process.kill()
            if process.popen.returncode == 0:
                raise TranslatorError("the training ended before its last kill; try another --seed")
            check_start(process)
            self.kills[process.phase()] += 1
            self.lost = max(self.lost, steps_lost(process))

    def _wait_for(self, process: Process, phase: str, step: int) -> None:
        """Wait until a phase has begun or is already over.

        Raises:
            BrokenTrainingError: it has not begun within `TIMEOUT` seconds.
        """
        if phase == START:
            return
        deadline = time.monotonic() + TIMEOUT
        while not process.ended():
            reached = process.step()
            at_files = phase in (CHECKPOINT, WEIGHTS) and reached >= step
            # The full check would take longer than these phases.
            now = process.writing() if at_files else process.phase()
            if phase in PREPARING:
                begun = now in PHASES[PHASES.index(phase) :] and now != START
            else:
                begun = reached >= step and now == phase
                # The weights were missed, but a kill in the checkpoint after them repeats them.
                begun |= phase == WEIGHTS and at_files and now == CHECKPOINT
                begun |= phase in (EVALUATION, WEIGHTS) and reached > step and process.resumed()
            if begun:
                return
            if time.monotonic() > deadline:
                raise BrokenTrainingError(
                    f"no {phase} within {TIMEOUT} seconds: {process.output()}"
                )
            time.sleep(0.0003 if phase in BRIEF else 0.01)


def steps_lost(process: Process) -> int:
    """How many finished steps are not in the saved state, according to the files."""
    finished = process.step() + (process.phase() == CHECKPOINT)
    return max(finished, process.measured_step()) - process.step()


def check_start(process: Process) -> None:
    """Check that a process resumed from the state that the process before it saved.

    Raises:
        BrokenTrainingError: it resumed elsewhere, or it failed.
    """
    output = process.output()
    if process.popen.returncode not in (0, -signal.SIGKILL):
        raise BrokenTrainingError(f"it ended with code {process.popen.returncode}: {output}")
    resumed = re.search(r"resuming .* at step (\d+)", output)
    at = int(resumed[1]) if resumed else 0
    if at != process.first_step and (resumed or process.step() != process.first_step):
        raise BrokenTrainingError(
            f"the last saved state was of step {process.first_step}, but it began at {at}"
        )
