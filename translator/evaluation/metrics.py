"""Compute BLEU and chrF with sacrebleu, with all references and what makes them repeatable."""

from collections.abc import Sequence
from itertools import compress, zip_longest

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from translator.corpus.held_out import Example, content_hash
from translator.errors import TranslatorError
from translator.inference.translator import Translator
from translator.runs.manifest import Evaluation, Scores, Slice


def score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
    """Score translations.

    Args:
        hypotheses: the translation of each sentence
        references: all references of each sentence, at least one

    Raises:
        TranslatorError: the counts don't match, or there is nothing to score.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise TranslatorError(
            f"{len(hypotheses)} translations can't be scored against the references of "
            f"{len(references)} sentences"
        )
    # sacrebleu wants the k-th references of all sentences together, None where there is no k-th.
    columns = [list(column) for column in zip_longest(*references)]
    bleu, chrf = BLEU(), CHRF()
    bleu_score = bleu.corpus_score(list(hypotheses), columns).score
    chrf_score = chrf.corpus_score(list(hypotheses), columns).score
    return Scores(
        bleu=bleu_score,
        chrf=chrf_score,
        bleu_signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
        sentences=len(hypotheses),
        references=sum(map(len, references)),
    )


def evaluate(
    translator: Translator,
    examples: list[Example],
    beam_size: int,
    length_penalty: float = 1.0,
) -> tuple[list[str], Evaluation]:
    """Translate sentences and compare them with all their references.

    Returns:
        The translations, and their scores.
    """
    sources = [example.src for example in examples]
    references = [example.references for example in examples]
    translations = translator.translate(
        sources, beam_size=beam_size, length_penalty=length_penalty, with_scores=False
    )
    lines = [translation.text for translation in translations]

    def score_part(chosen: list[bool]) -> Slice:
        part = score(list(compress(lines, chosen)), list(compress(references, chosen)))
        return Slice(part.sentences, part.bleu, part.chrf)

    near = {
        name: [example.near is value for example in examples]
        for name, value in (("near", True), ("novel", False))
    }
    names = sorted({name for example in examples for name in example.origins})
    from_source = {name: [name in example.origins for example in examples] for name in names}
    return lines, Evaluation(
        **vars(score(lines, references)),
        split_sha256=content_hash(examples),
        beam_size=beam_size,
        length_penalty=length_penalty,
        slices={name: score_part(chosen) for name, chosen in near.items() if any(chosen)},
        sources={
            name: score_part(chosen) for name, chosen in from_source.items() if len(names) > 1
        },
    )
