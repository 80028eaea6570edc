"""Measure how well a translator handles what people type, not only clean sentences.

It needs only a function from texts to texts, so any system can be measured.
"""

import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice

from translator.corpus.held_out import Example
from translator.evaluation.metrics import score
from translator.evaluation.probes import Probe, english_spanish_probes, invented_name
from translator.inference.translator import Translator
from translator.runs.manifest import RobustnessRow
from translator.text.normalization import fold

Translate = Callable[[list[str]], list[str]]

_SEED = 1
_MAX_EXAMPLES = 500
# Groups of long sentences by the number of their words, both ends included. The first starts where
# almost all sentences of the default corpus have ended.
_LONG = {
    "sentences of 16 to 25 words": range(16, 26),
    "sentences of over 25 words": range(26, sys.maxsize),
}
# BLEU of fewer sentences says little.
_MIN_GROUP = 20
_MAX_LOOP_WORDS = 4
# The measures of the short form, which a report has room for.
_SHORT = {
    "clean", "lower case", "ALL CAPS", "one typo",
    "word: cat", "numbers kept", "unusual names kept", "spans kept",
}  # fmt: skip
_FINAL_MARKS = ".!?… "
_OPENING_MARKS = "¿¡"
# Letters after the first one, at least three of them.
_LONG_WORD = re.compile(r"(?<=[^\W\d_])[^\W\d_]{3,}")
_NAME = re.compile(r"(?<![\w'’])[A-Z][a-z]{2,}(?!\w)")
_FIRST_LETTER = re.compile(r"(?<![\w'’])\w")


def without_final_mark(text: str) -> str:
    """Remove the final mark, and an opening ¿ or ¡; keep a text that has nothing else."""
    return text.lstrip(_OPENING_MARKS).rstrip(_FINAL_MARKS) or text


def with_typo(text: str, rng: random.Random) -> str:
    """Swap two neighbouring letters of a word that has at least four letters.

    The first letter keeps its place, and the two letters differ. A text without such letters is
    not changed.
    """
    places = [
        i
        for word in _LONG_WORD.finditer(text)
        for i in range(word.start(), word.end() - 1)
        if text[i] != text[i + 1]
    ]
    if not places:
        return text
    i = rng.choice(places)
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]


def variants(sources: Sequence[str]) -> dict[str, list[str]]:
    """Change sentences in the ways that people type them.

    Returns:
        For each way its name and the changed sentences; "clean" are the sentences as they are.
    """
    rng = random.Random(_SEED)
    return {
        "clean": list(sources),
        "lower case": [without_final_mark(text.lower()) for text in sources],
        "first letter lower": [text[:1].lower() + text[1:] for text in sources],
        "no final mark": [without_final_mark(text) for text in sources],
        "ALL CAPS": [text.upper() for text in sources],
        "Title Case": [_FIRST_LETTER.sub(lambda m: m[0].upper(), text) for text in sources],
        "one typo": [with_typo(text, rng) for text in sources],
    }


def with_other_names(example: Example, rng: random.Random) -> Example | None:
    """Replace the names that the source and all references have by made-up ones.

    Returns:
        The changed example; None if it has no such name.
    """
    texts = [example.src, *example.references]
    names = [
        name
        for name in dict.fromkeys(_NAME.findall(example.src))
        if all(re.search(rf"\b{name}\b", text) for text in texts)
    ]
    for name in names:
        other = invented_name(rng)
        texts = [re.sub(rf"\b{name}\b", other, text) for text in texts]
    return replace(example, src=texts[0], references=texts[1:]) if names else None


def has_loop(text: str) -> bool:
    """Whether 1 to 4 words are said three times in a row, or the same 4 words occur three times.

    The loop guard has its own definition, on tokens, since a measure should not depend on what it
    measures.
    """
    words = fold(text).split()
    for n in range(1, _MAX_LOOP_WORDS + 1):
        for i in range(len(words) - 3 * n + 1):
            if words[i : i + n] == words[i + n : i + 2 * n] == words[i + 2 * n : i + 3 * n]:
                return True
    grams = Counter(zip(*(words[k:] for k in range(_MAX_LOOP_WORDS)), strict=False))
    return max(grams.values(), default=0) >= 3


def is_loop(src: str, translation: str) -> bool:
    """Whether a translation has a loop and its source has none."""
    return has_loop(translation) and not has_loop(src)


def is_early_stop(src: str, translation: str) -> bool:
    """Whether a translation has fewer than half as many words as its source.

    1 % of the Spanish references of the default corpus do, too.
    """
    return 2 * len(translation.split()) < len(src.split())


def translate_with(translator: Translator, beam_size: int) -> Translate:
    """Return the translation of texts by a translator, as a function."""

    def translate(texts: list[str]) -> list[str]:
        found = translator.translate(texts, beam_size=beam_size, with_scores=False)
        return [translation.text for translation in found]

    return translate


def measure_robustness(
    translate: Translate,
    examples: Sequence[Example],
    *,
    src_lang: str,
    tgt_lang: str,
    max_examples: int = _MAX_EXAMPLES,
    short: bool = False,
) -> list[RobustnessRow]:
    """Translate held-out sentences changed in several ways, and probes, and score them.

    The scores of changed sentences are folded: they ignore case and punctuation, which the change
    has removed. The scores of long sentences and of those with names are not folded. The shares of
    loops and early stops are those of all these sentences together. There are probes for English to
    Spanish only.

    Args:
        translate: returns the translation of each text, in order
        examples: held-out sentences
        src_lang: language of the sentences
        tgt_lang: language of their references
        max_examples: number of sentences to change, evenly spread over the examples; also the
            limit for each group of long sentences, and for the first sentences with names
        short: leave out the measures that a report has no room for

    Raises:
        TranslatorError: there are no examples.
    """
    chosen = evenly_spread(examples, max_examples)
    changed = variants([example.src for example in chosen])
    groups = _long_sentences(examples, max_examples)
    probes = english_spanish_probes() if (src_lang, tgt_lang) == ("en", "es") else []
    if short:
        changed = {name: texts for name, texts in changed.items() if name in _SHORT}
        probes = [probe for probe in probes if probe.measure in _SHORT]
    else:
        groups |= _sentences_with_names(examples, max_examples)
    held_out = list(
        dict.fromkeys(
            [text for texts in changed.values() for text in texts]
            + [example.src for group in groups.values() for example in group]
        )
    )
    # All at once, so that a translator can make batches of similar length.
    texts = list(dict.fromkeys([*held_out, *(probe.src for probe in probes)]))
    translations = dict(zip(texts, translate(texts), strict=True))

    rows = []
    references = [[fold(reference) for reference in example.references] for example in chosen]
    for name, variant in changed.items():
        folded = score([fold(translations[text]) for text in variant], references)
        rows.append(RobustnessRow(f"{name}, folded BLEU", folded.bleu, "BLEU", len(chosen)))
        rows.append(RobustnessRow(f"{name}, folded chrF", folded.chrf, "chrF", len(chosen)))
    for name, group in groups.items():
        plain = score([translations[e.src] for e in group], [e.references for e in group])
        rows.append(RobustnessRow(name, plain.bleu, "BLEU", len(group)))
    for name, is_one in (("loops", is_loop), ("early stops", is_early_stop)):
        rows.append(_share(name, [is_one(text, translations[text]) for text in held_out]))
    return rows + _probe_rows(probes, translations)


def evenly_spread(examples: Sequence[Example], limit: int) -> list[Example]:
    """Return at most `limit` examples, at equal distances."""
    count = min(limit, len(examples))
    return [examples[i * len(examples) // count] for i in range(count)]


def _long_sentences(examples: Sequence[Example], limit: int) -> dict[str, list[Example]]:
    groups = {
        name: [example for example in examples if len(example.src.split()) in lengths]
        for name, lengths in _LONG.items()
    }
    return {
        name: evenly_spread(group, limit)
        for name, group in groups.items()
        if len(group) >= _MIN_GROUP
    }


def _sentences_with_names(examples: Sequence[Example], limit: int) -> dict[str, list[Example]]:
    rng = random.Random(_SEED)
    renamed = ((example, with_other_names(example, rng)) for example in examples)
    found = list(islice(((example, other) for example, other in renamed if other), limit))
    if len(found) < _MIN_GROUP:
        return {}
    return {
        "sentences with names": [example for example, _ in found],
        "the same with made-up names": [other for _, other in found],
    }


def _probe_rows(probes: list[Probe], translations: dict[str, str]) -> list[RobustnessRow]:
    passed: dict[str, list[bool]] = {}
    for probe in probes:
        passed.setdefault(probe.measure, []).append(probe.passes(translations[probe.src]))
    return [_share(name, found) for name, found in passed.items()]


def _share(name: str, found: list[bool]) -> RobustnessRow:
    return RobustnessRow(name, 100 * sum(found) / len(found), "%", len(found))
