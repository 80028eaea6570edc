"""The language of sentences, guessed by their frequent words."""

import pytest
from helpers import everyday_lines

from translator.text.languages import guess_language, language_code, language_name

TEXTS = {
    "fr": "Le train part à huit heures et nous ne sommes pas prêts. Je ne sais pas où est mon "
    "chapeau. Il y a une lettre pour vous sur la table. Elle habite avec sa mère dans une petite "
    "maison. Les enfants jouent dans le jardin. Vous avez plus de temps que moi.",
    "de": "Der Zug fährt um acht, und wir sind noch nicht fertig. Ich weiß nicht, wo mein Hut ist. "
    "Auf dem Tisch liegt ein Brief für dich. Sie wohnt mit ihrer Mutter in einem kleinen Haus. "
    "Die Kinder spielen im Garten. Du hast mehr Zeit als ich, und das ist gut.",
    "it": "Il treno parte alle otto e non siamo ancora pronti. Non so dove è il mio cappello. C'è "
    "una lettera per te sul tavolo. Lei abita con la madre in una piccola casa. I bambini giocano "
    "nel giardino. Tu hai più tempo di me, ma questo non è un problema.",
    "pt": "O trem sai às oito e ainda não estamos prontos. Eu não sei onde está o meu chapéu. Há "
    "uma carta para você na mesa. Ela mora com a mãe em uma casa pequena. As crianças não estão no "
    "jardim. Você tem mais tempo do que eu, mas isso não é um problema.",
    "nl": "De trein vertrekt om acht uur en wij zijn nog niet klaar. Ik weet niet waar mijn hoed "
    "is. Er ligt een brief voor je op de tafel. Zij woont met haar moeder in een klein huis. De "
    "kinderen spelen in de tuin. Jij hebt meer tijd dan ik, maar dat is niet erg.",
}
# Languages that the module doesn't know.
OTHERS = {
    "sv": "Tåget går klockan åtta och vi är inte klara än. Jag vet inte var min hatt är. Det "
    "ligger ett brev till dig på bordet. Hon bor med sin mor i ett litet hus. Barnen leker i "
    "trädgården. Du har mer tid än jag, men det gör ingenting.",
    "pl": "Pociąg odjeżdża o ósmej, a my nie jesteśmy gotowi. Nie wiem, gdzie jest mój kapelusz. "
    "Na stole leży list do ciebie. Ona mieszka z matką w małym domu. Dzieci bawią się w ogrodzie. "
    "Masz więcej czasu niż ja, ale to nie szkodzi.",
    "zh": "火车八点开。我们还没准备好。我不知道我的帽子在哪里。桌子上有你的一封信。",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_known_language(language: str) -> None:
    assert guess_language([TEXTS[language]] * 4) == language


@pytest.mark.parametrize(("column", "language"), [(0, "en"), (1, "es")])
def test_the_languages_of_the_test_corpus(column: int, language: str) -> None:
    lines = [line[column] for line in everyday_lines()]
    for start in range(0, 400, 50):
        assert guess_language(lines[start : start + 50]) == language


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_said_of_an_unknown_language(language: str) -> None:
    assert guess_language([OTHERS[language]] * 10) is None


def test_nothing_is_said_of_two_languages_mixed() -> None:
    assert guess_language([TEXTS["fr"], TEXTS["de"]] * 10) is None


def test_a_few_words_are_not_enough() -> None:
    assert guess_language(["The cat is on the table, and the dog is not."] * 5) is None
    assert guess_language([]) is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("en", "en"), ("EN", "en"), ("en-GB", "en"), ("pt_BR", "pt"), ("eng", "en"),
        ("Spanish", "es"), (" español ", "es"), ("eo", None), ("", None), ("entry", None),
    ],
)  # fmt: skip
def test_names_of_languages(name: str, code: str | None) -> None:
    assert language_code(name) == code


def test_english_names() -> None:
    names = [language_name(code) for code in ("en", "es", *TEXTS)]
    assert names == ["English", "Spanish", "French", "German", "Italian", "Portuguese", "Dutch"]
