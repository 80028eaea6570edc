"""One of our engines, in a process that does nothing else.

    python -m benchmarking.engine RUN ENGINE < REQUEST

See `peers.measuring` for the request and the answer.
"""

import json
import sys
from pathlib import Path

from peers.measuring import answer

from translator import load


def main(run: Path, engine: str) -> None:
    """Load the run and answer the request on standard input."""
    translator = load(run, "cpu", engine)

    def translate(texts: list[str], beam_size: int) -> list[str]:
        found = translator.translate(texts, beam_size=beam_size, with_scores=False)
        return [translation.text for translation in found]

    answer(translate, json.load(sys.stdin))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
