"""CTranslate2 as its users call it, with one thread per core and batches of similar length.

    python -m peers.by_hand FOLDER < REQUEST

See `peers.measuring` for the request and the answer. `translator export` writes FOLDER.
"""

import json
import os
import sys

import ctranslate2
import sentencepiece

from peers.measuring import answer


def main(folder: str) -> None:
    """Load the model and answer the request on standard input."""
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model")
    engine = ctranslate2.Translator(folder, inter_threads=os.cpu_count() or 1, intra_threads=1)

    def translate(texts: list[str], beam_size: int) -> list[str]:
        results = engine.translate_batch(
            tokenizer.encode(texts, out_type=str),
            max_batch_size=1024,
            batch_type="tokens",
            beam_size=beam_size,
        )
        found: list[str] = tokenizer.decode([result.hypotheses[0] for result in results])
        return found

    answer(translate, json.load(sys.stdin))


if __name__ == "__main__":
    main(sys.argv[1])
