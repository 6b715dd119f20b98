import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dtenv.fl import experiment
from dtenv.fl.__main__ import main as command
from dtenv.fl.data.images import load_images
from dtenv.fl.experiment import Setting, run_seeds
from dtenv.fl.outcome import Diverged
from dtenv.fl.parts.attack import Attack
from dtenv.fl.recipe import Recipe
from dtenv.fl.training.local_sgd import LocalTraining
from dtenv.fl.variants.catalogue import VARIANTS, recipe_of
from dtenv.fl.variants.command import VariantsTable, main
from dtenv.fl.variants.comparison import difference, mean_of, reached
from dtenv.fl.variants.report import table

SMALL = {"samples": 70, "clients": 4, "hidden": (8,), "test_size": 200}


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def rows_of(**columns) -> list[dict]:
    return [
        {"variant": name, "seed": seed, "diverged": False, "global": value}
        for name, values in columns.items()
        for seed, value in enumerate(values)
    ]


def test_every_variant_says_what_it_is_and_stands_against_another():
    for name, variant in VARIANTS.items():
        assert variant.about and variant.against in VARIANTS and (variant.against != name or name == "fedavg")
        assert isinstance(recipe_of(name), Recipe)
    assert recipe_of("fedavg", 3).rounds == 3


def test_differences_are_scipys_paired_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0.8, 0.01, 5), rng.normal(0.79, 0.01, 5)
    rows = rows_of(fedavg=b, half=a)
    found, theirs = difference(rows, "half", "fedavg", "global"), stats.ttest_rel(a, b)
    interval = theirs.confidence_interval(0.95)
    assert (found.mean, found.low, found.high) == pytest.approx((np.mean(a - b), interval.low, interval.high))
    assert found.p == pytest.approx(theirs.pvalue)
    assert mean_of(rows, "half", "global").mean == pytest.approx(a.mean())


def test_pairs_are_of_seeds_that_both_have_and_the_same_is_no_difference():
    rows = rows_of(fedavg=[0.5, 0.6, 0.7], half=[0.5, 0.6, 0.7])
    assert difference(rows, "half", "fedavg", "global")[:4] == (0.0, 0.0, 0.0, 1.0)
    rows[3]["diverged"] = True
    rows[4]["diverged"] = True
    assert np.isnan(difference(rows, "half", "fedavg", "global").mean)


def test_when_a_target_is_reached():
    row = {"variant": "fedavg", "diverged": False, "accuracy": [0.2, 0.6, 0.7], "seconds": [1.0, 2.5, 4.0]}
    never = row | {"accuracy": [0.1, 0.1, 0.1]}
    assert reached([row, never], "fedavg", 0.6) == (2.0, 2.5, 1, 2)
    assert str(reached([never], "fedavg", 0.6)) == "never"


def test_sizes_grow_geometrically_to_the_ratio_asked_for():
    assert Setting(samples=70, clients=3).sizes(10) == [70, 70, 70]
    sizes = Setting(samples=600, clients=10, unequal=20.0).sizes(10)
    assert sizes == sorted(sizes) and all(size % 10 == 0 for size in sizes)
    assert sizes[-1] / sizes[0] == pytest.approx(20.0, rel=0.1) and np.mean(sizes) == pytest.approx(600.0, rel=0.02)
    with pytest.raises(ValueError, match=r"unequal must be at least 1, got 0\.5"):
        Setting(unequal=0.5)


def test_what_cannot_be_dealt_is_refused_before_training(digits):
    with pytest.raises(ValueError, match=r"digits has 128 images of label 0, 10 clients of samples 2000 need \d+"):
        Setting(samples=2000).check(digits)
    with pytest.raises(ValueError, match=r"emd 0\.55 is not reached by 70"):
        Setting(emd=0.55, **SMALL).check(digits)
    with pytest.raises(ValueError, match="skew must be one of"):
        Setting(skew="dirichlet", **SMALL).check(digits)


def test_a_seed_that_diverges_keeps_its_last_good_state_and_the_others_go_on(digits, monkeypatch):
    recipe, setting = Recipe(rounds=3), Setting(**SMALL)
    plain = run_seeds(digits, setting, recipe, (0, 1, 2))
    trained = experiment.federate

    def breaks_at_seed_1(network, images, clients, recipe, streams, **options):
        outcome = trained(network, images, clients, recipe, streams, **options)
        if 1 not in streams.seeds:
            return outcome
        lost = np.array([seed == 1 for seed in streams.seeds])
        raise Diverged("no", outcome._replace(accuracy=outcome.accuracy[:2], diverged=lost))

    monkeypatch.setattr(experiment, "federate", breaks_at_seed_1)
    rows = run_seeds(digits, setting, recipe, (0, 1, 2))
    assert [(row["seed"], row["diverged"]) for row in rows] == [(0, False), (1, True), (2, False)]
    assert len(rows[1]["accuracy"]) == 2
    for kept, before in ((rows[0], plain[0]), (rows[2], plain[2])):
        assert kept["global"] == pytest.approx(before["global"], abs=0.006)


def test_a_federation_that_diverges_at_once_has_a_row_and_a_place_in_the_table(digits):
    setting = Setting(**SMALL)
    wild = Recipe(rounds=40, local=LocalTraining(learning_rate=30.0), attack=Attack(scale=-1e12))
    rows = [{"variant": "half"} | row for row in run_seeds(digits, setting, wild, (0, 1))]
    assert all(row["diverged"] and np.isfinite(row["global"]) for row in rows)
    rows += [{"variant": "fedavg"} | row for row in run_seeds(digits, setting, Recipe(rounds=2), (0, 1))]
    told = table(rows, {"data": "digits"})
    assert "Diverged, with the accuracy of the last good state" in told and "`half`, seed 0: after" in told


def settings_of(out, **changes) -> VariantsTable:
    given = VariantsTable(out=out, variants=("half", "client-dp", "q-ffl-1"), seeds=2, rounds=2, **SMALL)
    return replace(given, **changes)


def test_the_table_is_written_and_goes_on_where_it_stopped(tmp_path, monkeypatch):
    main(settings_of(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [(row["variant"], row["seed"]) for row in rows] == [
        (name, seed) for name in ("fedavg", "half", "client-dp", "q-ffl-1") for seed in (0, 1)
    ]
    told = (tmp_path / "table.md").read_text()
    assert "| `half` |" in told and "(client) |" in told and "How unequal clients are" in told
    assert (tmp_path / "picture.png").stat().st_size > 5000

    ran = []
    trained = experiment.federate
    monkeypatch.setattr(experiment, "federate", lambda *a, **k: ran.append(a[4].seeds) or trained(*a, **k))
    with (tmp_path / "rows.jsonl").open("a") as opened:
        opened.write('{"variant": "fedavg", "seed": 2, "gl')  # cut off as it was written
    main(settings_of(tmp_path, seeds=3))
    assert ran == [(2,)] * 4
    again = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert again[: len(rows)] == rows and len(again) == 12
    main(settings_of(tmp_path, seeds=3))
    assert len(ran) == 4


def test_rows_of_other_settings_are_not_mixed(tmp_path):
    main(settings_of(tmp_path, variants=("fedavg",)))
    before = (tmp_path / "rows.jsonl").read_bytes()
    with pytest.raises(ValueError, match=r"was made with rounds 2, got 3"):
        main(settings_of(tmp_path, rounds=3))
    with pytest.raises(ValueError, match="variant must be one of"):
        main(settings_of(tmp_path, variants=("fedsgd",)))
    with pytest.raises(ValueError, match="seeds must be at least 2 for an interval, got 1"):
        main(settings_of(tmp_path, seeds=1))
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def test_the_command_line_names_its_commands(capsys):
    command(["--help"])
    assert "variants" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="command must be one of"):
        command(["nothing"])
