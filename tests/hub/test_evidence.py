"""Evidence bundles and answers: sources are aligned whose text stays where it is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import DatasetDict
from safetensors import safe_open
from safetensors.numpy import load_file, save

from builders import make_encoder, make_source, row, toy_source
from esnera_hf.api import align, apply, reproduce
from esnera_hf.cli.main import main
from esnera_hf.errors import ConfigurationError, EsneraError, SourceError
from esnera_hf.evaluation.merged_tagger import OutputSettings
from esnera_hf.hub import protection
from esnera_hf.hub.answer import Answer
from esnera_hf.hub.evidence import Evidence
from esnera_hf.modeling.tagger import Tagger
from esnera_hf.result import MergeResult
from esnera_hf.settings import AlignSettings
from esnera_hf.similarity.evidence import EvidenceSettings
from esnera_hf.similarity.semantic import kept_directions
from esnera_hf.sources.source import License, NerSource, Provenance
from esnera_hf.taggers.light_heads import LightHead
from esnera_hf.taggers.settings import TaggerSettings
from hub_server import HubServer, clients_inside

PEOPLE = ("anna", "bruno", "clara", "dario", "emma", "felix")
PLACES = ("oslo", "lima", "quito", "cairo", "paris", "vienna")
SALT = "a secret of both sides"
COUNTS = ("matched", "predicted", "read", "recall", "support", "semantic", "siblings")
FORMS = ("overlap", "occurring")


def corpus(name: str, person: str, place: str, sentences: int = 24, **facts: Any) -> NerSource:
    """Return sentences that stand in no other corpus, of which two words have another label in the last three."""
    rows = [
        row(
            f"{name} {split} {n} : {PEOPLE[n % 6]}/B-{person if n < sentences - 3 else 'rare'} met in "
            f"{PLACES[(2 * n + 1) % 6]}/B-{place} and in {PLACES[n % 6]}/B-{place}"
        )
        for split in ("train",)
        for n in range(sentences)
    ]
    source = make_source(name, {"train": rows, "validation": rows[:0], "test": rows[:0]})
    return NerSource(**{**vars_of(source), **facts})


def vars_of(source: NerSource) -> dict[str, Any]:
    return {"name": source.name, "dataset": source.dataset, "language": source.language}


@pytest.fixture
def mine() -> NerSource:
    return corpus("mine", "per", "loc")


@pytest.fixture
def theirs() -> NerSource:
    terms = License("a license", False, "a clause")
    return corpus("theirs", "name", "city", license=terms, provenance=Provenance("https://x.org", "Cite me."))


def exact(source: NerSource, encoder: Path, **options: Any) -> Evidence:
    return Evidence.from_source(source, encoder=encoder, **{"reveal": 1.0, **options})


def sent(source: NerSource, folder: Path, encoder: Path, **options: Any) -> Path:
    file = folder / f"{source.name}.evidence"
    exact(source, encoder, **options).save(file)
    return file


def answer_of(asked: Evidence, source: NerSource, encoder: Path, **changed: Any) -> Answer:
    answer = Answer.from_source(asked, source, encoder=encoder)
    return Answer({**answer.facts, **changed})  # type: ignore[typeddict-item]


def assert_same(one: MergeResult, other: MergeResult, *fields: str) -> None:
    assert one.similarity is not None
    assert other.similarity is not None
    assert one.similarity.labels == other.similarity.labels
    for name in fields:
        first, second = (np.asarray(getattr(result.similarity, name)) for result in (one, other))
        assert first.tobytes() == second.tobytes(), name


def test_a_bundle_with_noise_is_made_of_more_text(
    encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ENOUGH_MENTIONS": 10, "LEAST_SENTENCES": 5}.items():
        monkeypatch.setattr(f"esnera_hf.taggers.light_heads.{name}", value)
    source = corpus("many", "per", "loc", 120)
    noisy = Evidence.from_source(source, encoder=encoder_folder)
    assert exact(source, encoder_folder).facts["read"]["per"] < 20
    assert noisy.facts["read"]["per"] > 90


def test_mentions_count_as_read_where_heads_of_others_read_them(
    encoder_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a head finds there is a share of them, though the bundle was made of more."""
    for name, value in {"ENOUGH_MENTIONS": 10, "LEAST_SENTENCES": 5}.items():
        monkeypatch.setattr(f"esnera_hf.taggers.light_heads.{name}", value)
    sources = [corpus("one", "per", "loc", 120), corpus("two", "name", "city", 120)]
    bundles = [Evidence.from_source(source, encoder=encoder_folder) for source in sources]
    answers = [Answer.from_source(bundles[n], sources[1 - n], encoder=encoder_folder) for n in (0, 1)]
    texts = align(sources, encoder=encoder_folder).similarity
    assert texts is not None
    for given in ([*bundles, *answers], [sources[0], *bundles, answers[0]], [*sources, *bundles]):
        matrix = align(given, encoder=encoder_folder).similarity
        assert matrix is not None
        np.testing.assert_array_equal(matrix.read, texts.read)
    alone = align([sources[0], bundles[1]], encoder=encoder_folder).similarity
    assert alone is not None
    there = [bundles[1].read.get(label.label, 0) for label in alone.labels if label.source == "two"]
    assert alone.read.tolist() == [*texts.read[alone.indices("one")], *there]


class TestTheFile:
    def test_what_is_saved_is_what_is_loaded_and_holds_no_text(
        self, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        file = sent(theirs, tmp_path, encoder_folder, salt=SALT)
        content = file.read_bytes()
        loaded = Evidence.load(file)
        assert loaded.to_bytes() == content
        measured = exact(theirs, encoder_folder, salt=SALT)
        np.testing.assert_array_equal(loaded.head.weights, measured.head.weights)
        assert loaded.head.digest == measured.head.digest
        for label, total in measured.centroids.total.items():
            np.testing.assert_array_equal(loaded.centroids.total[label], total)
        assert (loaded.name, loaded.labels) == ("theirs", ("city", "name", "rare"))
        assert loaded.mentions == {"city": 48, "name": 21, "rare": 3}
        assert loaded.facts["lengths"]["city"] == (1.0, 0.0)
        assert loaded.facts["license"].clause == "a clause"
        assert loaded.facts["provenance"].citation == "Cite me."
        assert loaded.facts["encoder"] == encoder_folder.name
        words = {*PEOPLE, *PLACES, SALT, str(encoder_folder)}
        assert [word for word in words if word.encode() in content] == []

    def test_the_same_source_gives_the_same_bytes_and_nothing_is_overwritten(
        self, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        file = sent(theirs, tmp_path, encoder_folder)
        assert exact(theirs, encoder_folder).to_bytes() == file.read_bytes()
        with pytest.raises(ConfigurationError, match="exists already"):
            sent(theirs, tmp_path, encoder_folder)
        with pytest.raises(ConfigurationError, match=r"ends in \.evidence"):
            Evidence.load(file).save(tmp_path / "theirs.bin")
        assert [path.name for path in tmp_path.iterdir()] == ["theirs.evidence"]


class TestAlign:
    def test_with_answers_both_ways_the_result_is_that_of_the_texts(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        """Each side sends its bundle, the other answers; whichever aligns, with or without a text, counts the same."""
        texts = align([mine, theirs], encoder=encoder_folder)
        files = {source.name: sent(source, tmp_path, encoder_folder, salt=SALT) for source in (mine, theirs)}
        answers = {}
        for asked, other in (("mine", theirs), ("theirs", mine)):
            answers[asked] = tmp_path / f"{asked}.answer"
            answer = Answer.from_source(Evidence.load(files[asked]), other, encoder=encoder_folder, salt=SALT)
            answer.save(answers[asked])
        assert b"oslo" not in answers["mine"].read_bytes()
        salted = AlignSettings(EvidenceSettings(salt=SALT))
        here = align([mine, files["theirs"], answers["mine"]], encoder=encoder_folder, settings=salted)
        nowhere = align([*files.values(), *answers.values()], encoder=encoder_folder)
        for result in (here, nowhere):
            assert_same(texts, result, *COUNTS, *FORMS)
            assert result.mapping.to_yaml() == texts.mapping.to_yaml()
        assert texts.similarity is not None
        assert texts.similarity.matched.sum() > 0
        assert np.isfinite(texts.similarity.overlap).any()
        assert SALT not in json.dumps(here.report.to_dict())
        assert len(here.dataset["train"]) == 24
        assert len(nowhere.dataset["train"]) == 0

    def test_what_only_the_other_side_could_measure_is_unknown(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        texts = align([mine, theirs], encoder=encoder_folder).similarity
        matrix = align([mine, sent(theirs, tmp_path, encoder_folder)], encoder=encoder_folder).similarity
        assert texts is not None
        assert matrix is not None
        own, other = matrix.indices("mine"), matrix.indices("theirs")
        # Their heads on my text are counted as ever, mine on theirs are not.
        for name in ("matched", "predicted"):
            one, all_of_it = getattr(matrix, name), getattr(texts, name)
            assert np.array_equal(one[np.ix_(other, own)], all_of_it[np.ix_(other, own)])
            assert not one[np.ix_(own, other)].any()
            assert all_of_it[np.ix_(own, other)].any()
        assert np.isnan(matrix.overlap).all()
        assert_same_rows = ("semantic", "siblings", "read", "recall", "support")
        for name in assert_same_rows:
            np.testing.assert_array_equal(getattr(matrix, name), getattr(texts, name))

    def test_the_mapping_covers_all_labels_and_the_dataset_holds_only_what_has_text(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        result = align([mine, f"clinic={sent(theirs, tmp_path, encoder_folder)}"], encoder=encoder_folder)
        assert {str(entry.label) for entry in result.mapping.entries} == {
            *("mine:per", "mine:loc", "mine:rare", "clinic:name", "clinic:city", "clinic:rare")
        }
        assert {entry.label.label: entry.mentions for entry in result.mapping.entries}["city"] == 48
        assert set(result.dataset["train"]["source"]) == {"mine"}
        said = "came as an evidence bundle"
        assert said in str(result.report)
        assert "clinic: no text, 72 entities of train" in str(result.report)
        result.save(tmp_path / "merged")
        assert said in (tmp_path / "merged" / "report.html").read_text(encoding="utf-8")
        assert MergeResult.load(tmp_path / "merged").mapping == result.mapping

    def test_owners_apply_the_mapping_and_their_parts_are_the_whole(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        bundles = [sent(source, tmp_path, encoder_folder) for source in (mine, theirs)]
        align(bundles, encoder=encoder_folder).mapping.save(tmp_path / "mapping.yaml")
        whole = apply(tmp_path / "mapping.yaml", [mine, theirs])
        parts = [apply(tmp_path / "mapping.yaml", [source]) for source in (mine, theirs)]
        assert tags_of(*parts) == tags_of(whole)
        assert len(tags_of(whole)) == 48

    def test_one_owner_goes_on_from_the_encoder_of_another(
        self, encoder_folder: Path, tmp_path: Path
    ) -> None:
        """As the how-to has it; what the second encoder has learnt is in the tagger that goes on from it."""
        sources = [toy_source(name, {"PERSON": "PER", "PLACE": "LOC"}, n) for n, name in enumerate("ab")]
        mapping = align(sources, encoder=encoder_folder, evidence="surface").mapping
        training = TaggerSettings(training={"num_train_epochs": 1, "use_cpu": True})
        output = OutputSettings(train_merged=True, pseudo_label_threshold=None)
        encoder = encoder_folder
        for source in sources:
            part = apply(mapping, [source], encoder=encoder, output=output, taggers=training)
            part.save(tmp_path / source.name)
            tagger = Tagger.from_pretrained(tmp_path / source.name / "tagger")
            encoder = tmp_path / f"encoder-{source.name}"
            tagger.model.encoder.save_pretrained(encoder)
            tagger.tokenizer.save_pretrained(encoder)
        states = [load_file(folder / "model.safetensors") for folder in (encoder_folder, encoder)]
        shared = sorted(states[0].keys() & states[1].keys())
        assert any((states[0][name] != states[1][name]).any() for name in shared)
        assert len(shared) == len(states[1])
        assert part.report.systems["merged"]

    def test_a_bundle_that_was_changed_on_purpose_is_given_beside_its_text(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        """The answer counts what the noisy head found, so that head is used for the other direction, too."""
        own = sent(mine, tmp_path, encoder_folder, reveal=0.9, min_support=3)
        other = sent(theirs, tmp_path, encoder_folder)
        answer = Answer.from_source(Evidence.load(own), theirs, encoder=encoder_folder)
        with pytest.raises(ConfigurationError, match="another bundle of mine"):
            align([mine, other, answer], encoder=encoder_folder)
        result = align([mine, own, other, answer], encoder=encoder_folder)
        matrix = result.similarity
        assert matrix is not None
        assert len(result.dataset["train"]) == 24
        assert result.mapping.sources == ("mine", "theirs")
        row_sum = sum(answer.counts.values())
        column = matrix.indices("theirs")[0]
        assert matrix.predicted[matrix.indices("mine"), column].sum() == row_sum > 0

    def test_an_answer_belongs_to_its_bundle_whatever_the_bundle_is_called_here(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        own, file = exact(mine, encoder_folder), sent(theirs, tmp_path, encoder_folder)
        answer = answer_of(own, theirs, encoder_folder)
        for renamed in (f"clinic={file}", Evidence.load(file).named("ward").named("clinic")):
            matrix = align([mine, renamed, answer], encoder=encoder_folder).similarity
            assert matrix is not None
            here, there = matrix.indices("mine"), matrix.indices("clinic")
            assert matrix.predicted[here, there[0]].sum() == answer.counts.total() > 0

    def test_what_a_report_cannot_hold_is_asked_for_when_it_is_made_again(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        own, file = sent(mine, tmp_path, encoder_folder), sent(theirs, tmp_path, encoder_folder, salt=SALT)
        answer = Answer.from_source(Evidence.load(own), theirs, encoder=encoder_folder)
        settings = AlignSettings(EvidenceSettings(salt=SALT))
        align([mine, file, answer], encoder=encoder_folder, settings=settings).save(tmp_path / "merged")
        report = (tmp_path / "merged" / "report.json").read_text(encoding="utf-8")
        assert answer.digest in report
        assert SALT not in report
        sources = [mine, file, answer]
        assert reproduce(tmp_path / "merged", sources, encoder=encoder_folder, salt=SALT)[1] == []
        for given, salt, said in (
            (sources[:2], SALT, f"with the answers {answer.digest} .digests., and none is given"),
            (sources, None, "it does not hold the salt"),
        ):
            with pytest.raises(ConfigurationError, match=said):
                reproduce(tmp_path / "merged", given, encoder=encoder_folder, salt=salt)

    def test_each_bundle_has_a_salt_of_its_own(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path
    ) -> None:
        """Three parties: who holds one salt can try out no word of the other two."""
        salts = {"theirs": SALT, "third": SALT + "!"}
        third = corpus("third", "human", "town")
        bundles = [exact(source, encoder_folder, salt=salts[source.name]) for source in (theirs, third)]
        settings = AlignSettings(EvidenceSettings(salt=salts))
        matrix = align([mine, *bundles], encoder=encoder_folder, settings=settings).similarity
        assert matrix is not None
        for name in salts:
            assert np.isfinite(matrix.overlap[np.ix_(matrix.indices(name), matrix.indices("mine"))]).any()
        for wrong, said in (({"theirs": salts["third"]}, "with another one"), ({"nobody": SALT}, "nobody")):
            settings = AlignSettings(EvidenceSettings(salt=wrong))
            with pytest.raises(ConfigurationError, match=said):
                align([mine, *bundles], encoder=encoder_folder, settings=settings)

    def test_a_bundle_in_a_folder_with_an_at_sign(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "me@work").mkdir()
        file = sent(theirs, tmp_path / "me@work", encoder_folder)
        assert align([mine, file], encoder=encoder_folder).mapping.sources == ("mine", "theirs")

    def test_a_bundle_of_another_text_of_the_same_name_and_labels_is_noticed(
        self,
        mine: NerSource,
        theirs: NerSource,
        encoder_folder: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        namesake = exact(corpus("mine", "per", "loc", 20), encoder_folder)
        said = "counts 40 mentions of loc, the text 48"
        for bundle, expected in (
            (namesake, True),
            (exact(mine, encoder_folder), False),
        ):
            align([mine, theirs, bundle], encoder=encoder_folder)
            assert (said in " ".join(capsys.readouterr().err.split())) == expected


def tags_of(*results: MergeResult) -> Counter[tuple[str, ...]]:
    tags: Counter[tuple[str, ...]] = Counter()
    for result in results:
        for split in result.dataset.values():
            names = split.features["ner_tags"].feature
            for one in split:
                tags[one["source"], one["id"], *map(names.int2str, one["ner_tags"])] += 1
    return tags


class TestPrivacy:
    def test_rarer_labels_are_named_and_nothing_else_is_said_of_them(
        self, theirs: NerSource, encoder_folder: Path
    ) -> None:
        usual, careful = (exact(theirs, encoder_folder, **options) for options in ({}, {"min_support": 4}))
        assert "rare" in usual.head.labels
        assert "rare" in usual.centroids.total
        assert careful.labels == usual.labels
        assert careful.mentions["rare"] == 0
        facts = careful.facts
        for held in (facts["read"], facts["recall"], facts["lengths"], facts["heads"], facts["centroids"]):
            assert "rare" not in held
        answers = [
            Answer.from_source(usual, theirs, encoder=encoder_folder, min_support=least) for least in (3, 4)
        ]
        golds = [{gold for _, gold in answer.counts} for answer in answers]
        assert golds[0] - golds[1] == {"rare"}
        assert answers[0].counts.total() == answers[1].counts.total()

    def test_what_is_held_back_by_default_is_bounded_and_the_same_when_asked_again(
        self, theirs: NerSource, encoder_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever asks often gets no other noise, and whoever has no secret does not get this one."""
        made, again = (Evidence.from_source(theirs, encoder=encoder_folder) for _ in range(2))
        assert made.to_bytes() == again.to_bytes()
        assert made.facts["reveal"] == 0.54
        assert set(made.facts["noise"]) == {"city", "name"} == set(made.centroids.total)
        # Of twice the mentions, half the noise suffices.
        assert made.facts["noise"]["city"] < 0.7 * made.facts["noise"]["name"]
        # More digits of it would tell the spread of what was read.
        assert all(float(f"{size:.1e}") == size for size in made.facts["noise"].values())
        assert "rare" not in (*made.facts["read"], *made.facts["recall"], *made.head.labels)
        made.save(tmp_path / "theirs.evidence")
        loaded = Evidence.load(tmp_path / "theirs.evidence")
        for label, total in made.centroids.total.items():
            np.testing.assert_array_equal(loaded.centroids.total[label], total)
        others = [Evidence.from_source(theirs, encoder=encoder_folder, reveal=0.6)]
        monkeypatch.setattr("esnera_hf.hub.protection._secret", lambda: b"another secret")
        others.append(Evidence.from_source(theirs, encoder=encoder_folder))
        assert (
            others[0].facts["noise"]["city"] < made.facts["noise"]["city"] == others[1].facts["noise"]["city"]
        )
        plain = exact(theirs, encoder_folder).centroids
        drawn = [one.centroids.total["city"] / 48 - plain.total["city"] / 48 for one in (made, *others)]
        # Noise that were the same, or the same but for its size, could be taken off.
        assert all(abs(np.corrcoef(drawn[0], other)[0, 1]) < 0.95 for other in drawn[1:])

    @pytest.mark.parametrize(
        ("reveal", "mentions", "of_sentence"), [(0.55, 30, 1), (0.55, 300, 1), (0.7, 60, 1), (0.7, 60, 4)]
    )
    def test_the_best_test_tells_a_sentence_as_well_as_is_allowed(
        self, reveal: float, mentions: int, of_sentence: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It knows all other sentences, so all that hides the one it asks about is the noise on all of its labels."""
        generator, basis = np.random.default_rng(0), kept_directions(16)
        sentences = np.repeat(np.arange(mentions // of_sentence), of_sentence)
        gold = np.array(["a", "b"])[np.arange(mentions) // max(of_sentence // 2, 1) % 2]
        # Mentions of a sentence are alike.
        vectors = (
            generator.normal(size=(len(sentences), 16)) + generator.normal(size=(mentions, 16))[sentences]
        )
        means = {label: vectors[gold == label].mean(axis=0) for label in ("a", "b")}
        scores: dict[bool, list[float]] = {True: [], False: []}
        for secret in range(300):
            monkeypatch.setattr(protection, "_secret", partial(secret.to_bytes, 2, "big"))
            others = sentences != secret % (sentences[-1] + 1)
            without = {label: vectors[others & (gold == label)].mean(axis=0) for label in means}
            for member in (True, False):
                read = np.ones_like(others) if member else others
                own = vectors[read].astype(np.float32)
                spans = LightHead((), own[:0], own[:0, 0], tuple(gold[read]), own, {}, sentences[read])
                _, centroids, noise = protection.protected(spans, reveal, 3)
                score = variance = 0.0
                for label, total in centroids.total.items():
                    towards = (means[label] - without[label]) @ basis / noise[label]
                    shift = (total / centroids.count[label] - without[label]) @ basis / noise[label]
                    score, variance = score + float(shift @ towards), variance + float(towards @ towards)
                scores[member].append(score / sqrt(variance))
        member, stranger = np.array(scores[True]), np.array(scores[False])
        area = (member[:, None] > stranger[None, :]).mean()
        assert area == pytest.approx(reveal, abs=0.05)

    def test_a_secret_is_drawn_once_and_nobody_else_may_read_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ESNERA_CACHE_DIR", str(tmp_path / "cache"))
        secret = protection._secret()
        file = tmp_path / "cache" / protection.KEY_FILE
        assert (len(secret), protection._secret()) == (32, secret)
        assert file.stat().st_mode & 0o077 == 0
        file.write_bytes(b"short")
        with pytest.raises(ConfigurationError, match="expected 32 bytes, found 5"):
            protection._secret()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"min_support": 2}, "min_support=2: expected a whole number from 3"),
            ({"reveal": 0.5}, "reveal=0.5: expected a number above 0.5"),
            ({"reveal": 1.1}, "reveal=1.1: expected a number above 0.5"),
            ({"salt": "too short"}, "salt: expected a text of at least 16 characters"),
        ],
    )
    def test_options_out_of_range(
        self, theirs: NerSource, encoder_folder: Path, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message) as caught:
            exact(theirs, encoder_folder, **options)
        assert "too short" not in str(caught.value)


class TestRefusals:
    def test_what_does_not_belong_together(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        bundle = Evidence.load(sent(theirs, tmp_path, encoder_folder))
        salted = exact(theirs, encoder_folder, salt=SALT)
        own = exact(mine, encoder_folder)
        answer = answer_of(own, theirs, encoder_folder)
        reversed_answer = answer_of(bundle, mine, encoder_folder)
        other_encoder = tmp_path / "other"
        make_encoder(other_encoder, seed=1)
        cases: list[tuple[list[Any], dict[str, Any], str]] = [
            ([mine, bundle], {"encoder": other_encoder}, "Use the same encoder on all sides"),
            ([mine, bundle], {}, "a folder on the machine of its owner"),
            ([mine, bundle], {"evidence": "surface"}, "came as evidence bundles"),
            ([mine, bundle], {"method": "greedy"}, "came as evidence bundles"),
            ([mine, bundle, bundle], {}, "two bundles are called 'theirs'"),
            ([mine, bundle, reversed_answer], {}, "no bundle of a source of that name"),
            (
                [mine, bundle, answer_of(bundle, theirs, encoder_folder)],
                {},
                "no bundle of a source of that name",
            ),
            ([mine, bundle, answer, answer], {}, "two answers of theirs to mine"),
            ([mine, bundle, bundle.named("again"), answer], {}, "may be of again or theirs"),
            ([mine, theirs, answer], {}, "an answer counts for the bundle of that source"),
            ([corpus("mine", "per", "loc", 20), bundle, answer], {}, "another bundle of mine"),
            ([bundle], {}, "expected at least two"),
            ([mine, bundle], {"settings": AlignSettings(EvidenceSettings(salt=SALT))}, "has hashes of forms"),
            (
                [mine, salted],
                {"settings": AlignSettings(EvidenceSettings(salt=SALT + "!"))},
                "were hashed with another one",
            ),
        ]
        for sources, options, message in cases:
            given = {"encoder": encoder_folder, **options}
            if "a folder on the machine" in message:
                given.pop("encoder")
            with pytest.raises(ConfigurationError, match=message) as caught:
                align(sources, **given)
            assert SALT not in str(caught.value)

    def test_bundles_where_text_is_needed(
        self, theirs: NerSource, encoder_folder: Path, tmp_path: Path
    ) -> None:
        file = sent(theirs, tmp_path, encoder_folder)
        result = align([file, Evidence.load(file).named("other")], encoder=encoder_folder)
        card = str(result.card("me/nothing"))
        assert "## Make it where the texts are" in card
        assert "hf download me/nothing mapping.yaml" in card
        assert "load_dataset" not in card
        with pytest.raises(ConfigurationError, match="holds no text, which is needed here"):
            apply(result.mapping, [file])

    @pytest.mark.parametrize(
        "changed",
        [
            {"counts": [("", "city", 1)]},
            {"counts": [("strange", "city", 1)]},
            {"forms": {"strange": (1, 1, {"city": 0.5})}},
        ],
    )
    def test_answers_about_labels_that_nobody_asked_of(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path, changed: dict[str, Any]
    ) -> None:
        own, other = (exact(source, encoder_folder) for source in (mine, theirs))
        with pytest.raises(ConfigurationError, match="for other labels"):
            align([mine, other, answer_of(own, theirs, encoder_folder, **changed)], encoder=encoder_folder)

    @pytest.mark.parametrize(
        ("name", "label"),
        [("mine", "per\u3000son"), ("mine", "a\u200db"), ("my\u00a0own", "per"), ("m", "L" * 400)],
    )
    def test_what_nobody_could_read_is_not_written(self, encoder_folder: Path, name: str, label: str) -> None:
        with pytest.raises(ConfigurationError, match="nobody could read a bundle of it"):
            exact(corpus(name, label, "loc"), encoder_folder)
        usual = exact(corpus("usual", "per", "loc"), encoder_folder)
        with pytest.raises(ConfigurationError, match="nobody could read a bundle of it"):
            usual.named("two\nlines")
        with pytest.raises(ConfigurationError, match="nobody could read an answer of it"):
            answer_of(usual, corpus(name, label, "loc"), encoder_folder)

    def test_taggers_are_trained_of_what_has_text(
        self, mine: NerSource, theirs: NerSource, encoder_folder: Path
    ) -> None:
        dataset = DatasetDict({**mine.dataset, "validation": mine.dataset["train"].select(range(6))})
        bundle = exact(theirs, encoder_folder)
        few = TaggerSettings(training={"num_train_epochs": 1, "use_cpu": True})
        settings = AlignSettings(taggers=few, output=OutputSettings(pseudo_label_threshold=0.9))
        result = align([replace(mine, dataset=dataset), bundle], encoder=encoder_folder, settings=settings)
        assert set(result.report.taggers) == {"mine"}
        assert result.report.disagreements == ()

    def test_mentions_too_long_to_occur_elsewhere_are_no_forms(
        self, encoder_folder: Path, tmp_path: Path
    ) -> None:
        page = " ".join(["word/B-page", *["word/I-page"] * 1_200])
        rows = [row(f"{n} anna/B-per {page}") for n in range(4)]
        source = make_source("scans", {"train": rows, "validation": [], "test": []})
        forms = Evidence.load(sent(source, tmp_path, encoder_folder, salt=SALT)).facts["forms"]
        assert forms == {"page": 0, "per": 1}

    @pytest.mark.parametrize("content", [b"", b"\0" * 64, b"{}", b"\xff" * 8 + b"x"])
    def test_files_that_are_no_bundles(self, tmp_path: Path, content: bytes) -> None:
        for name, read in (("a.evidence", Evidence.load), ("a.answer", Answer.load)):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(SourceError, match=r"nothing of it was used|made again|make it again"):
                read(tmp_path / name)
        with pytest.raises(EsneraError, match="no such file"):
            Evidence.load(tmp_path / "missing.evidence")


def test_a_bundle_is_published_with_a_card_and_aligned_from_the_hub(
    mine: NerSource, theirs: NerSource, encoder_folder: Path, tmp_path: Path
) -> None:
    made = exact(theirs, encoder_folder)
    with HubServer() as server, clients_inside(server, tmp_path, token=server.tokens["write"]):
        with pytest.raises(ConfigurationError, match=r"ends in \.evidence"):
            made.push_to_hub("me/theirs")
        published = made.push_to_hub("theirs.evidence")
        assert published.repo_id == "me/theirs.evidence"
        files = server.repo("dataset", "me/theirs.evidence").files("main")
        assert files["bundle.evidence"] == made.to_bytes()
        readme = files["README.md"].decode()
        assert "| city | 48 | 48 |" in readme
        assert "Cite me" in readme
        assert not any(word in readme for word in (*PEOPLE, *PLACES))
        result = align([mine, "me/theirs.evidence"], encoder=encoder_folder)
        assert server.unexpected == []
    assert result.mapping.sources == ("mine", "theirs")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", 1, "version 1, and this version of esnera-hf reads version 2"),
        ("format", "other", "expected format"),
        ("surplus", 1, "unknown or missing: surplus"),
        ("labels", ["city", "city", "name"], "each once"),
        ("labels", [f"l{n}" for n in range(10_001)], "1 to 10,000"),
        ("name", "the\x1b[31mirs", "printable"),
        ("name", "n" * 400, "1 to 300"),
        ("mentions", {"city": -1, "name": 1, "rare": 1}, "mentions: expected numbers from 0"),
        ("mentions", {"city": True, "name": 1, "rare": 1}, "expected int"),
        ("mentions", {"city": 1}, "a number for each label"),
        ("recall", {"city": float("nan")}, "nothing of it was used"),
        ("recall", {"strange": 0.5}, "recall: expected numbers"),
        ("lengths", {"city": [1.0, -1.0]}, "lengths: expected numbers"),
        ("lengths", {"city": [float("inf"), 1.0]}, "nothing of it was used"),
        ("heads", ["", "city", "strange"], "heads: expected labels"),
        ("heads", ["", "city"], "has shape"),
        ("centroids", ["city"], "has shape"),
        ("read", {"name": 5}, "centroids: expected labels"),
        ("salt_check", "0" * 16, "without a check of their salt"),
        ("encoder_digest", "x", "32 hexadecimal"),
        ("layers", -1, "not negative"),
        ("provenance", {"homepage": "x" * 30_000, "citation": "", "hub_id": "", "revision": ""}, "20,000"),
        ("license", {"name": "x", "text_may_be_shared": "yes", "clause": ""}, "text_may_be_shared"),
    ],
)
def test_bundles_of_strangers_are_checked_field_by_field(
    theirs: NerSource, encoder_folder: Path, tmp_path: Path, field: str, value: Any, message: str
) -> None:
    file = sent(theirs, tmp_path, encoder_folder)
    header, arrays = parts_of(file)
    file.write_bytes(save({**arrays}, metadata={"esnera_hf": json.dumps({**header, field: value})}))
    with pytest.raises(SourceError) as caught:
        Evidence.load(file)
    assert message in str(caught.value)


@pytest.mark.parametrize("problem", ["nan", "float32", "surplus", "missing", "shape", "dimensions"])
def test_arrays_of_strangers_are_checked(
    theirs: NerSource, encoder_folder: Path, tmp_path: Path, problem: str
) -> None:
    file = sent(theirs, tmp_path, encoder_folder)
    header, arrays = parts_of(file)
    weights = arrays["weights"].copy()
    weights[0, 0] = np.nan
    changed: dict[str, Any] = {
        "nan": {"weights": weights},
        "float32": {"bias": arrays["bias"].astype(np.float32)},
        "surplus": {"code": arrays["bias"]},
        "missing": {"weights": arrays["weights"], "bias": arrays["bias"]},
        "shape": {"bias": arrays["bias"][:1]},
        "dimensions": {"centroids": np.ascontiguousarray(arrays["centroids"][:, :3])},
    }[problem]
    kept = {} if problem == "missing" else arrays
    file.write_bytes(save({**kept, **changed}, metadata={"esnera_hf": json.dumps(header)}))
    with pytest.raises(SourceError, match="nothing of it was used"):
        Evidence.load(file)


def parts_of(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with safe_open(file, framework="numpy") as opened:
        return json.loads(opened.metadata()["esnera_hf"]), {
            name: opened.get_tensor(name) for name in sorted(opened.keys())
        }


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("version", 1, "reads version 2"),
        ("surplus", 1, "unknown or missing: surplus"),
        ("counts", [["per", "city", 0]], "counts: expected numbers from 1"),
        ("counts", [["per", "city", 1], ["per", "city", 2]], "each pair of labels once"),
        ("counts", [["per", "strange", 1]], "each pair of labels once"),
        ("counts", [["per", "city", "1"]], "expected int"),
        ("read", {"strange": 1}, "read: expected numbers from 0"),
        ("forms", {"per": [1, 2, {}]}, "forms: expected"),
        ("forms", {"per": [2, 1, {"city": 2.0}]}, "forms: expected"),
        ("asked", "x", "32 hexadecimal"),
    ],
)
def test_answers_of_strangers_are_checked(
    mine: NerSource,
    theirs: NerSource,
    encoder_folder: Path,
    tmp_path: Path,
    field: str,
    value: Any,
    message: str,
) -> None:
    own = exact(mine, encoder_folder)
    file = tmp_path / "theirs.answer"
    Answer.from_source(own, theirs, encoder=encoder_folder).save(file)
    Answer.load(file)
    file.write_text(
        json.dumps({**json.loads(file.read_text(encoding="utf-8")), field: value}), encoding="utf-8"
    )
    with pytest.raises(SourceError) as caught:
        Answer.load(file)
    assert message in str(caught.value)


def test_on_the_command_line(
    encoder_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, labels in (("mine", ("per", "loc")), ("theirs", ("name", "city"))):
        lines = [
            json.dumps(
                {"tokens": sentence.tokens, "spans": [[e.start, e.end, e.label] for e in sentence.entities]}
            )
            for sentence in corpus(name, *labels).sentences("train")
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUR_SALT", SALT)
    shared = ["--encoder", str(encoder_folder), "--salt", "OUR_SALT"]
    exact = ["--exact"]
    for command in (
        ["evidence", "mine.jsonl", "--output", "mine.evidence", *exact, *shared],
        ["evidence", "theirs.jsonl", "--output", "theirs.evidence", *shared],
        ["answer", "mine.evidence", "theirs.jsonl", "--output", "theirs.answer", *shared],
        ["align", "mine.jsonl", "theirs.evidence", "theirs.answer", "--output", "merged", *shared],
    ):
        assert main(command) == 0, capsys.readouterr().err
    assert MergeResult.load(tmp_path / "merged").mapping.sources == ("mine", "theirs")
    stated = ["--license", "theirs=cc-by-4.0", "--salt", "theirs=OUR_SALT", "--output", "stated"]
    assert main(["align", "mine.jsonl", "theirs.evidence", *shared[:2], *stated]) == 0
    licenses = {one.name: one.license.name for one in MergeResult.load(tmp_path / "stated").report.sources}
    assert licenses["theirs"] == "cc-by-4.0"
    (tmp_path / "theirs.evidence").rename(tmp_path / "sent.evidence")
    schema = [
        "align",
        "mine.jsonl",
        "sent.evidence",
        "--target-schema",
        "theirs",
        *shared,
        "--output",
        "schema",
    ]
    assert main(schema) == 0, capsys.readouterr().err
    unified = MergeResult.load(tmp_path / "schema").mapping.unified_labels
    assert {"city", "name"} <= set(unified)
    assert main(["align", "mine.jsonl", "sent.evidence", "--quick"]) == 1
    assert "--quick compares by names and forms alone, and sent.evidence holds no" in capsys.readouterr().err
    quick = ["align", "mine.jsonl", "sent.evidence", "--quick", *shared, "--output", "quick"]
    capsys.readouterr()
    assert main(quick) == 0
    assert "esnera-hf apply quick/mapping.yaml mine.jsonl --output DIR" in capsys.readouterr().out
    page = (tmp_path / "quick" / "report.html").read_text(encoding="utf-8")
    assert "esnera-hf apply mapping.yaml mine.jsonl --output edited" in page
    assert main(["card", "sent.evidence", "me/sent.evidence"]) == 0
    assert "\n| city | " in capsys.readouterr().out
    for command, said in (
        (["push", "sent.evidence", "--to-folder", "folder"], "--to-folder: sent.evidence is one file"),
        (["evidence", "nothing", "--output", "x.bin"], "x.bin: expected a name that ends in .evidence"),
        (
            ["answer", "nothing", "nothing", "--output", "x.bin"],
            "x.bin: expected a name that ends in .answer",
        ),
        (
            [
                "answer",
                "mine.evidence",
                "theirs.jsonl",
                "--min-support",
                "-1",
                "--output",
                "x.answer",
                *shared,
            ],
            "--min-support -1: expected a whole number from 3",
        ),
    ):
        assert main(command) == 1
        assert said in capsys.readouterr().err
    (tmp_path / "salt.txt").write_text(SALT, encoding="utf-8")
    again = ["evidence", "mine.jsonl", "--output", "again.evidence", "--encoder", str(encoder_folder), *exact]
    assert main([*again, "--salt", "salt.txt"]) == 0
    assert (tmp_path / "again.evidence").read_bytes() == (tmp_path / "mine.evidence").read_bytes()
    assert main([*again[:3], "more.evidence", *again[4:], "--salt", SALT]) == 1
    said = capsys.readouterr()
    assert "name of an environment variable" in said.err
    assert SALT not in said.out + said.err
