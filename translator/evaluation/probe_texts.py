"""Sentences for the probes: with numbers, names, markup, lines, quotes and questions."""

# A template, and the kind of number that is put into it.
NUMBER_TEMPLATES = [
    ("There are {} chairs in the big hall.", "integer"),
    ("The train leaves at {} in the morning.", "time"),
    ("The ticket costs ${} today.", "decimal"),
    ("He was born in {} in a small village.", "year"),
    ("About {} of the students passed the exam.", "percentage"),
    ("Please install version {} on your computer.", "version"),
    ("Call me at {} if you need help.", "phone"),
    ("The report is dated {} and has no name on it.", "date"),
    ("More than {} people live in this city.", "thousands"),
    ("Our room is number {} on the third floor.", "integer"),
    ("The meeting starts at {} and ends before lunch.", "time"),
    ("This box weighs {} kilos.", "decimal"),
]

# A template, and the kind of name that suits it.
NAME_TEMPLATES = [
    ("My friend {} lives near the beach.", "person"),
    ("Have you seen {} today?", "person"),
    ("I gave the keys to {} yesterday.", "person"),
    ("{} is waiting for you outside.", "person"),
    ("We spent two weeks in {} last summer.", "place"),
    ("The road to {} is closed.", "place"),
    ("She has worked for {} since March.", "company"),
    ("I bought it from {} two years ago.", "company"),
]

RARE_NAMES = [
    "Aoife", "Bjørk", "Caoimhe", "Dvořák", "Eoghan", "Fjóla", "Ginevra", "Hrafn", "Ilkka",
    "Jadwiga", "Kwabena", "Llewellyn", "Mxolisi", "Nkechi", "Oluwaseun", "Przemek", "Quvenzhané",
    "Ragnhild", "Siobhan", "Xochitl",
]  # fmt: skip

# A name, its kind, and its usual Spanish forms if they differ.
COMMON_NAMES = [
    ("Catherine", "person", "Catalina"),
    ("Jennifer", "person"),
    ("Mary", "person", "María"),
    ("John", "person", "Juan"),
    ("Michael", "person", "Miguel"),
    ("Peter", "person", "Pedro"),
    ("George", "person", "Jorge"),
    ("Emily", "person", "Emilia"),
    ("Kevin", "person"),
    ("Sarah", "person", "Sara"),
    ("Carlos", "person"),
    ("Guadalupe", "person"),
    ("Lucía", "person"),
    ("Mohammed", "person", "Mahoma", "Mohamed"),
    ("Fatima", "person", "Fátima"),
    ("Yuki", "person"),
    ("London", "place", "Londres"),
    ("Paris", "place", "París"),
    ("Boston", "place"),
    ("Chicago", "place"),
    ("Tokyo", "place", "Tokio"),
    ("Berlin", "place", "Berlín"),
    ("Madrid", "place"),
    ("Buenos Aires", "place"),
    ("Microsoft", "company"),
    ("Google", "company"),
    ("Toyota", "company"),
    ("Samsung", "company"),
    ("Netflix", "company"),
    ("Siemens", "company"),
]

# A sentence, and the parts of it that no translation may change.
SPANS = [
    ("Read more at https://example.org/help/start?id=42.", ["https://example.org/help/start?id=42"]),
    ("The old page was www.example.com/news.", ["www.example.com/news"]),
    ("Write to ana.lopez@example.com before Friday.", ["ana.lopez@example.com"]),
    ("Send a copy to info@example.org and to sales@example.org.",
     ["info@example.org", "sales@example.org"]),
    ("The file is in /home/maria/photos/beach.jpg.", ["/home/maria/photos/beach.jpg"]),
    (r"Open C:\Users\Public\notes.txt and read the first line.", [r"C:\Users\Public\notes.txt"]),
    ("Hello, {0}! You have {1} new messages.", ["{0}", "{1}"]),
    ("The file %s could not be opened.", ["%s"]),
    ("%1$s sent you %2$d pictures.", ["%1$s", "%2$d"]),
    ("Dear {{name}}, your order is ready.", ["{{name}}"]),
    ("Good morning, ${user}. It is time to get up.", ["${user}"]),
    ("This word is <b>very</b> important.", ["<b>", "</b>"]),
    ('Click <a href="help.html">here</a> to go on.', ['<a href="help.html">', "</a>"]),
    ("First line<br/>second line<br/>third line", ["<br/>"]),
    ("Use `git status` to see what has changed.", ["`git status`"]),
    ("Call `print(x)` after `x = 1`.", ["`print(x)`", "`x = 1`"]),
    ("Thanks to @maria_23 for the photo.", ["@maria_23"]),
    ("Share your best picture with #summer2024 today.", ["#summer2024"]),
    ("I love this song 🎵 so much ❤️", ["🎵", "❤️"]),
    ("See you tonight! 🎉🎉", ["🎉"]),
]  # fmt: skip

# Texts of several lines.
LINES = [
    "- milk\n- bread\n- two apples",
    "* Close the window.\n* Lock the door.",
    "Things to do:\n\n- call my mother\n- buy a ticket",
    "1. Open the box.\n2. Read the letter.\n3. Answer it.",
    "• a blue shirt\n• black shoes",
    "Dear friend,\n\nThank you for your letter.\n\nSee you soon.",
    "We need water.\nWe need time.",
    "The shop is closed today.\n\n\nCome back tomorrow.",
]

# Sentences with one quotation, in several kinds of marks.
QUOTES = [
    'She said "good morning" and left.',
    '"I am tired," said the old man.',
    "He wrote “no” on the paper.",
    "The sign says “closed” in red letters.",
    'What does "library" mean?',
    "My sister calls him «the boss».",
]

# Questions without their mark.
QUESTIONS = [
    "Where is the station",
    "How much does this shirt cost",
    "What time does the bank open",
    "Who broke the window",
    "Why are you so tired",
    "When does the next bus leave",
    "Do you speak English",
    "Can you help me with this",
]
