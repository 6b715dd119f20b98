from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from dtenv.fl.client_round import own_loss
from dtenv.fl.costs import costs
from dtenv.fl.data.images import load_images
from dtenv.fl.federation import Diverged, Recipe, draw_clients, federate
from dtenv.fl.metrics import METRICS, evaluate, fine_tune, measure
from dtenv.fl.parts.aggregation import CoordinateMedian, FairMean, Mean, TrimmedMean
from dtenv.fl.parts.asynchrony import Asynchrony
from dtenv.fl.parts.attack import Attack
from dtenv.fl.parts.client_privacy import ClientPrivacy
from dtenv.fl.parts.clock import Clock
from dtenv.fl.parts.compression import Quantise, TopK
from dtenv.fl.parts.dispersed import Dispersed
from dtenv.fl.parts.distillation import Distillation
from dtenv.fl.parts.personalisation import Personalisation
from dtenv.fl.parts.pruning import Pruning
from dtenv.fl.streams import Streams
from dtenv.fl.training.dp_sgd import RecordPrivacy
from dtenv.fl.training.local_sgd import LocalTraining, draw_batches, image_loss, train
from dtenv.fl.training.network import Perceptron, class_accuracy
from dtenv.fl.variants.catalogue import VARIANTS, recipe_of

NETWORK = Perceptron(inputs=64, classes=10, hidden=(8,))


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


def run(images, recipe, seeds=(0, 1), *, emd=0.6, samples=70, clients=4, skew="missing"):
    streams = Streams.of(seeds)
    drawn = draw_clients(images, skew, [emd] * len(seeds), samples, clients, streams)
    return federate(NETWORK, images, drawn, recipe, streams, test_size=200), drawn, streams


def gradient(weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    leaf = weights[None].clone().requires_grad_()
    cross_entropy(NETWORK.logits(NETWORK.parts(leaf), x[None])[0], y).backward()
    return leaf.grad[0]


def test_one_client_with_full_batches_is_gradient_descent(digits):
    local = LocalTraining(epochs=1, batch=70, learning_rate=0.2, momentum=0.0)
    outcome, drawn, _ = run(digits, Recipe(rounds=5, local=local), (3,), clients=1)
    weights = NETWORK.initial(Streams.of([3]).generators["weights"][0])
    for _ in range(5):
        weights = weights - 0.2 * gradient(weights, digits.x[drawn.index[0, 0]], drawn.targets[0, 0])
    torch.testing.assert_close(outcome.weights[0], weights, atol=1e-5, rtol=1e-4)


def test_one_step_of_many_clients_is_a_step_on_all_their_data(digits):
    local = LocalTraining(epochs=1, batch=200, learning_rate=0.2, momentum=0.0)
    outcome, drawn, _ = run(digits, Recipe(rounds=3, local=local), (3,), samples=[70, 140, 70], clients=3)
    held = torch.cat([drawn.index[0, k, :size] for k, size in enumerate(drawn.sizes[0])])
    weights = NETWORK.initial(Streams.of([3]).generators["weights"][0])
    for _ in range(3):
        weights = weights - 0.2 * gradient(weights, digits.x[held], digits.y[held])
    torch.testing.assert_close(outcome.weights[0], weights, atol=1e-5, rtol=1e-4)


def test_training_is_torchs_own_with_momentum_and_a_proximal_term(digits):
    training = LocalTraining(epochs=2, batch=16, learning_rate=0.1, momentum=0.9, proximal=0.3)
    streams = Streams.of([5])
    drawn = draw_clients(digits, "missing", [0.6], [70, 40], 2, streams)
    start = torch.stack([NETWORK.initial(np.random.default_rng(k)) for k in range(2)])
    index, targets = drawn.index[0], drawn.targets[0]
    places, counted = draw_batches(streams.generators["batches"], drawn.sizes, training)
    after, loss = train(NETWORK, start, digits.x, targets, index, (places, counted), training)
    for k in range(2):
        weights, losses = start[k].clone().requires_grad_(), []
        optimizer = torch.optim.SGD([weights], lr=0.1, momentum=0.9)
        for place, taken in zip(places[k], counted[k], strict=True):
            if not taken.any():
                continue
            held = index[k][place[taken]]
            logits = NETWORK.logits(NETWORK.parts(weights[None]), digits.x[held][None])[0]
            value = cross_entropy(logits, digits.y[held])
            losses += [float(value.detach())] * int(taken.sum())
            optimizer.zero_grad()
            (value + 0.15 * (weights - start[k]).square().sum()).backward()
            optimizer.step()
        torch.testing.assert_close(after[k], weights.detach(), atol=1e-5, rtol=1e-3)
        assert float(loss[k]) == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_strong_proximal_term_keeps_weights_where_they_are(digits):
    def moved(proximal: float) -> float:
        local = LocalTraining(epochs=2, batch=20, learning_rate=0.05, momentum=0.0, proximal=proximal)
        outcome, _, _ = run(digits, Recipe(rounds=1, local=local), (0,))
        return float((outcome.weights[0] - NETWORK.initial(Streams.of([0]).generators["weights"][0])).norm())

    assert moved(0.0) > 2.0 * moved(10.0) > 0.0


def test_a_batch_takes_every_sample_once_an_epoch():
    training = LocalTraining(epochs=3, batch=4)
    places, counted = draw_batches([np.random.default_rng(0)], np.array([[10, 6]]), training)
    assert places.shape == (2, 9, 4)
    for client, size in enumerate((10, 6)):
        taken = places[client][counted[client]]
        assert torch.bincount(taken).tolist() == [3] * size
    assert not counted[1, 6:].any()
    fixed, taken = draw_batches([np.random.default_rng(0)], np.array([[10, 6]]), replace(training, steps=5))
    assert fixed.shape == (2, 5, 4) and taken.any(dim=2).all()


@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_replicate_does_not_know_who_is_beside_it(digits, name):
    recipe = recipe_of(name, 4)
    both, drawn, streams = run(digits, recipe, (7, 8), clients=10)
    alone, drawn_alone, streams_alone = run(digits, recipe, (8,), clients=10)
    torch.testing.assert_close(both.weights[1], alone.weights[0], atol=2e-5, rtol=1e-3)
    np.testing.assert_allclose(both.accuracy[:, 1], alone.accuracy[:, 0], atol=0.011)
    a = evaluate(NETWORK, digits, drawn, both, recipe, streams, test_size=200)
    b = evaluate(NETWORK, digits, drawn_alone, alone, recipe, streams_alone, test_size=200)
    np.testing.assert_allclose(a.balanced[1], b.balanced[0], atol=0.011)


def test_a_seed_repeats_and_two_differ(digits):
    first, _, _ = run(digits, Recipe(rounds=2))
    again, _, _ = run(digits, Recipe(rounds=2))
    assert torch.equal(first.weights, again.weights) and (first.accuracy == again.accuracy).all()
    assert not torch.equal(first.weights[0], first.weights[1])
    with pytest.raises(ValueError, match=r"seeds\[1\] must be a non-negative integer, got -1"):
        Streams.of([0, -1])


def test_variants_draw_the_data_and_the_batches_of_plain_averaging(digits):
    for part in ({"attack": Attack(share=0.0)}, {"client_privacy": ClientPrivacy(clip=1e6, noise_multiplier=0.0)}):
        plain, _, _ = run(digits, Recipe(rounds=3))
        same, _, _ = run(digits, Recipe(rounds=3, **part))
        torch.testing.assert_close(plain.weights, same.weights)


def test_training_learns_and_more_skew_is_worse(digits):
    local = LocalTraining(epochs=2, batch=10)
    even, _, _ = run(digits, Recipe(rounds=10, local=local), emd=0.0, samples=120)
    assert even.accuracy[-1].min() > 0.75 and (even.accuracy[-1] > even.accuracy[0]).all()
    lacking, _, _ = run(digits, Recipe(rounds=10, local=local), emd=0.6, samples=120, skew="missing-same")
    assert (lacking.accuracy[-1] <= 0.7).all()  # three labels are missing at all clients


def test_attack_hurts_and_a_robust_rule_helps(digits):
    local = LocalTraining(epochs=2, batch=10)
    attack = Attack(share=0.2, flip_labels=True, scale=10.0)

    def last(**parts) -> float:
        found, _, _ = run(digits, Recipe(rounds=8, local=local, **parts), emd=0.0, clients=10)
        return float(found.accuracy[-1].mean())

    assert last() > last(attack=attack, aggregation=CoordinateMedian()) > last(attack=attack) + 0.2
    assert last(attack=attack, aggregation=TrimmedMean()) > last(attack=attack) + 0.2


def test_half_of_the_clients_send_half(digits):
    whole, _, _ = run(digits, Recipe(rounds=2))
    half, drawn, _ = run(digits, Recipe(rounds=2, participation=0.5))
    assert (half.client_bytes * 2 == whole.client_bytes).all()
    assert costs(Recipe(rounds=2, participation=0.5), NETWORK, half, drawn.sizes).compute == 0.5


def test_two_levels_send_less_to_the_cloud_and_are_one_when_every_round_ends_there(digits):
    plain, _, _ = run(digits, Recipe(rounds=4))
    often, _, _ = run(digits, Recipe(rounds=4, dispersed=Dispersed(groups=2, edge_rounds=1)))
    torch.testing.assert_close(plain.weights, often.weights, atol=1e-5, rtol=1e-3)
    seldom, _, _ = run(digits, Recipe(rounds=4, dispersed=Dispersed(groups=2, edge_rounds=2)))
    network = 4.0 * NETWORK.size
    assert (plain.cloud_bytes[-1] == 4 * 4 * network).all() and (seldom.cloud_bytes[-1] == 2 * 2 * network).all()
    assert (seldom.client_bytes == plain.client_bytes).all()
    assert not torch.allclose(plain.weights, seldom.weights, atol=1e-3)
    with pytest.raises(ValueError, match="groups must divide the 4 clients, got 3"):
        run(digits, Recipe(rounds=1, dispersed=Dispersed(groups=3)))


def test_pruned_weights_stay_out_and_bytes_fall(digits):
    recipe = Recipe(rounds=4, pruning=Pruning(share=0.5, after=2))
    outcome, drawn, streams = run(digits, recipe)
    assert outcome.frozen is not None and (outcome.weights[outcome.frozen] == 0.0).all()
    gone = recipe.pruning.gone(NETWORK)
    sent = np.diff(outcome.client_bytes[:, 0], prepend=0.0) / 4
    assert sent.tolist() == [4.0 * NETWORK.size] * 2 + [4.0 * (NETWORK.size - gone)] * 2
    assert costs(recipe, NETWORK, outcome, drawn.sizes).compute == pytest.approx(0.75, abs=0.01)
    own = fine_tune(NETWORK, digits, drawn, outcome.weights, recipe, streams, frozen=outcome.frozen)
    assert (own[outcome.frozen[:, None].expand_as(own)] == 0.0).all() and (own != outcome.weights[:, None]).any()
    sparse, _, _ = run(digits, replace(recipe, compression=TopK(share=0.1)))
    assert (sparse.weights[sparse.frozen] == 0.0).all()


def test_own_models_without_penalty_are_local_training(digits):
    recipe = Recipe(rounds=3, personalisation=Personalisation(penalty=0.0))
    outcome, drawn, _ = run(digits, recipe)
    streams = Streams.of((0, 1))
    draw_clients(digits, "missing", [0.6] * 2, 70, 4, streams)
    own = torch.stack([NETWORK.initial(rng) for rng in streams.generators["weights"]])[:, None].expand(-1, 4, -1)
    own = own.flatten(0, 1)
    for _ in range(3):
        batches = draw_batches(streams.generators["batches"], drawn.sizes, recipe.local)
        own, _ = train(
            NETWORK, own, digits.x, drawn.targets.flatten(0, 1), drawn.index.flatten(0, 1), batches, recipe.local
        )
    torch.testing.assert_close(outcome.personal.flatten(0, 1), own, atol=1e-5, rtol=1e-3)
    plain, _, _ = run(digits, Recipe(rounds=3))
    torch.testing.assert_close(plain.weights, outcome.weights)


def test_a_large_penalty_ties_own_models_to_the_global_one(digits):
    def apart(penalty: float) -> float:
        local = LocalTraining(learning_rate=0.02, momentum=0.0)
        found, _, _ = run(digits, Recipe(rounds=6, local=local, personalisation=Personalisation(penalty=penalty)))
        return float((found.personal - found.weights[:, None]).norm())

    assert apart(20.0) < 0.5 * apart(0.0)


def test_distillation_sends_logits_and_has_no_global_network(digits):
    recipe = Recipe(rounds=3, distillation=Distillation(), fine_tune_epochs=0)
    outcome, drawn, streams = run(digits, recipe)
    assert outcome.weights.shape == (2, 0) and outcome.upload_bytes == 4 * 10 * 7  # seven labels a client
    found = evaluate(NETWORK, digits, drawn, outcome, recipe, streams, test_size=200)
    np.testing.assert_allclose(found.whole, found.balanced.mean(axis=1))
    np.testing.assert_allclose(found.whole, outcome.accuracy[-1], atol=1e-6)


def test_nobody_waits_and_one_of_equal_clients_is_plain_averaging(digits):
    clock = Clock(spread=0.0)
    plain, _, _ = run(digits, Recipe(rounds=3, clock=clock), clients=1)
    part = Asynchrony(buffer=1, mixing=1.0)
    alone, _, _ = run(digits, Recipe(rounds=3, clock=clock, asynchrony=part), clients=1)
    torch.testing.assert_close(plain.weights, alone.weights, atol=1e-5, rtol=1e-3)
    # four clients of the same speed come in at the same instant: a buffer of four is a round
    many, _, _ = run(digits, Recipe(rounds=3, clock=clock))
    buffered, _, _ = run(digits, Recipe(rounds=3, clock=clock, asynchrony=Asynchrony(buffer=4, mixing=1.0)))
    assert (many.client_bytes == buffered.client_bytes).all()
    np.testing.assert_allclose(many.seconds, buffered.seconds)


def test_fast_clients_send_more_often_and_the_share_of_sending_grows(digits):
    clock = Clock(samples_per_s=100.0, spread=1.0)
    waits, _, _ = run(digits, Recipe(rounds=4, clock=clock))
    goes_on, _, _ = run(digits, Recipe(rounds=4, clock=clock, asynchrony=Asynchrony()))
    np.testing.assert_allclose(waits.seconds, goes_on.seconds, rtol=1e-6)
    assert (goes_on.client_bytes[-1] > waits.client_bytes[-1]).all()
    assert (goes_on.communication > waits.communication).all()  # κ of (Liu 2020, Section IV-A)
    assert goes_on.most_uploads > 4


def test_compression_shortens_rounds(digits):
    plain, _, _ = run(digits, Recipe(rounds=2, clock=Clock(uplink_bps=1e4)))
    small, _, _ = run(digits, Recipe(rounds=2, clock=Clock(uplink_bps=1e4), compression=Quantise(bits=4)))
    assert (small.seconds < 0.5 * plain.seconds).all()


@pytest.mark.parametrize("parts", [{}, {"asynchrony": Asynchrony()}, {"distillation": Distillation()}])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_state(digits, parts):
    broken = replace(digits, x=digits.x.clone())
    streams = Streams.of((0, 1))
    drawn = draw_clients(digits, "missing", [0.6] * 2, 70, 4, streams)
    only_first = set(drawn.index[0].flatten().tolist()) - set(drawn.index[1].flatten().tolist())
    broken.x[next(iter(only_first))] = torch.nan
    with pytest.raises(Diverged, match=r"no longer finite in round 0 of seeds \[0\]; lower learning_rate") as error:
        federate(NETWORK, broken, drawn, Recipe(rounds=3, **parts), streams, test_size=200)
    kept = error.value.outcome
    assert kept.diverged.tolist() == [True, False] and kept.accuracy.shape == (0, 2)


def test_a_learning_rate_too_large_keeps_the_rounds_before(digits):
    local = LocalTraining(epochs=5, batch=10, learning_rate=30.0)
    with pytest.raises(Diverged) as error:
        run(digits, Recipe(rounds=60, local=local, attack=Attack(scale=-1e12)), (0,))
    kept = error.value.outcome
    assert torch.isfinite(kept.weights).all() and len(kept.accuracy) == len(kept.loss) == len(kept.seconds)


def test_own_models_that_are_not_finite_stop_it_too(digits):
    recipe = Recipe(rounds=30, personalisation=Personalisation(penalty=1e6))
    with pytest.raises(Diverged, match="no longer finite") as error:
        run(digits, recipe, (0,))
    assert torch.isfinite(error.value.outcome.personal).all()


def test_metrics_by_hand(digits):
    outcome, drawn, streams = run(digits, Recipe(rounds=3, fine_tune_epochs=0))
    personal = fine_tune(NETWORK, digits, drawn, outcome.weights, Recipe(fine_tune_epochs=0), streams)
    found = measure(NETWORK, digits, drawn, outcome.weights, personal, test_size=200)
    by_label = class_accuracy(NETWORK, outcome.weights, *digits.balanced_test(200)).numpy()
    np.testing.assert_allclose(found.whole, by_label.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.balanced, np.repeat(by_label.mean(axis=1)[:, None], 4, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.own[0, 0], by_label[0, 3:].mean(), rtol=1e-6)  # client 0 lacks labels 0, 1, 2
    assert set(METRICS) == {"global", "personalised-balanced", "personalised-own"}
    with pytest.raises(ValueError, match="metric must be one of"):
        found.of("accuracy")


def test_loss_before_training_is_the_mean_over_a_clients_samples(digits):
    streams = Streams.of([0])
    drawn = draw_clients(digits, "missing", [0.6], [300, 70], 2, streams)
    weights = torch.stack([NETWORK.initial(np.random.default_rng(k)) for k in range(2)])
    sizes = torch.from_numpy(drawn.sizes[0])
    found = own_loss(NETWORK, weights, digits.x, drawn.targets[0], drawn.index[0], sizes)
    for k, size in enumerate(drawn.sizes[0]):
        held = drawn.index[0, k, :size]
        logits = NETWORK.logits(NETWORK.parts(weights[k : k + 1]), digits.x[held][None])
        assert float(found[k]) == pytest.approx(float(image_loss(logits, digits.y[held][None]).mean()), rel=1e-5)


def test_recipes_refuse_parts_that_do_not_go_together():
    refused = [
        ({"rounds": 0}, "rounds must be"),
        ({"participation": 0.0}, "participation must lie"),
        ({"client_privacy": ClientPrivacy(), "aggregation": CoordinateMedian()}, "aggregation must be Mean"),
        ({"record_privacy": RecordPrivacy(), "aggregation": FairMean()}, "must not use losses"),
        ({"dispersed": Dispersed(), "participation": 0.5}, "participation must be 1 with dispersed"),
        ({"record_privacy": RecordPrivacy(), "local": LocalTraining(steps=3)}, "neither proximal nor steps"),
        ({"record_privacy": RecordPrivacy(), "pruning": Pruning()}, "pruning must be None with record_privacy"),
        ({"asynchrony": Asynchrony(), "pruning": Pruning()}, "pruning must be None with asynchrony"),
        ({"asynchrony": Asynchrony(), "aggregation": CoordinateMedian()}, "asynchrony needs aggregation Mean"),
        ({"asynchrony": Asynchrony(), "client_privacy": ClientPrivacy()}, "no noise at the server"),
        ({"distillation": Distillation(), "attack": Attack()}, "attack must keep its default with distillation"),
        ({"distillation": Distillation(), "compression": TopK()}, "compression must keep its default"),
    ]
    for parts, message in refused:
        with pytest.raises(ValueError, match=message):
            Recipe(**parts)
    assert Recipe(client_privacy=ClientPrivacy(where="client"), aggregation=CoordinateMedian()).aggregation != Mean()


def test_epsilon_is_stated_only_where_there_is_noise(digits):
    for name, protects in (
        ("fedavg", ""),
        ("clip", ""),
        ("client-dp", "client"),
        ("local-dp", "client"),
        ("record-dp", "sample"),
    ):
        recipe = recipe_of(name, 2)
        outcome, drawn, _ = run(digits, recipe)
        found = costs(recipe, NETWORK, outcome, drawn.sizes)
        assert found.protects == protects and (found.epsilon is None) == (protects == "")
    with pytest.raises(ValueError, match=r"variant must be one of fedavg, .* got 'fedsgd'"):
        recipe_of("fedsgd")
