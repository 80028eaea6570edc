"""Guess the language of sentences by its most frequent words; only a few languages are known."""

import re
from collections import Counter
from collections.abc import Iterable

# Other names of a language in settings and in the header of a file, in lowercase.
_NAMES = {
    "en": ("eng", "english", "inglés", "ingles"),
    "es": ("spa", "spanish", "español", "espanol", "castellano"),
    "fr": ("fra", "fre", "french", "français"),
    "de": ("deu", "ger", "german", "deutsch"),
    "it": ("ita", "italian", "italiano"),
    "pt": ("por", "portuguese", "português"),
    "nl": ("nld", "dut", "dutch", "nederlands"),
}
# About thirty of the most frequent words. A word of several languages is listed in each of them.
_WORDS = {
    "en": "the a and of to in is that it you he she they we i was are not have has for with on this"
    " my me your his her what do be at there will can",
    "es": "el la los las un una y que de en es está no se lo por para con su al del como más pero"
    " qué yo mi me te le hay muy son a ha tu",
    "fr": "le la les un une et que de en est pas se ne pour avec son au du des comme plus mais je"
    " mon me te il elle vous nous ce dans sur à a qui",
    "de": "der die das ein eine einen und dass ist nicht sich für mit sein zu von den dem wie mehr"
    " aber ich mein mir du er sie wir es in auf hat haben was war sind",
    "it": "il la lo i gli le un una e che di in è non si per con del della al come più ma io mio mi"
    " ti ho ha sono a da tu questo nel",
    "pt": "o a os as um uma e que de em é está não se do da no na por para com seu ao como mais mas"
    " eu meu me te ele ela são você foi tem",
    "nl": "de het een en dat is niet zich voor met zijn te van in op hij zij ik mijn mij je jij wij"
    " heeft hebben ze er maar ook was wat we die",
}
_LANGUAGES_WITH = {
    word: [language for language, words in _WORDS.items() if word in words.split()]
    for words in _WORDS.values()
    for word in words.split()
}
_CODES = {name: code for code, names in _NAMES.items() for name in (code, *names)}
_WORD = re.compile(r"[^\W\d_]+")

# With fewer words, chance decides.
_MIN_WORDS = 100
# In everyday sentences of these languages, a third to a half of the words are in their own list,
# and less than half as many in the list of another one. In very short ones ("Come in!") it is a
# fifth.
_MIN_SHARE = 0.2
_MIN_LEAD = 1.5


def language_code(name: str) -> str | None:
    """Return the code of a language, such as "en" for "EN", "en_US", "eng" and "English".

    Returns:
        None if nothing is known about a language of that name.
    """
    lower = name.strip().casefold()
    return _CODES.get(lower) or _CODES.get(re.split("[-_]", lower)[0])


def language_name(code: str) -> str:
    """Return the English name of a language that `language_code` or `guess_language` returned."""
    return next(name for name in _NAMES[code] if len(name) > len("eng")).capitalize()


def guess_language(texts: Iterable[str]) -> str | None:
    """Guess the language that texts are written in.

    Returns:
        Its code; None if the texts are few, or in a language that is not known or not clear.
    """
    words = Counter(word for text in texts for word in _WORD.findall(text.lower()))
    counts = Counter(dict.fromkeys(_WORDS, 0))
    for word, count in words.items():
        for language in _LANGUAGES_WITH.get(word, ()):
            counts[language] += count
    (best, hits), (_, others) = counts.most_common(2)
    total = words.total()
    if total < _MIN_WORDS or hits < max(_MIN_SHARE * total, _MIN_LEAD * others):
        return None
    return best
