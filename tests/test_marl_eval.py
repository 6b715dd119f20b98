"""The export for marl-eval: its form by hand, what marl-eval checks, and the form of BenchMARL's files."""

import copy
import json

import pytest

from benchmarks import marl_eval
from benchmarks.marl_eval import MarlEval, export, main
from benchmarks.reports import REPORTS
from benchmarks.results import Results
from benchmarks.suites import SUITES

ENV_ID = "DTMigration-v0"
METRICS = ("score", "objective", "energy")


def row(cell, agent, training, seed, score, env_id=ENV_ID):
    told = dict.fromkeys(REPORTS[env_id].columns, 0.0) | {"score": score, "objective": 2 * score, "energy": 1.0}
    return {"env_id": env_id, "cell": cell, "agent": agent, "training_seed": training, "seed": seed} | told


def training(cell, agent, seed, steps):
    curve = [{"steps": x, "seconds": 0.1, "score": x / 100, "objective": x / 50, "energy": 1.0} for x in steps]
    return {"cell": cell, "agent": agent, "training_seed": seed, "steps": steps[-1], "seconds": 1.0, "curve": curve}


CELLS = ("balanced", "balanced,num_servers=9")
ROWS = [
    row(cell, agent, seed, episode, seed + episode / 10)
    for cell in CELLS
    for agent, seeds in (("ppo", (1, 2)), ("ppo, cold", (1, 2)), ("never", (0,)))
    for seed in seeds
    for episode in (5, 6)
]
TRAININGS = [
    training(cell, agent, seed, steps)
    for cell in CELLS
    for agent, steps in (("ppo", range(0, 101, 10)), ("ppo, cold", (50, 100, 200)))
    for seed in (1, 2)
]


def check_as_marl_eval_does(data):
    """Within an environment: the same algorithms on all tasks, and as many runs, steps and metrics everywhere."""
    for tasks in data.values():
        algorithms = {frozenset(own) for own in tasks.values()}
        runs = {frozenset(own) for task in tasks.values() for own in task.values()}
        every = [steps for task in tasks.values() for own in task.values() for steps in own.values()]
        metrics = {frozenset(step) - {"step_count"} for steps in every for step in steps.values()}
        assert len(algorithms) == len(runs) == len({tuple(steps) for steps in every}) == len(metrics) == 1
        assert not any("," in name for name in algorithms.pop())
        for steps in every:
            assert list(steps)[-1] == "absolute_metrics"
            counts = [step["step_count"] for name, step in steps.items() if name != "absolute_metrics"]
            assert all(type(count) is int for count in counts) and counts == sorted(counts)
            values = [value for step in steps.values() for name, value in step.items() if name != "step_count"]
            assert all(isinstance(value, list) and all(type(x) is float for x in value) for value in values)


def test_the_form_by_hand():
    rows = [row("balanced", "ppo", 3, seed, score) for seed, score in ((5, 0.5), (6, 0.25))]
    learned = training("balanced", "ppo", 3, (0, 100))
    assert export(rows, [learned]) == {
        "DTMigration-v0": {
            "balanced": {
                "ppo": {
                    "seed_3": {
                        "step_0": {"step_count": 0, "score": [0.0], "objective": [0.0], "energy": [1.0]},
                        "step_1": {"step_count": 100, "score": [1.0], "objective": [2.0], "energy": [1.0]},
                        "absolute_metrics": {"score": [0.5, 0.25], "objective": [1.0, 0.5], "energy": [1.0, 1.0]},
                    }
                }
            }
        }
    }


def test_all_runs_have_equally_many_steps():
    data = export(ROWS, TRAININGS)
    check_as_marl_eval_does(data)
    task = data[ENV_ID]["balanced,num_servers=9"]
    assert list(task) == ["ppo", "ppo; cold", "never"]
    assert [step["step_count"] for step in list(task["ppo"]["seed_1"].values())[:-1]] == [0, 50, 100]
    assert [step["step_count"] for step in list(task["ppo; cold"]["seed_1"].values())[:-1]] == [50, 100, 200]


def test_a_heuristic_stands_at_every_step_as_it_is():
    task = export(ROWS, TRAININGS)[ENV_ID]["balanced"]["never"]
    assert task["seed_1"] == task["seed_2"]
    assert [step["score"] for step in task["seed_1"].values()] == [[pytest.approx(0.55)]] * 3 + [[0.5, 0.6]]


def test_heuristics_alone_have_one_run_of_one_step():
    data = export([r for r in ROWS if r["agent"] == "never"], [])
    check_as_marl_eval_does(data)
    steps = data[ENV_ID]["balanced"]["never"]["seed_0"]
    assert list(steps) == ["step_0", "absolute_metrics"] and steps["step_0"]["step_count"] == 0
    assert set(steps["absolute_metrics"]) == set(REPORTS[ENV_ID].columns)


def test_environments_stand_apart():
    other = [row("small-20x5", "greedy-add", 0, seed, -3.0, "DTPlacementMA-v0") for seed in (5, 6, 7)]
    data = export(ROWS + other, TRAININGS)
    check_as_marl_eval_does(data)
    assert list(data) == [ENV_ID, "DTPlacementMA-v0"] and list(data["DTPlacementMA-v0"]) == ["small-20x5"]


def test_what_is_not_everywhere_is_left_out_and_told():
    told = []
    rows = [r for r in ROWS if (r["cell"], r["agent"]) != ("balanced", "never")]
    rows = [r for r in rows if (r["agent"], r["training_seed"]) != ("ppo, cold", 2)]
    taught = [t for t in TRAININGS if (t["agent"], t["training_seed"]) != ("ppo, cold", 2)]
    data = export(rows, taught, leave_out=told.append)
    check_as_marl_eval_does(data)
    assert list(data[ENV_ID]["balanced"]) == ["ppo", "ppo; cold"]
    assert list(data[ENV_ID]["balanced"]["ppo"]) == ["seed_1"]
    assert told == [
        "'never', which was not run in cell 'balanced'",
        "'ppo' on 'balanced' from seeds [2], which other learners do not have",
        "'ppo' on 'balanced,num_servers=9' from seeds [2], which other learners do not have",
    ]
    assert list(export(rows, taught, ["ppo"])[ENV_ID]["balanced"]["ppo"]) == ["seed_1", "seed_2"]


def test_points_without_a_metric_are_passed_over():
    taught = copy.deepcopy(TRAININGS)
    del taught[0]["curve"][0]["score"]  # of a rollout in which nothing was counted yet
    data = export(ROWS, taught)
    check_as_marl_eval_does(data)
    assert data[ENV_ID]["balanced"]["ppo"]["seed_1"]["step_0"]["step_count"] == 10


REFUSED = {
    "agent": (lambda: export(ROWS, TRAININGS, ["sac"]), "'sac' was not run; known: ppo, ppo, cold, never"),
    "not everywhere": (lambda: export(ROWS[:-2], TRAININGS, ["never"]), "'never' was not run in cell 'balanced,num_s"),
    "no curve": (lambda: export(ROWS, TRAININGS[:-2]), "'ppo, cold' from seed 1 on 'balanced,num_servers=9' has no"),
    "no seed in common": (lambda: export(ROWS, [TRAININGS[0], TRAININGS[3]]), "no training seed in common"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    run, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        run()


def test_the_command_writes_a_file_once(tmp_path, monkeypatch, capsys):
    results = Results(tmp_path, SUITES["smoke"], {}, ROWS, TRAININGS, [])
    monkeypatch.setattr(marl_eval, "load", lambda folder: results)
    out = tmp_path / "new" / "marl_eval.json"
    main(MarlEval(tmp_path, out))
    assert json.loads(out.read_text()) == export(ROWS, TRAININGS)
    assert "2 tasks in 1 environments" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="exists, and is not overwritten"):
        main(MarlEval(tmp_path, out))


def test_a_folder_that_holds_no_results_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"manifest\.json is missing"):
        main(MarlEval(tmp_path, tmp_path / "out.json"))
    assert not (tmp_path / "out.json").exists()


@pytest.mark.slow
def test_the_form_is_benchmarls(tmp_path):
    """Written with BenchMARL's own writer, but for absolute metrics, where it keeps the largest value alone."""
    logger, torch = pytest.importorskip("benchmarl.experiment.logger"), pytest.importorskip("torch")
    taught = TRAININGS[0]
    writer = logger.JsonWriter(str(tmp_path), "theirs.json", "ppo", "balanced", ENV_ID, 1)
    for k, point in enumerate(taught["curve"]):
        values = {name: torch.tensor([point[name]], dtype=torch.float64) for name in METRICS}
        writer.write(point["steps"], values, k)
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    rows = [r for r in ROWS if (r["cell"], r["agent"], r["training_seed"]) == ("balanced", "ppo", 1)]
    ours = export(rows, [taught])
    runs = [data[ENV_ID]["balanced"]["ppo"]["seed_1"] for data in (ours, theirs)]
    absolute = [run.pop("absolute_metrics") for run in runs]
    assert ours == theirs
    assert absolute[0].keys() == absolute[1].keys()
