"""How a system that translates is measured: in a process of its own, asked by JSON.

No imports but Python's own, since other toolkits' environments run this too, and what a system
doesn't need must not count in its memory.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

# Texts and a beam size in, translations out.
Translate = Callable[[list[str], int], list[str]]


def answer(translate: Translate, request: dict[str, Any]) -> None:
    """Translate what is asked for, and print what it took as the last line of the output.

    Args:
        translate: the system
        request: `texts`; `beam_sizes`, under their names; `tries`, of which the best time counts,
            since what disturbs a machine only makes it slower; `warming`, how many of the texts
            are translated before the clock starts: first calls take memory and choose kernels
    """
    texts = request["texts"]
    translated = {}
    for name, beam_size in request["beam_sizes"].items():
        if request["warming"]:
            translate(texts[: request["warming"]], beam_size)
        times = []
        for _ in range(request["tries"]):
            started = time.perf_counter()
            lines = translate(texts, beam_size)
            times.append(time.perf_counter() - started)
        translated[name] = {"seconds": min(times), "lines": lines}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_memory_bytes = peak if sys.platform == "darwin" else peak * 1024
    print(json.dumps({"translated": translated, "peak_memory_bytes": peak_memory_bytes}))
