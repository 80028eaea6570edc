"""`generate` of `transformers`, with a model of the same shape as ours.

    python -m peers.hugging_face RUN < REQUEST

See `peers.measuring` for the request and the answer. The request also has `lengths`: under the name
of each beam size, how many tokens the translations have.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration

from peers.measuring import Translate, answer
from translator.data.arrays import Ragged
from translator.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizer
from translator.runs.run import Run

# Sentences per batch, sorted by length. Other sizes were not tried.
_BATCH = 64


def random_m2m100(run: Run, lengths: dict[int, list[int]]) -> Translate:
    """M2M100, the most similar architecture, with the shape of a run's model and random weights.

    A model with random weights does not end its sentences. So each batch takes as many steps as it
    would with the run's model: the length of its longest translation.

    Args:
        run: gives the model's shape and the tokenizer
        lengths: for each beam size, the number of tokens of each text's translation, including eos

    Returns:
        The function that translates.
    """
    model_config = run.load_config().model
    tokenizer = Tokenizer(run.tokenizer)
    torch.manual_seed(0)
    config = M2M100Config(
        vocab_size=tokenizer.vocab_size,
        d_model=model_config.d_model,
        encoder_layers=model_config.encoder_layers,
        decoder_layers=model_config.decoder_layers,
        encoder_attention_heads=model_config.n_heads,
        decoder_attention_heads=model_config.n_heads,
        encoder_ffn_dim=model_config.d_ff,
        decoder_ffn_dim=model_config.d_ff,
        pad_token_id=PAD_ID,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        decoder_start_token_id=BOS_ID,
    )
    model: Any = M2M100ForConditionalGeneration(config)  # its type annotations are wrong
    model.eval()
    model.generation_config.eos_token_id = None

    def translate(texts: list[str], beam_size: int) -> list[str]:
        rows = Ragged.from_lists(tokenizer.encode(texts))
        order = np.argsort(rows.lengths, kind="stable")
        lines = [""] * len(texts)
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            src = torch.from_numpy(rows.padded(batch, bos=False))
            found = model.generate(
                src,
                attention_mask=(src != PAD_ID).long(),
                num_beams=beam_size,
                do_sample=False,
                max_new_tokens=max(lengths[beam_size][i] for i in batch),
            )
            for i, line in zip(batch, tokenizer.decode(found[:, 1:].tolist()), strict=True):
                lines[i] = line
        return lines

    return translate


def main(run: Path) -> None:
    """Build the model and answer the request on standard input."""
    request = json.load(sys.stdin)
    lengths = {request["beam_sizes"][name]: counts for name, counts in request["lengths"].items()}
    answer(random_m2m100(Run(run), lengths), request)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
