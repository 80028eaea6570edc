"""Measure a system that translates, in its own process, which reads a request in JSON.

This module imports only the standard library: it also runs in the environments of other toolkits,
and other imports would count as memory of the system.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

# Takes texts and a beam size, and returns the translations.
Translate = Callable[[list[str], int], list[str]]


def answer(translate: Translate, request: dict[str, Any]) -> None:
    """Translate the texts of a request, and print the measures as the last line of the output.

    Args:
        translate: the system
        request: `texts`; `beam_sizes`, a mapping from name to size; `tries`, of which the fastest
            counts, since disturbances only make a system slower; `warming`, how many texts to
            translate before measuring, since the first calls allocate memory and choose kernels
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
