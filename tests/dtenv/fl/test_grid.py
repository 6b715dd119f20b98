"""The training grid: what is trained, what is not trained again, and what is refused before anything is."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dtenv.fl.calibration import grid as grids
from dtenv.fl.calibration.grid import Grid, GridJob, described, jobs, read_rows, train_grid, train_job
from dtenv.fl.data.images import load_images
from dtenv.fl.metrics import METRICS
from dtenv.fl.recipe import Recipe
from dtenv.fl.training.local_sgd import LocalTraining
from dtenv.fl.variants.catalogue import recipe_of

SMALL = Grid(
    data="digits",
    recipe=Recipe(rounds=2, local=LocalTraining(epochs=1), fine_tune_epochs=1),
    sizes=(10, 20),
    emds=(0.0, 0.4),
    seeds=(0, 1),
    clients=4,
    hidden=(8,),
    test_size=200,
)


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


@pytest.fixture(scope="module")
def trained(digits, tmp_path_factory):
    file = tmp_path_factory.mktemp("grid") / "rows.jsonl"
    added = []
    return train_grid(SMALL, digits, file, processes=1, tick=added.append), file, added


def test_every_cell_once_in_order(trained):
    rows, file, added = trained
    cells = [(row["samples"], row["emd"], row["seed"]) for row in rows]
    assert cells == [(d, e, s) for d in SMALL.sizes for e in SMALL.emds for s in SMALL.seeds]
    assert added == [2, 2, 2, 2]  # a job is one size and seed, at all distances
    for row in rows:
        assert not row["diverged"] and all(0.0 <= row[metric] <= 1.0 for metric in METRICS)
        assert (
            row["upload_bytes"] == 4 * (64 * 8 + 8 + 8 * 10 + 10) and row["compute"] == 1.0 and row["epsilon"] is None
        )
    assert len({tuple(row[metric] for metric in METRICS) for row in rows}) == len(rows)  # seeds and cells differ
    assert len(file.read_text().splitlines()) == 1 + len(rows)


def test_finished_cells_are_not_trained_again(trained, digits, tmp_path, monkeypatch):
    rows, file, _ = trained
    lines = file.read_text().splitlines(keepends=True)
    cut = tmp_path / "rows.jsonl"
    cut.write_text("".join(lines[:4]) + lines[4][:25])  # killed while it wrote
    done = []
    really = train_job
    monkeypatch.setattr(grids, "train_job", lambda *given: done.append(given[-1]) or really(*given))
    assert train_grid(SMALL, digits, cut, processes=1) == rows
    held = [(row["samples"], row["seed"], row["emd"]) for row in map(json.loads, lines[1:4])]
    assert sum(len(job.emds) for job in done) == len(rows) - 3
    assert not {(job.samples, job.seed, emd) for job in done for emd in job.emds} & set(held)
    done.clear()
    assert train_grid(SMALL, digits, cut, processes=1) == rows and done == []
    more = dataclasses.replace(SMALL, seeds=(0, 1, 2))
    assert len(train_grid(more, digits, cut, processes=1)) == 12
    assert {job.seed for job in done} == {2}


def test_a_replicate_does_not_depend_on_who_is_beside_it(trained, digits):
    rows, *_ = trained
    alone = train_job(SMALL, digits, GridJob(20, 1, (0.4,)))
    beside = [row for row in rows if (row["samples"], row["emd"], row["seed"]) == (20, 0.4, 1)]
    for metric in METRICS:
        assert alone[0][metric] == pytest.approx(beside[0][metric], abs=0.011)  # two test images of 200


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"skew": "major"}, "skew is 'missing' there and 'major' here"),
        ({"recipe": Recipe(rounds=3)}, "recipe is"),
        ({"variant": "8-bit", "recipe": recipe_of("8-bit", 2)}, "variant is 'fedavg' there and '8-bit' here"),
        ({"hidden": (9,)}, r"hidden is \[8\] there and \[9\] here"),
    ],
)
def test_rows_of_other_settings_are_refused(trained, digits, change, named):
    _, file, _ = trained
    before = file.read_text()
    with pytest.raises(ValueError, match=named):
        train_grid(dataclasses.replace(SMALL, **change), digits, file, processes=1)
    assert file.read_text() == before


def test_rows_of_other_data_and_other_files_are_refused(trained, digits, tmp_path):
    _, file, _ = trained
    with pytest.raises(ValueError, match="sha256 is"):
        train_grid(SMALL, dataclasses.replace(digits, sha256="0" * 64), file, processes=1)
    for text in ("not rows\n", "", "[]\n", "{}\n[1]\n"):
        other = tmp_path / "other.jsonl"
        other.write_text(text)
        with pytest.raises(ValueError, match=r"other\.jsonl"):
            read_rows(other, SMALL.settings(digits))
        assert other.read_text() == text


def test_distances_that_diverge_are_told_of_and_others_trained(digits, tmp_path):
    wild = Recipe(rounds=3, local=LocalTraining(learning_rate=1e25, momentum=0.0))
    rows = train_grid(dataclasses.replace(SMALL, recipe=wild), digits, tmp_path / "rows.jsonl", processes=1)
    assert all(row["diverged"] and all(row[metric] is None for metric in METRICS) for row in rows)
    again = read_rows(tmp_path / "rows.jsonl", dataclasses.replace(SMALL, recipe=wild).settings(digits))
    assert len(again) == len(rows)  # they are not tried again


def test_one_that_diverges_leaves_the_others(digits, monkeypatch):
    really, calls = grids.federate, []

    def federate(network, images, clients, recipe, streams, **how):
        outcome = really(network, images, clients, recipe, streams, **how)
        calls.append(len(streams.seeds))
        if len(calls) == 1:
            raise grids.Diverged("the second", outcome._replace(diverged=[False, True, False]))
        return outcome

    monkeypatch.setattr(grids, "federate", federate)
    rows = train_job(SMALL, digits, GridJob(20, 0, (0.0, 0.2, 0.4)))
    assert calls == [3, 2]
    assert [(row["emd"], row["diverged"]) for row in rows] == [(0.2, True), (0.0, False), (0.4, False)]


def test_costs_are_the_recipes(digits):
    private = dataclasses.replace(SMALL, recipe=dataclasses.replace(recipe_of("client-dp", 2)), variant="client-dp")
    row = train_job(private, digits, GridJob(20, 0, (0.0,)))[0]
    assert row["epsilon"] > 0.0 and row["protects"] == "client"
    sparse = dataclasses.replace(SMALL, recipe=recipe_of("top-k-1", 2), variant="top-k-1")
    assert train_job(sparse, digits, GridJob(20, 0, (0.0,)))[0]["upload_bytes"] < 0.03 * 4 * 610


def test_impossible_grids_are_refused_before_training(digits, tmp_path):
    file = tmp_path / "rows.jsonl"
    with pytest.raises(ValueError, match=r"emd 0\.25 is not reached by 10"):
        train_grid(dataclasses.replace(SMALL, emds=(0.0, 0.25)), digits, file, processes=1)
    with pytest.raises(ValueError, match=r"digits has 12. images of label ., clients of 2000 samples"):
        train_grid(dataclasses.replace(SMALL, sizes=(10, 2000)), digits, file, processes=1)
    assert not file.exists()
    for field, value in (("sizes", ()), ("sizes", (10, 10)), ("seeds", (-1,)), ("emds", (0.1, 0.1)), ("skew", "some")):
        with pytest.raises(ValueError, match=field):
            dataclasses.replace(SMALL, **{field: value})


def test_the_largest_jobs_come_first():
    assert [job.samples for job in jobs(SMALL, {})] == [20, 20, 10, 10]
    held = {(20, emd, 0): {} for emd in SMALL.emds} | {(10, 0.0, 1): {}}
    assert list(jobs(SMALL, held)) == [GridJob(20, 1, (0.0, 0.4)), GridJob(10, 0, (0.0, 0.4)), GridJob(10, 1, (0.4,))]


def test_recipes_are_described_with_their_classes():
    told = described(recipe_of("top-k-1"))
    assert told["class"] == "Recipe" and told["rounds"] == 15 and told["attack"] is None
    assert told["compression"]["class"] == "TopK" and told["compression"]["share"] == 0.01
    assert json.loads(json.dumps(told)) == told


def test_processes_give_what_one_does(trained, digits, tmp_path):
    rows, *_ = trained
    for one, other in zip(rows, train_grid(SMALL, digits, tmp_path / "rows.jsonl", processes=2), strict=True):
        for metric in METRICS:
            assert one[metric] == pytest.approx(other[metric], abs=0.011)
