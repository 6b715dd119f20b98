"""Networks that forecast cells: alone, many at once, federated; and the command that tables them."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from dtenv.fl.forecast.central import NetworkForecaster, new_network  # noqa: E402
from dtenv.fl.forecast.channels import Channels, samples_of  # noqa: E402
from dtenv.fl.forecast.command import Forecast, main  # noqa: E402
from dtenv.fl.forecast.federation import FederatedRounds, Federation, grouped_users, noise_for  # noqa: E402
from dtenv.fl.forecast.networks import Shape, probabilities  # noqa: E402
from dtenv.fl.forecast.rows import SeedInterval, difference, read_rows  # noqa: E402
from dtenv.fl.forecast.source import slot_length  # noqa: E402
from dtenv.fl.forecast.training import Adam, Optimisation, Stack  # noqa: E402
from dtenv.fl.forecast.trunks import TRUNKS  # noqa: E402
from dtenv.forecasting import CellForecaster, CellTraces, History, later_part, score, windows  # noqa: E402

SITES = np.array([[0.0, 0.0], [400.0, 0.0], [400.0, 400.0], [0.0, 400.0]])
TINY = {"length": 6, "horizon": 3, "width": 4}
QUICK = Optimisation(steps=3, batch=8)


def traces_of(cell, users=3, site_xy=SITES):
    """Hourly traces (users, slots) of cells."""
    cell = np.broadcast_to(np.asarray(cell), (users, np.shape(cell)[-1]))
    user = np.repeat(np.arange(users), cell.shape[1])
    time_s = np.tile(3600.0 * np.arange(cell.shape[1]), users)
    return CellTraces(
        cell=cell.ravel(), user=user, stretch=user, time_s=time_s, site_xy=site_xy, num_users=users, slot_seconds=3600.0
    )


@pytest.fixture(scope="module")
def wandering():
    return traces_of(np.random.default_rng(0).integers(4, size=(3, 60)))


def shape_of(trunk="trs-pre", classify=True, **changes):
    return Shape(trunk=trunk, classify=classify, **(TINY | changes))


# Networks


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("classify", [True, False])
def test_networks_are_forecasters(trunk, classify, wandering):
    forecaster = NetworkForecaster(shape_of(trunk, classify), QUICK).fit(wandering)
    assert isinstance(forecaster, CellForecaster)
    history = windows(wandering, 6, 1).history.rows(slice(20))
    p = forecaster.predict_proba(history, 2)
    assert p.shape == (20, 2, 4) and (p >= 0.0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1.0)
    if not classify:
        assert set(np.unique(p)) == {0.0, 1.0}
    some = history.rows(np.array([3, 11]))
    np.testing.assert_allclose(forecaster.predict_proba(some, 2), p[[3, 11]], atol=1e-6)


def test_a_seed_repeats_and_two_differ(wandering):
    state = torch.random.get_rng_state()
    one, two, other = (NetworkForecaster(shape_of(), QUICK, seed).fit(wandering).weights for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), state)  # the global generator is untouched


def test_nothing_looks_ahead(wandering):
    later = later_part(wandering)
    altered = dataclasses.replace(wandering, cell=np.where(later, 3 - wandering.cell, wandering.cell))
    history = windows(wandering, 6, 3, ~later).history
    one, two = (
        NetworkForecaster(shape_of(), QUICK).fit(t.part(~later)).predict_proba(history, 3) for t in (wandering, altered)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("trunk", ["trs-pre", "lstm"])
def test_a_route_is_learnt(trunk):
    route = traces_of(np.tile([0, 1, 2, 3], 20))
    forecaster = NetworkForecaster(shape_of(trunk, width=8), Optimisation(steps=150, batch=32, learning_rate=1e-2))
    found = score(forecaster.fit(route), windows(route, 6, 3))
    assert found.accuracy[:2].min() > 0.95


def test_squared_error_falls_between_two_places():
    # From the middle a user goes left or right alike: the mean of both is the middle, where no user goes.
    rng = np.random.default_rng(1)
    cell = np.zeros((4, 120), dtype=int)
    cell[:, 1::2] = rng.integers(1, 3, size=(4, 60))
    line = traces_of(cell, users=4, site_xy=np.array([[0.0, 0.0], [-500.0, 0.0], [500.0, 0.0]]))
    seen = windows(line, 6, 1)
    seen = seen._replace(history=seen.history.rows(seen.target[:, 0] > 0), target=seen.target[seen.target[:, 0] > 0])
    right = {}
    for classify in (False, True):
        shape = shape_of(classify=classify, horizon=1, width=8)
        forecaster = NetworkForecaster(shape, Optimisation(steps=200, batch=32, learning_rate=1e-2)).fit(line)
        right[classify] = score(forecaster, seen).accuracy[0]
    assert right[True] > 0.4
    assert right[False] < 0.5 * right[True]


def test_places_are_taken_to_the_nearest_site():
    rng = np.random.default_rng(2)
    site = torch.from_numpy(rng.normal(size=(30, 2)).astype(np.float32))
    network = new_network(shape_of(classify=False), 30, rng)
    output = torch.from_numpy(rng.normal(size=(50, 3, 3)).astype(np.float32))
    found = probabilities(network, output, 2, site).argmax(axis=-1)
    for n in range(50):
        for h in range(2):
            assert found[n, h] == (site - output[n, 1:, h]).norm(dim=1).argmin()


def test_channels_by_hand():
    channels = Channels.of(SITES)
    np.testing.assert_allclose(channels.site, [[-1, -1], [1, -1], [1, 1], [-1, 1]])
    x, past = channels.of_history(History.of([[-1, 1, 2]], None, [[np.nan, 82800.0, 90000.0]]))
    np.testing.assert_array_equal(past, [[1, 1, 2]])
    np.testing.assert_allclose(x[0, 0], [0.0, -1 / 24, 1 / 24], atol=1e-6)  # days from the last midnight before now
    np.testing.assert_allclose(x[0, 1:], [[1, 1, 1], [-1, -1, 1]])


def test_trs_pre_keeps_its_channels_apart(wandering):
    network = new_network(shape_of(classify=False), 4, np.random.default_rng(0))
    _, samples = samples_of(wandering, 6, 3)
    x = samples.x[:5].clone()
    before = network(x, samples.past[:5])
    x[:, 1] += torch.linspace(0, 1, 6)
    after = network(x, samples.past[:5])
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1])


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("classify", [True, False])
def test_copies_at_once_are_each_alone(trunk, classify, wandering):
    _, samples = samples_of(wandering, 6, 3)
    rng = np.random.default_rng(0)
    stack = Stack(new_network(shape_of(trunk, classify), 4, rng))
    weights = stack.initial() + 0.1 * torch.from_numpy(rng.normal(size=(3, stack.size)).astype(np.float32))
    chosen = torch.from_numpy(rng.integers(len(samples.x), size=(3, 5)))
    together, loss = stack.gradients(weights, samples, chosen)
    apart = [stack.gradients(weights[k : k + 1], samples, chosen[k : k + 1]) for k in range(3)]
    torch.testing.assert_close(together, torch.cat([gradient for gradient, _ in apart]), rtol=1e-3, atol=1e-5)
    assert loss == pytest.approx(np.mean([one for _, one in apart]), rel=1e-5)


def test_a_loss_that_is_no_number_stops(wandering):
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        NetworkForecaster(shape_of(), Optimisation(steps=50, batch=8, learning_rate=1e30)).fit(wandering)


def test_bad_questions_are_refused(wandering):
    forecaster = NetworkForecaster(shape_of(), QUICK)
    history = windows(wandering, 6, 1).history
    with pytest.raises(RuntimeError, match="has to be fitted"):
        forecaster.predict_proba(history, 1)
    forecaster.fit(wandering)
    with pytest.raises(ValueError, match="horizon must be at most the 3 steps that were trained for, got 4"):
        forecaster.predict_proba(history, 4)
    with pytest.raises(ValueError, match="history must hold at least 6 steps, got 2"):
        forecaster.predict_proba(History.of([[0, 1]]), 1)
    with pytest.raises(ValueError, match="trunk must be one of trs-pre"):
        Shape(trunk="gru")
    with pytest.raises(ValueError, match="no stretch of the traces holds length=6 steps"):
        NetworkForecaster(shape_of(), QUICK).fit(traces_of([0, 1, 2]))


# Federations

FEW = FederatedRounds(rounds=3, steps=2, batch=4)


def trained(wandering, rounds=FEW, seed=0, **changes):
    return Federation(shape_of(), rounds, seed, **changes).fit(wandering)


def test_one_model_for_all_and_one_for_each(wandering):
    federation = trained(wandering)
    history = windows(wandering, 6, 1).history
    history = History(history.cell[:3].repeat(3, 0)[:3], np.array([0, 1, -1]), history.time_s[:3])
    history = History(np.repeat(history.cell[:1], 3, 0), history.user, np.repeat(history.time_s[:1], 3, 0))
    w, v = (federation.model(which).predict_proba(history, 3) for which in "wv")
    np.testing.assert_allclose(w[0], w[1])
    assert not np.allclose(v[0], v[1])
    np.testing.assert_allclose(v[2], w[2])  # who is not known gets the global model
    with pytest.raises(ValueError, match="which must be 'w' or 'v', got 'u'"):
        federation.model("u")


def test_federations_repeat_by_seed(wandering):
    one, two, other = (trained(wandering, dataclasses.replace(FEW, upload_noise=0.1), seed) for seed in (1, 1, 2))
    assert torch.equal(one.shared, two.shared) and torch.equal(one.personal, two.personal)
    assert not torch.equal(one.shared, other.shared)


def test_without_penalty_v_knows_nothing_of_others(wandering):
    alone = dataclasses.replace(FEW, penalty=0.0)
    local = trained(wandering, alone)
    noised = trained(wandering, dataclasses.replace(alone, upload_noise=5.0))
    assert torch.equal(local.personal, noised.personal)
    assert torch.equal(local.personal, trained(wandering, alone, garbage=True).personal)
    changed = dataclasses.replace(wandering, cell=np.where(wandering.user == 2, 3 - wandering.cell, wandering.cell))
    assert torch.equal(local.personal[:2], trained(changed, alone).personal[:2])
    assert not torch.equal(local.personal[2], trained(changed, alone).personal[2])


def test_the_penalty_draws_v_to_the_global_model(wandering):
    apart = [
        (f.personal - f.shared).norm(dim=1).max()
        for f in (trained(wandering, FederatedRounds(rounds=15, steps=4, batch=4, penalty=p)) for p in (0.0, 10.0))
    ]
    assert apart[1] < 0.7 * apart[0]
    garbage = trained(wandering, dataclasses.replace(FEW, penalty=1.0), garbage=True)
    assert not torch.equal(garbage.personal, trained(wandering, dataclasses.replace(FEW, penalty=1.0)).personal)


def test_rounds_average_what_clients_learnt(wandering):
    federation = Federation(shape_of(), FEW)
    change = torch.tensor([[3.0, 4.0], [0.0, 0.3]])
    rng = np.random.default_rng(0)
    torch.testing.assert_close(federation._released(change, rng), torch.tensor([1.5, 2.15]))
    federation.rounds = dataclasses.replace(FEW, upload_noise=1e-9, clip=1.0)
    torch.testing.assert_close(
        federation._released(change, rng), torch.tensor([0.3, 0.55])
    )  # (3, 4) is cut to (.6, .8)


def test_noise_has_the_deviation_that_is_accounted_for():
    federation = Federation(shape_of(), dataclasses.replace(FEW, upload_noise=0.5, download_noise=3.0, clip=2.0))
    released = federation._released(torch.zeros(16, 40_000), np.random.default_rng(0))
    # Of the sum of 16 changes, over C: √(16 · 0.5² + 3²).
    assert released.std().item() * 16 / 2.0 == pytest.approx(math.sqrt(13.0), rel=0.02)


def test_noise_is_told_beside_the_clip(wandering):
    federation = trained(wandering, dataclasses.replace(FEW, upload_noise=2.0, download_noise=1.0))
    size = federation.stack.size
    assert federation.noise_over_clip() == pytest.approx(math.sqrt(size * (3 * 4.0 + 1.0)) / 3)
    released = federation._released(torch.zeros(3, size), np.random.default_rng(0))
    assert released.norm().item() / FEW.clip == pytest.approx(federation.noise_over_clip(), rel=0.1)


def test_privacy_costs_what_was_asked_for():
    upload, download = noise_for(8.0, 79, 150)
    cost = FederatedRounds(rounds=79, upload_noise=upload, download_noise=download).cost(150)
    assert cost.of_broadcasts == pytest.approx(8.0, rel=1e-6)
    assert math.sqrt(150 * upload**2 + download**2) == pytest.approx(5.33, rel=1e-2)
    assert cost.of_uploads > 8.0
    louder = FederatedRounds(rounds=79, upload_noise=upload, download_noise=2 * download).cost(150)
    assert louder.of_uploads == cost.of_uploads and louder.of_broadcasts < 8.0
    assert FederatedRounds(download_noise=5.0).cost(10).of_uploads == math.inf
    assert FederatedRounds().cost(10).of_broadcasts == math.inf


def test_clients_are_users_or_neighbours():
    east = traces_of(np.array([[1] * 9, [0] * 9, [2] * 9, [3] * 9, [0] * 9, [1] * 9]), users=6)
    np.testing.assert_array_equal(grouped_users(east, None), np.arange(6))
    group = grouped_users(east, 2)
    np.testing.assert_array_equal(group, [1, 0, 1, 0, 0, 1])  # cells 0 and 3 are west
    assert trained(east, dataclasses.replace(FEW, clients=2)).personal.shape[0] == 2
    with pytest.raises(ValueError, match="clients must be at most the 6 users, got 7"):
        grouped_users(east, 7)


def test_a_client_without_windows_is_named(wandering):
    short = wandering.part((wandering.user != 1) | (np.arange(180) % 60 < 5))
    with pytest.raises(ValueError, match="client 1 has no window to learn from"):
        trained(short)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "rounds must be a positive integer, got 0"),
        ({"penalty": -1.0}, "penalty must be at least 0, got -1.0"),
        ({"clip": 0.0}, "clip must be positive, got 0.0"),
        ({"upload_noise": -0.1}, "upload_noise must be at least 0, got -0.1"),
        ({"clients": 0}, "clients must be a positive integer, got 0"),
    ],
)
def test_bad_rounds_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        FederatedRounds(**changes)


def test_adam_is_that_of_torch(wandering):
    _, samples = samples_of(wandering, 6, 3)
    network = new_network(shape_of("lstm"), 4, np.random.default_rng(0))
    stack = Stack(network)
    adam, chosen = Adam(stack.initial()[None], 0.01), torch.arange(8)[None]
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(4):
        adam.step(stack, samples, chosen)
        optimizer.zero_grad()
        network.loss(*(part[:8] for part in (samples.x, samples.past, samples.ahead, samples.cell))).backward()
        optimizer.step()
    torch.testing.assert_close(adam.weights[0], stack.initial(), rtol=1e-3, atol=1e-5)


# The command


def settings_of(tmp_path, **changes):
    small = {
        "users": 3,
        "days": 6,
        "spacing_m": 2500.0,
        "seeds": (1, 2),
        "models": ("trs-pre", "lstm-class", "local", "federated", "private"),
        "central": QUICK,
        "rounds": FederatedRounds(rounds=2, steps=1, batch=4),
        "out": tmp_path / "table",
    }
    return Forecast(**(TINY | small | changes))


def test_the_command_writes_a_table_and_goes_on(tmp_path, capsys):
    settings = settings_of(tmp_path, seeds=(1,))
    main(settings)
    path = settings.out / "rows.jsonl"
    first = read_rows(path)
    free = ["persistence", "most-frequent", "markov", "markov-pooled", "hour-markov", "hour-markov-pooled"]
    learnt = ["trs-pre", "lstm-class", "local only", "federated w", "federated v"]
    assert [row["model"] for row in first] == [*free, *learnt, "federated w, ε = 8", "federated v, ε = 8"]
    for row in first:
        assert len(row["accuracy"]) == 3 and row["windows"] == first[0]["windows"]
    assert first[0]["accuracy"][0] == pytest.approx(1.0 - first[0]["moved"][0])
    assert first[-1]["epsilon_broadcasts"] == pytest.approx(8.0) and "epsilon_broadcasts" not in first[6]
    text = path.read_text()
    path.write_text(text[:-40])  # cut off while the last row was written
    main(dataclasses.replace(settings, seeds=(1, 2)))
    rows = read_rows(path)
    assert [(row["seed"], row["model"]) for row in rows] == [(s, row["model"]) for s in (1, 2) for row in first]
    assert rows[: len(first) - 1] == first[:-1]  # not trained again
    timeless = [{k: v for k, v in row.items() if k != "train_seconds"} for row in (rows[len(first) - 1], first[-1])]
    assert timeless[0] == timeless[1]
    table = (settings.out / "table.md").read_text()
    assert all(f"| {row['model']} |" in table for row in first) and "±" in table
    assert (settings.out / "accuracy.png").stat().st_size > 10_000
    assert str(tmp_path) not in (settings.out / "manifest.json").read_text()
    with pytest.raises(ValueError, match=r"manifest\.json: holds results of users 3, got 4; choose another out"):
        main(dataclasses.replace(settings, users=4))
    assert "written:" in capsys.readouterr().out


def test_recorded_walks_are_read(tmp_path):
    rng = np.random.default_rng(0)
    walk = "".join(
        f"{u},{30 * t},{x:.0f},{y:.0f}\n"
        for u in range(4)
        for t, (x, y) in enumerate(np.cumsum(rng.normal(0, 150, size=(60, 2)), axis=0).clip(-900, 900))
    )
    (tmp_path / "walks.csv").write_text("trace,time_s,x_m,y_m\n" + walk)
    settings = settings_of(
        tmp_path,
        data=str(tmp_path / "walks.csv"),
        slots="30",
        side_m=2000.0,
        spacing_m=500.0,
        models=(),
        seeds=(0, 1, 2),
    )
    with (tmp_path / "walks.csv").open("a") as file:
        file.write("short,0,0,0\nshort,30,0,0\n")  # too short to learn from: left out
    main(settings)
    rows = read_rows(settings.out / "rows.jsonl")
    assert len(rows) == 18
    assert len({row["accuracy"][0] for row in rows if row["model"] == "persistence"}) > 1  # others of the four users
    about = json.loads((settings.out / "manifest.json").read_text())
    assert about["settings"]["data"] == "walks.csv" and len(about["sha256"]["data"]) == 64


def test_sessions_are_read_at_their_own_stations(tmp_path):
    rng = np.random.default_rng(0)
    head = "month,date,start time,end time,latitude,longitude,user id\n"
    rows = [
        f"201406,{day},2014-06-0{day} {hour}:00:00,2014-06-0{day} {hour}:10:00,31.{rng.integers(1, 5)},121.4,{user}\n"
        for user in "abc"
        for day in range(1, 9)
        for hour in range(10, 20)
    ]
    (tmp_path / "shanghai.csv").write_text(head + "".join(rows))
    settings = settings_of(
        tmp_path, data=str(tmp_path / "shanghai.csv"), sites="own", slots="sessions", models=("lstm-class",), seeds=(1,)
    )
    main(settings)
    rows = read_rows(settings.out / "rows.jsonl")
    # 80 records of 3 users, 16 of each to predict, 3 at a time: 14 windows each.
    assert [row["windows"] for row in rows] == [42] * 7
    assert "the sessions' own" in (settings.out / "table.md").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ("trs",)}, r"models\[0\] must be one of trs-pre, .*, got 'trs'"),
        ({"seeds": (1, 1)}, r"seeds must differ, got \(1, 1\)"),
        ({"seeds": ()}, "seeds must be non-negative integers"),
        ({"slots": "daily"}, "slots must be 'hourly', 'sessions' or a positive number of seconds, got 'daily'"),
        ({"sites": "own"}, "sites must be 'grid' or a file where data is 'epr', got 'own'"),
        ({"federated_trunk": "gru"}, "federated_trunk must be one of trs-pre"),
        ({"rounds": FederatedRounds(upload_noise=1.0)}, "upload_noise and download_noise must be 0 here"),
        ({"rounds": FederatedRounds(clients=9)}, "clients must be at most users=3, got 9"),
        ({"epsilons": ()}, "epsilons must hold at least one"),
        ({"users": 0}, "users must be at least 1, got 0"),
        ({"train_share": 1.0}, "share must lie between 0 and 1, got 1.0"),
    ],
)
def test_bad_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        main(settings_of(tmp_path, **changes))


def test_slots():
    assert slot_length("sessions") is None and slot_length("hourly") == 3600.0 and slot_length("30") == 30.0


def test_rows_that_are_none_are_named(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"seed": 1}\n')
    with pytest.raises(ValueError, match=r"rows\.jsonl:1: is no row of a forecaster"):
        read_rows(tmp_path / "rows.jsonl")


def test_intervals_over_seeds():
    found = SeedInterval.of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.302653 / math.sqrt(3.0), rel=1e-5)  # t of two degrees of freedom
    assert f"{found:.2f}" == "2.00 ± 2.48"
    assert f"{SeedInterval.of([0.5]):.2f}" == "0.50"
    rows = [{"seed": s, "model": m, "accuracy": [a]} for s, m, a in [(1, "a", 0.5), (2, "a", 0.7), (2, "b", 0.4)]]
    assert difference(rows, "a", "b", "accuracy", 0).mean == pytest.approx(0.3)
