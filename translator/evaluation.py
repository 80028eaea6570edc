"""BLEU and chrF by sacrebleu, with all references and with what makes a score repeatable."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from translator.errors import TranslatorError


@dataclass(frozen=True)
class Scores:
    """Corpus scores of detokenised, cased text.

    Attributes:
        bleu: Papineni et al. 2002, 0 to 100
        chrf: Popović 2015, 0 to 100
        bleu_signature: sacrebleu's settings and version (Post 2018)
        chrf_signature: likewise
        sentences: how many were scored
        references: how many they were compared with, all together
    """

    bleu: float
    chrf: float
    bleu_signature: str
    chrf_signature: str
    sentences: int
    references: int


def score(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
    """Score translations.

    Args:
        hypotheses: a translation for each sentence
        references: for each sentence all its references, one at least

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


def content_hash(sources: Sequence[str], references: Sequence[Sequence[str]]) -> str:
    """SHA-256 of what is translated and compared with: the same exactly if these are the same."""
    lines = ("\t".join([src, *refs]) + "\n" for src, refs in zip(sources, references, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
