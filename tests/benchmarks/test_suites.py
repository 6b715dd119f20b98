"""Suites: their cells can be set up; a run stores its results, resumes, and never mixes results."""

import csv
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agents import HEURISTICS, ppo
from agents.training.run import TRAINING_SEEDS
from benchmarks import __main__, aggregate, topology, wallclock
from benchmarks.evaluate import EVALUATION_SEEDS, TUNING_SEEDS
from benchmarks.figures import command as figure
from benchmarks.report import command as report
from benchmarks.suites import run
from benchmarks.suites.catalogue import SUITES
from benchmarks.suites.jobs import Train
from benchmarks.suites.results import ResultsError, load
from benchmarks.suites.run import RunSuite
from benchmarks.suites.suite import Cell, Suite, Training

CELLS = [(suite, cell) for suite in SUITES.values() for cell in suite.cells]
SHORT = {"total_steps": 64, "num_envs": 8, "num_steps": 4, "num_minibatches": 2, "warm_start": "none"}
SMALL = {"num_servers": 3, "num_users": 5, "num_slots": 4}


@pytest.mark.parametrize(("suite", "cell"), CELLS, ids=[f"{suite.name}-{cell.name}" for suite, cell in CELLS])
def test_published_suites_can_be_set_up(suite, cell, tmp_path):
    assert {*cell.references, *(cell.way or ()), *cell.rules()} <= {*HEURISTICS[cell.env_id]}
    for training in cell.trainings:
        args = Train(cell, training, 1, (), tmp_path).args
        trained, evaluated = args.resolve(), cell.resolve()
        assert {name: trained.value(name) for name in cell.fields} == cell.fields
        assert trained.num_sites == evaluated.num_sites and args.total_steps > 0
    assert len({cell.name for cell in suite.cells}) == len(suite.cells)


def test_seeds_of_training_tuning_tables_and_suites_are_apart():
    held_out = {
        seed for suite in SUITES.values() for cell in suite.cells for seed in suite.evaluation_seeds(cell.env_id)
    }
    tables = {*EVALUATION_SEEDS[:1000]}
    assert held_out <= {*EVALUATION_SEEDS} and not held_out & tables
    assert max(EVALUATION_SEEDS) < TRAINING_SEEDS and max(TUNING_SEEDS) < min(EVALUATION_SEEDS)


def test_a_suite_fixes_all_that_could_be_tuned():
    suite = SUITES["smoke"]
    cell = suite.cells[0]
    others = [
        dataclasses.replace(suite, episodes=11),
        dataclasses.replace(suite, seeds=3),
        dataclasses.replace(suite, cells=suite.cells[1:]),
        dataclasses.replace(suite, cells=(dataclasses.replace(cell, fields={**cell.fields, "emd": 0.1}),)),
        dataclasses.replace(suite, cells=(dataclasses.replace(cell, trainings=(Training("ppo", "ppo"),)),)),
    ]
    assert len({suite.sha256, *(other.sha256 for other in others)}) == 6


TINY = Suite(
    name="tiny",
    about="One small cell, two learners.",
    cells=(
        Cell(
            "DTAssociation-v0",
            "balanced",
            (Training("ppo", "ppo", SHORT), Training("ppo, once", "ppo", {**SHORT, "gamma": 0.5}, seeds=1)),
            fields=SMALL,
            references=("stay", "nearest"),
            way=("nearest", "local-search"),
            bounds=1,
        ),
    ),
    seeds=2,
    episodes=3,
)


@pytest.fixture
def tiny(monkeypatch):
    """TINY, in the catalogue."""
    monkeypatch.setitem(SUITES, "tiny", TINY)
    return TINY


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Results of TINY, read-only."""
    out = tmp_path_factory.mktemp("made") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUITES, "tiny", TINY)
        run.main(RunSuite("tiny", workers=1, out=out))
    return out


@pytest.fixture
def folder(tiny, made, tmp_path, capsys):
    """A copy of TINY's results, to be broken."""
    capsys.readouterr()
    return Path(shutil.copytree(made, tmp_path / "tiny"))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_trains_plays_bounds_and_reports(tiny, tmp_path, capsys):
    out = tmp_path / "tiny"
    run.main(RunSuite("tiny", workers=1, out=out))
    said = capsys.readouterr().out
    found = load(out)
    trained = [(training["agent"], training["training_seed"]) for training in found.trainings]
    assert trained == [("ppo", 1), ("ppo, once", 1), ("ppo", 2)]
    assert len(found.rows) == 3 * (len(HEURISTICS["DTAssociation-v0"]) + 3)
    assert [row["bound"] is not None for row in found.rows if row["agent"] == "stay"] == [True, False, False]
    scores = [row["score"] for row in found.rows if row["agent"] == "ppo"]
    assert f"| ppo | {np.mean(scores):.4f} [" in said and "gap to bound" in said and "way (0 nearest" in said
    assert "2 trainings of every learner, 1 of ppo, once:" in said
    points = found.trainings[0]["curve"]
    assert {"steps", "seconds", "score", "utility", "energy", "objective", "episodic_return"} <= {*points[-1]}
    assert points[-1]["steps"] == 64 == found.trainings[0]["steps"]
    assert Image.open(out / "curves.png").size[0] > 600
    assert found.manifest["suite"] == "tiny" and len((out / "runs.jsonl").read_text().splitlines()) == 1


def test_what_stands_is_neither_done_again_nor_written_over(folder, capsys):
    before = contents(folder)
    run.main(RunSuite("tiny", workers=1, out=folder))
    after = contents(folder)
    assert len((folder / "runs.jsonl").read_text().splitlines()) == 2
    assert {str(path) for path in before if before[path] != after[path]} == {"runs.jsonl"}


def test_agents_and_seeds_can_come_one_after_another(tiny, tmp_path, folder, capsys):
    for given in ({"agents": ("stay", "nearest")}, {"agents": ("ppo",), "seeds": 1}, {}):
        run.main(RunSuite("tiny", workers=1, out=tmp_path / "steps", **given))
    rows = [sorted((path / "rows.csv").read_text().splitlines()) for path in (folder, tmp_path / "steps")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("cut", [1, 40, 400], ids="cut {}".format)
def test_an_interrupted_write_is_made_again(folder, cut, capsys):
    path = folder / "rows.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    run.main(RunSuite("tiny", workers=1, out=folder))
    assert "cut short" in capsys.readouterr().out
    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_training_that_ended_without_rows_is_not_repeated(folder, capsys):
    path = folder / "rows.csv"
    whole = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in whole if "ppo" not in line))
    before = contents(folder / "policies")
    run.main(RunSuite("tiny", workers=1, out=folder))
    assert contents(folder / "policies") == before and len(load(folder).trainings) == 3
    assert sorted(path.read_text().splitlines(keepends=True)) == sorted(whole)


def change(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def edit_rows(folder, edit):
    lines = (folder / "rows.csv").read_text().splitlines(keepends=True)
    edit(lines)
    (folder / "rows.csv").write_text("".join(lines))


def _later(folder):
    change(folder / "manifest.json", '"dtenv": "', '"dtenv": "9.')


def _digit(folder):
    def edit(lines):
        *fields, last, check = lines[4].split(",")
        lines[4] = ",".join([*fields[:-1], fields[-1] + "1", last, check])

    edit_rows(folder, edit)


def _short(folder):
    edit_rows(folder, lambda lines: lines.__setitem__(4, lines[4][: len(lines[4]) // 2] + "\n"))


def _twice(folder):
    edit_rows(folder, lambda lines: lines.append(lines[1]))


def _head(folder):
    change(folder / "rows.csv", "utility", "benefit")


def _training(folder):
    text = (folder / "trainings.jsonl").read_text()
    (folder / "trainings.jsonl").write_text(text + text)


def _json(folder):
    (folder / "manifest.json").write_text("{")


def _table(folder):
    (folder / "manifest.json").write_text('{"command": "python -m benchmarks.table"}')


def _suite(folder):
    change(folder / "manifest.json", '"suite_sha256": "', '"suite_sha256": "0')


def readers(folder):
    """Commands that read a folder of results and write into it."""
    yield figure, figure.DrawFigure("all", folder)
    yield report, report.WriteReport(folder)
    yield aggregate, aggregate.Aggregate(folder)


BROKEN = {
    _later: r"manifest.json: dtenv must be .*, got '9\.",
    _digit: r"rows.csv line 5: check must be .*changed after it was written",
    _short: r"rows.csv line 5: must have \d+ fields",
    _twice: r"rows.csv line \d+: repeats line 2 \(cell=.*agent=.*seed=",
    _head: r"rows.csv line 1: columns must be .*utility",
    _training: r"trainings.jsonl line 4: 'ppo' from seed 1 on .* is listed twice",
    _json: r"manifest.json line 1: no JSON",
    _table: r"manifest.json: suite is missing",
    _suite: r"suite 'tiny' has changed since then",
}


@pytest.mark.parametrize(("spoil", "message"), BROKEN.items(), ids=[spoil.__name__[1:] for spoil in BROKEN])
def test_broken_results_are_told_and_left_alone(folder, spoil, message):
    spoil(folder)
    before = contents(folder)
    with pytest.raises(ResultsError, match=message):
        load(folder)
    for command, settings in readers(folder):
        with pytest.raises(SystemExit, match=message):
            command.main(settings)
    assert contents(folder) == before
    with pytest.raises(SystemExit, match=message):
        run.main(RunSuite("tiny", workers=1, out=folder))
    noted = {path for path, data in contents(folder).items() if data != before.get(path)}
    assert {str(path) for path in noted} <= {"runs.jsonl"}


def test_missing_episodes_are_told(folder):
    edit_rows(folder, lambda lines: lines.pop(1))
    with pytest.raises(ResultsError, match="has 2 of 3 episodes"):
        load(folder)


def test_folders_without_results_are_told(tiny, tmp_path):
    with pytest.raises(ResultsError, match=r"no results, manifest.json is missing"):
        load(tmp_path)
    for command, settings in readers(tmp_path):
        with pytest.raises(SystemExit, match=r"no results, manifest.json is missing"):
            command.main(settings)
    assert not list(tmp_path.iterdir())
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(SystemExit, match="holds other files"):
        run.main(RunSuite("tiny", out=tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_folder_keeps_to_its_suite(folder):
    with pytest.raises(SystemExit, match="holds suite 'tiny'; give 'smoke' a folder of its own"):
        run.main(RunSuite("smoke", out=folder))


BAD = {
    "suite": (RunSuite("balance"), "suite must be one of smoke, .*got 'balance'"),
    "agent": (RunSuite("smoke", agents=("dqn",)), "agents: 'dqn' is not in suite 'smoke', which has ppo, maddpg"),
    "seeds": (RunSuite("smoke", seeds=0), "seeds must be at least 1, got 0"),
    "workers": (RunSuite("smoke", workers=0, agents=("nearest",)), "workers must be at least 1, got 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_named_before_anything_is_written(name, tmp_path):
    settings, message = BAD[name]
    with pytest.raises(SystemExit, match=message):
        run.main(dataclasses.replace(settings, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", __main__.COMMANDS)
def test_commands_have_settings_and_say_what_they_are(name, capsys):
    with pytest.raises(SystemExit) as ended:
        __main__.main([name, "--help"])
    assert ended.value.code == 0 and f"python -m benchmarks {name}" in capsys.readouterr().out


def test_an_unknown_command_is_told_which_there_are():
    with pytest.raises(SystemExit, match=r"command must be one of suites, run, .*got 'rum'"):
        __main__.main(["rum"])


def test_policies_run_on_other_topologies(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SUITES, "balanced", tiny)
    monkeypatch.setattr(topology, "TOPOLOGIES", ((5, 3), (4, 6)))
    cell = tiny.cells[0]
    Train(cell, cell.trainings[0], 1, (100_000,), tmp_path).run()
    topology.main(topology.Topology(seeds=1, episodes=2, policies=tmp_path, out=tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| trained at | U = 5, S = 3 | U = 4, S = 6 |" and lines[2].startswith("| S = 3 | **")
    rows = list(csv.DictReader((tmp_path / "out/rows.csv").open()))
    assert {(row["agent"], row["num_users"], row["num_servers"]) for row in rows} == {
        (agent, *sizes) for agent in ("nearest", "local-search", "ppo, S = 3") for sizes in (("5", "3"), ("4", "6"))
    }


def test_wall_clock_takes_turns(tmp_path, monkeypatch, capsys):
    pytest.importorskip("stable_baselines3")
    monkeypatch.setattr(wallclock, "ENVS", 4)
    monkeypatch.setattr(wallclock, "STEPS", 8)
    wallclock.main(wallclock.WallClock(seeds=2, total_steps=64, episodes=3, out=tmp_path))
    trainings = list(csv.DictReader((tmp_path / "trainings.csv").open()))
    assert [row["agent"] for row in trainings] == ["dtenv ppo, batch", "SB3 PPO, DummyVecEnv"] * 2
    assert {row["steps"] for row in trainings} == {"64"}
    assert "Ratio of seconds, turn by turn:" in capsys.readouterr().out


def test_a_killed_training_goes_on_and_tells_its_whole_curve(tiny, tmp_path, monkeypatch):
    cell = tiny.cells[0]
    whole = Train(cell, cell.trainings[0], 1, (100_000,), tmp_path / "whole").run()
    job = Train(cell, cell.trainings[0], 1, (100_000,), tmp_path / "killed")
    save = ppo.Run._keep
    monkeypatch.setattr(ppo.Run, "_keep", lambda *given: (save(*given), (_ for _ in ()).throw(MemoryError)))
    often = dataclasses.replace(job.args, checkpoint_minutes=0.0)
    monkeypatch.setattr(Train, "args", often)
    with pytest.raises(MemoryError):
        job.run()
    [curve] = job.folder.glob("*.curve.jsonl")
    assert len(curve.read_text().splitlines()) == 1
    curve.write_text(curve.read_text() + '{"global_step": 9')  # the kill's
    monkeypatch.undo()
    result = job.run()
    bare = [[{k: v for k, v in p.items() if k != "seconds"} for p in r.training["curve"]] for r in (whole, result)]
    assert bare[0] == bare[1] and len(bare[0]) == 2 and whole.rows == result.rows
    assert not list(job.folder.glob("*.curve.jsonl")) and not list(job.folder.glob("*.part"))
