"""Translate with a model that JoeyNMT 2.3 has trained; this runs in JoeyNMT's environment.

    python -m peers.joey_translator CONFIG < REQUEST

See `peers.measuring` for the request and the answer. The settings are those of CONFIG. Texts are
batched by length, which makes JoeyNMT faster.
"""

import json
import sys
from pathlib import Path

from joeynmt.config import load_config, parse_global_args
from joeynmt.prediction import predict, prepare

from peers.measuring import answer


def main(config_path: Path) -> None:
    """Load the model and answer the request on standard input."""
    config = load_config(config_path)
    config["model_dir"] = str(config_path.parent / "model")  # the folder may have been moved
    arguments = parse_global_args(config, rank=0, mode="translate")
    model, _, _, stream = prepare(arguments, rank=0, mode="translate")

    def translate(texts: list[str], beam_size: int) -> list[str]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        stream.reset_cache()
        for i in order:
            stream.set_item(texts[i])
        _, _, found, *_ = predict(
            model=model,
            data=stream,
            device=arguments.device,
            n_gpu=arguments.n_gpu,
            normalization="none",
            num_workers=arguments.num_workers,
            # As in JoeyNMT's documented settings, divide the score by the length.
            args=arguments.test._replace(beam_size=beam_size, beam_alpha=1.0),
            autocast=arguments.autocast,
        )
        lines = [""] * len(texts)
        for i, line in zip(order, found, strict=True):
            lines[i] = line
        return lines

    answer(translate, json.load(sys.stdin))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
