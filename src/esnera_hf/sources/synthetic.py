"""Three generated corpora with different schemas and a known alignment.

They annotate the same kinds of things under other names (PER, person_name,
name), one kind finely and coarsely (book, movie and game against WORK), some
kinds alone (MONEY), and two different kinds under one name (title: a job in
one, a prize in the other).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from esnera_hf.tagging import Entity, LabelRef, iob2_tag_set, tags_from_entities

#: Sentences: enough for taggers that find all true pairs with the default seed.
SIZES = {"train": 700, "validation": 120, "test": 120}

_FIRST = "Ada Alan Anna Boris Carla Chen Dina Emil Fatima Grace Hugo Ines Ivan Jonas Kaya Lena Marc".split()
_LAST = "Abel Baker Castro Duval Ekman Fischer Gomez Haas Ito Jansen Keller Lind Moreau Novak Okoye".split()
_STEM = "Acme Borealis Corvus Delta Everline Fortuna Granite Helix Ion Juniper Kestrel Lumen Nova".split()
_FORM = "Bank Group Holdings Industries Labs Motors Energy Partners".split()
_PLACE = (
    "Avalon Brixton Caldera Dunmore Eastport Fairview Glenrock Harlow Ironbridge Jericho Kingsford Lakewood "
    "Milford Northam Oakdale Portland Quincy Redhill Stonehaven Torrance"
).split()
_ADJECTIVE = "Silent Golden Broken Hidden Crimson Endless Frozen Lost Burning Distant Hollow Secret".split()
_NOUN = "River Garden Empire Mirror Harbor Winter Kingdom Letter Forest Shadow Tower Ocean".split()
_JOB = "minister|chief economist|mayor|spokesman|central banker|party leader|police chief|senator".split("|")
_PRIZE = "Golden Lion|Silver Pen Award|Critics Prize|Audience Award|Laurel Medal|Orion Prize".split("|")
_MONTH = "January February March April May June July August September October".split()
_UNIT = "dollars euros francs yen".split()

_TEMPLATES = {
    "newswire": """
        {job} {person} arrived in {place} on {date} .
        {organisation} said on {date} that it would leave {place} .
        The {job} of {place} met {person} .
        {person} , the {job} , praised {work} in a speech .
        Shares of {organisation} fell after {person} resigned .
        Police in {place} questioned {person} on {date} .
        {organisation} and {organisation} opened an office in {place} .
        Critics in {place} called {work} a warning .
        {person} joined {organisation} as an adviser on {date} .
        Crowds gathered in {place} to hear {person} read from {work} .
        The weather stayed calm over the weekend .
        Nobody was hurt , officials said later .
    """,
    "reviews": """
        I read the novel {book} by {person} in one night .
        The film {movie} with {person} won the {prize} .
        The game {game} from {organisation} crashes too often .
        {person} wrote {book} before the {prize} made her famous .
        {movie} , directed by {person} , is far too long .
        My children play {game} every day since {organisation} sold it cheaply .
        {organisation} turned the novel {book} into a boring film .
        {person} deserves the {prize} for {movie} .
        Compared with {game} the second level feels empty .
        The ending surprised me and I cried a little .
        Do not waste your evening on this .
        {person} read from {book} and everybody laughed .
    """,
    "finance": """
        {organisation} paid {money} for a plant in {place} on {date} .
        {person} sold shares of {organisation} worth {money} .
        The board of {organisation} met in {place} .
        Profit at {organisation} rose to {money} on {date} .
        Analyst {person} expects {money} from the deal .
        {organisation} and {organisation} agreed on {money} .
        {person} joined {organisation} as an adviser on {date} .
        A court in {place} fined {organisation} {money} .
        Shares of {organisation} fell after {person} resigned .
        Markets were closed for the holiday .
        Rates stay where they are , traders believe .
    """,
}

_SCHEMAS = {
    corpus: dict(pair.split("=") for pair in pairs.split())
    for corpus, pairs in (
        ("newswire", "person=PER organisation=ORG place=LOC work=WORK date=DATE job=title"),
        (
            "reviews",
            "person=person_name organisation=company_name book=book movie=movie game=game prize=title",
        ),
        ("finance", "person=name organisation=firm place=city date=day money=MONEY"),
    )
}

#: The kind of thing that each label stands for; labels of one kind are equal.
MEANING = {
    LabelRef(corpus, label): kind for corpus, schema in _SCHEMAS.items() for kind, label in schema.items()
}
#: Kinds of things that are parts of another kind.
PARTS = {"book": "work", "movie": "work", "game": "work"}


def generate_corpora(seed: int) -> dict[str, DatasetDict]:
    """Generate the three corpora, by name, with ``ClassLabel`` IOB2 tags; the seed decides every sentence.

    Each corpus draws from mentions of its own and mentions all share, so that
    about half of what a tagger meets in another corpus is new to it.
    """
    corpora = {}
    for name, schema in _SCHEMAS.items():
        generator = random.Random(f"{seed} {name}")
        tags = List(ClassLabel(names=iob2_tag_set(sorted(schema.values()))))
        features = Features({"tokens": List(Value("string")), "ner_tags": tags})
        splits = {}
        for split, size in SIZES.items():
            tokens, labels = zip(*_sentences(name, size, generator), strict=True)
            splits[split] = Dataset.from_dict({"tokens": tokens, "ner_tags": labels}, features=features)
        corpora[name] = DatasetDict(splits)
    return corpora


def _sentences(corpus: str, size: int, generator: random.Random) -> Iterator[tuple[list[str], list[str]]]:
    templates = [line.split() for line in _TEMPLATES[corpus].strip().split("\n")]
    for _ in range(size):
        tokens: list[str] = []
        entities = []
        for slot in generator.choice(templates):
            if not slot.startswith("{"):
                tokens.append(slot)
                continue
            kind = slot[1:-1]
            mention = _mention(kind, corpus, generator)
            entities.append(Entity(len(tokens), len(tokens) + len(mention), _SCHEMAS[corpus][kind]))
            tokens.extend(mention)
        yield tokens, tags_from_entities(len(tokens), entities)


def _mention(kind: str, corpus: str, generator: random.Random) -> list[str]:
    def pick(pool: list[str]) -> str:
        # From the half that all share, and from that third of the rest that is the corpus's own.
        half = len(pool) // 2
        own = pool[half + list(_SCHEMAS).index(corpus) :: len(_SCHEMAS)]
        return generator.choice(pool[:half] + own)

    if kind == "date":
        return [pick(_MONTH), str(generator.randint(1, 28))]
    if kind == "money":
        return [str(generator.randint(2, 90)), "million", generator.choice(_UNIT)]
    if kind in ("job", "prize"):
        return generator.choice(_JOB if kind == "job" else _PRIZE).split()
    pools = {"person": (_FIRST, _LAST), "organisation": (_STEM, _FORM), "place": (_PLACE,)}
    if kind in pools:
        return [pick(pool) for pool in pools[kind]]
    return ["The", pick(_ADJECTIVE), pick(_NOUN)]
