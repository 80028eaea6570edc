"""Process text in a sequence of steps, each of which can be undone on the translation.

A step's `apply` prepares a text for the model; its `restore` gives the model's output the form that
the text had. Steps know neither the model nor the tokenizer, so that training can apply the same
ones to the source side of its pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class Applied(Generic[State]):
    """The result of a step.

    Attributes:
        parts: the resulting texts: one, or several if the step splits a text
        state: the information that `restore` needs; plain data, so that it can be copied and stored
        warnings: messages for the reader of the translation
    """

    parts: list[str]
    state: State
    warnings: tuple[str, ...] = ()


class Step(Protocol[State]):
    """A change to a text that can be undone on its translation.

    The docstring of a step says how far its `restore` is the inverse of its `apply`.
    """

    def apply(self, text: str) -> Applied[State]:
        """Prepare a text."""
        ...

    def restore(self, parts: Sequence[str], state: State) -> str:
        """Join the parts that `apply` returned, or their translations, into one text.

        Args:
            parts: one for each part that `apply` returned, in order; any may be empty
            state: the one that `apply` returned
        """
        ...


# For each step, the number of parts and the state of each text that it was applied to.
PipelineState = list[list[tuple[int, Any]]]


@dataclass(frozen=True)
class Pipeline:
    """A sequence of steps, each applied to all parts from the previous one; itself a step."""

    steps: Sequence[Step[Any]]

    def apply(self, text: str) -> Applied[PipelineState]:
        """Apply the steps, the first one first."""
        parts = [text]
        state: PipelineState = []
        warnings: list[str] = []
        for step in self.steps:
            applied = [step.apply(part) for part in parts]
            parts = [part for result in applied for part in result.parts]
            state.append([(len(result.parts), result.state) for result in applied])
            warnings += [warning for result in applied for warning in result.warnings]
        return Applied(parts, state, tuple(warnings))

    def restore(self, parts: Sequence[str], state: PipelineState) -> str:
        """Undo the steps, the last one first."""
        for step, of_step in zip(reversed(self.steps), reversed(state), strict=True):
            left = iter(parts)
            parts = [step.restore(list(islice(left, count)), of_text) for count, of_text in of_step]
        [text] = parts
        return text
