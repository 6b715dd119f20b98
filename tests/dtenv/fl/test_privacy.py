import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from dtenv.fl.accountant import epsilon, renyi, subsampled_epsilon
from dtenv.fl.parts.client_privacy import ClientPrivacy
from dtenv.fl.streams import Streams
from dtenv.fl.training.dp_sgd import RecordPrivacy, gradient_norms, poisson_batches, train_privately
from dtenv.fl.training.local_sgd import LocalTraining, draw_batches, image_loss, loss_and_slope, train
from dtenv.fl.training.network import Perceptron

NETWORK = Perceptron(inputs=5, classes=3, hidden=(7, 4))


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def test_updates_are_clipped_to_c_and_short_ones_left():
    privacy = ClientPrivacy(clip=2.0, noise_multiplier=0.0)
    update = torch.tensor([[[3.0, 4.0], [0.6, 0.8]]])
    clipped = privacy.clipped(update)
    torch.testing.assert_close(clipped, torch.tensor([[[1.2, 1.6], [0.6, 0.8]]]))
    assert privacy.at_server(update, torch.ones(1, 1, 2), Streams.of([0])) is update


def test_noise_has_the_size_that_the_accountant_supposes():
    weight = torch.tensor([[0.1, 0.5, 0.4]])  # one client moves the mean by at most C / 2
    central = ClientPrivacy(clip=2.0, noise_multiplier=3.0).at_server(torch.zeros(1, 20_000), weight, Streams.of([1]))
    assert float(central.std()) == pytest.approx(3.0 * 2.0 * 0.5, rel=0.03)
    local = ClientPrivacy(clip=2.0, noise_multiplier=3.0, where="client")
    noised = local.at_client(torch.zeros(1, 3, 20_000), Streams.of([1]))
    assert float(noised.std()) == pytest.approx(6.0, rel=0.03)
    assert local.at_server(central, weight, Streams.of([1])) is central
    assert local.received(central) is central


def test_a_client_moves_the_published_mean_by_no_more_than_the_sensitivity():
    privacy = ClientPrivacy(clip=1.5, noise_multiplier=0.0)
    update, weight = 100.0 * normal(0, 1, 6, 30), torch.tensor([[0.3, 0.1, 0.1, 0.2, 0.2, 0.1]])
    whole = torch.einsum("rk,rkp->rp", weight, privacy.received(update))
    for k in range(6):
        without = update.clone()
        without[:, k] = 0.0
        moved = whole - torch.einsum("rk,rkp->rp", weight, privacy.received(without))
        assert float(moved.norm()) <= 1.5 * float(weight.max()) + 1e-5


def test_epsilon_is_the_accountants():
    assert (
        ClientPrivacy(noise_multiplier=5.0).epsilon(79, 1e-5) == epsilon(5.0, 79, 1e-5) == pytest.approx(8.65, abs=0.01)
    )
    assert ClientPrivacy(noise_multiplier=0.0).epsilon(79, 1e-5) == math.inf


def naive_gradients(weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Every sample's own gradient (B, P) by autograd, one sample at a time."""
    found = []
    for image, label in zip(x, y, strict=True):
        leaf = weights[None].clone().requires_grad_()
        cross_entropy(NETWORK.logits(NETWORK.parts(leaf), image[None, None])[0], label[None]).backward()
        found.append(leaf.grad[0])
    return torch.stack(found)


def test_ghost_norms_are_those_of_naive_gradients():
    weights, x = normal(1, 2, NETWORK.size), normal(2, 2, 6, 5)
    y = torch.tensor([[0, 1, 2, 0, 1, 2], [2, 2, 1, 1, 0, 0]])
    parts = NETWORK.parts(weights)
    values = NETWORK.layers(parts, x)
    _, slope = loss_and_slope(image_loss, values[-1], y)
    norms = gradient_norms(values, NETWORK.deltas(parts, values, slope))
    for m in range(2):
        torch.testing.assert_close(norms[m], naive_gradients(weights[m], x[m], y[m]).norm(dim=1), rtol=1e-4, atol=1e-5)


def test_a_step_of_dp_sgd_is_the_mean_of_naively_clipped_gradients():
    training = LocalTraining(epochs=1, batch=4, learning_rate=0.3, momentum=0.0)
    privacy = RecordPrivacy(clip=0.5, noise_multiplier=0.0)
    weights, x, y = normal(1, 1, NETWORK.size), normal(2, 4, 5), torch.tensor([[0, 1, 2, 0]])
    places = torch.tensor([[[0, 2, 3, 0]]])
    counted = torch.tensor([[[True, True, True, False]]])  # the batch drew three, four were expected
    after, _ = train_privately(
        NETWORK,
        weights,
        x,
        y,
        torch.arange(4)[None],
        (places, counted, torch.tensor([1])),
        training,
        privacy,
        Streams.of([0]),
    )
    gradients = naive_gradients(weights[0], x[[0, 2, 3]], y[0, [0, 2, 3]])
    clipped = gradients * (0.5 / gradients.norm(dim=1, keepdim=True).clamp(min=0.5))
    assert (gradients.norm(dim=1) > 0.5).any()
    torch.testing.assert_close(after[0], weights[0] - 0.3 * clipped.sum(dim=0) / 4, atol=1e-5, rtol=1e-4)


def test_without_clipping_or_noise_a_full_batch_is_plain_training():
    training = LocalTraining(epochs=3, batch=4, learning_rate=0.1)
    x, y, index = normal(2, 8, 5), torch.tensor([[0, 1, 2, 0], [2, 1, 0, 0]]), torch.arange(8).view(2, 4)
    weights = normal(3, 2, NETWORK.size)
    sizes = np.array([[4], [4]])
    plain, _ = train(
        NETWORK, weights, x, y, index, draw_batches(Streams.of([0, 1]).generators["batches"], sizes, training), training
    )
    drawn = poisson_batches(Streams.of([0, 1]).generators["batches"], sizes, training)
    private, _ = train_privately(
        NETWORK,
        weights,
        x,
        y,
        index,
        drawn,
        training,
        RecordPrivacy(clip=1e6, noise_multiplier=0.0),
        Streams.of([0, 1]),
    )
    torch.testing.assert_close(plain, private, atol=1e-5, rtol=1e-4)


def test_samples_are_drawn_by_themselves_at_the_rate_that_is_accounted():
    training = LocalTraining(epochs=40, batch=20)
    places, counted, steps = poisson_batches([np.random.default_rng(0)], np.array([[100, 40]]), training)
    assert steps.tolist() == [200, 80] and counted.shape[:2] == (2, 200)
    drawn = counted.sum(dim=2).float()
    assert float(drawn[0].mean()) == pytest.approx(20.0, rel=0.05) and float(drawn[1, :80].mean()) == pytest.approx(
        20.0, rel=0.1
    )
    assert float(drawn[0].std()) == pytest.approx(4.0, rel=0.2)  # binomial: √(100 · .2 · .8)
    assert not counted[1, 80:].any() and int(places[1].max()) < 40


def test_noise_of_dp_sgd_has_its_size():
    training = LocalTraining(epochs=1, batch=2, learning_rate=1.0, momentum=0.0)
    network = Perceptron(inputs=100, classes=100, hidden=())
    weights = torch.zeros(1, network.size)
    nothing = (torch.zeros(1, 1, 1, dtype=torch.int64), torch.zeros(1, 1, 1, dtype=torch.bool), torch.tensor([1]))
    after, _ = train_privately(
        network, weights, normal(0, 2, 100), torch.zeros(1, 2, dtype=torch.int64), torch.arange(2)[None], nothing,
        training, RecordPrivacy(clip=3.0, noise_multiplier=2.0), Streams.of([0]),
    )  # fmt: skip
    assert float(after.std()) == pytest.approx(2.0 * 3.0 / 2, rel=0.03)


def test_renyi_divergence_is_that_of_an_integral():
    z, q, order = 1.3, 0.2, 5
    t = np.linspace(-30.0, 30.0, 400_001)
    base = np.exp(-(t**2) / (2 * z * z)) / (z * math.sqrt(2 * math.pi))
    moved = np.exp(-((t - 1) ** 2) / (2 * z * z)) / (z * math.sqrt(2 * math.pi))
    ratio = ((1 - q) * base + q * moved) / np.maximum(base, 1e-300)
    moment = float((base * ratio**order).sum() * (t[1] - t[0]))
    assert renyi(z, q, order) == pytest.approx(math.log(moment) / (order - 1), rel=1e-6)


def test_subsampled_epsilon_has_its_limits():
    assert subsampled_epsilon(0.0, 0.5, 10, 1e-5) == math.inf
    whole = subsampled_epsilon(5.0, 1.0, 79, 1e-5)
    assert epsilon(5.0, 79, 1e-5) < whole < 1.1 * epsilon(5.0, 79, 1e-5)  # Rényi is a bound, Gaussian DP exact
    values = [subsampled_epsilon(1.0, rate, 1000, 1e-5) for rate in (0.001, 0.01, 0.1, 1.0)]
    assert values == sorted(values) and values[0] < 1.0 < values[-1]
    assert subsampled_epsilon(2.0, 0.1, 100, 1e-5) < subsampled_epsilon(1.0, 0.1, 100, 1e-5)
    assert subsampled_epsilon(1.0, 0.1, 100, 1e-5) < subsampled_epsilon(1.0, 0.1, 200, 1e-5)
    for wrong in ({"noise_multiplier": -1.0}, {"rate": 0.0}, {"steps": 0}, {"delta": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            subsampled_epsilon(**({"noise_multiplier": 1.0, "rate": 0.1, "steps": 10, "delta": 1e-5} | wrong))


@pytest.mark.parametrize(
    ("z", "rate", "steps"), [(1.0, 0.01, 10_000), (0.6, 0.25, 480), (2.0, 1 / 12, 360), (5.0, 1.0, 79)]
)
def test_subsampled_epsilon_is_opacuss(z, rate, steps):
    rdp = pytest.importorskip("opacus.accountants.analysis.rdp", reason="opacus is not installed")
    orders = [*range(2, 64), 72, 80, 96, 128, 192, 256, 512]
    theirs, _ = rdp.get_privacy_spent(
        orders=orders, rdp=rdp.compute_rdp(q=rate, noise_multiplier=z, steps=steps, orders=orders), delta=1e-5
    )
    assert subsampled_epsilon(z, rate, steps, 1e-5) == pytest.approx(theirs, rel=1e-6)


def test_epsilon_of_a_client_falls_with_its_data():
    privacy, training = RecordPrivacy(noise_multiplier=1.0), LocalTraining(epochs=2, batch=50)
    values = [privacy.epsilon(size, training, 8, 1e-5) for size in (50, 200, 600, 2000)]
    assert values == sorted(values, reverse=True)


def test_privacy_refuses_values_by_name():
    for part, field, value in (
        (ClientPrivacy, "clip", 0.0), (ClientPrivacy, "noise_multiplier", -1.0), (ClientPrivacy, "where", "cloud"),
        (RecordPrivacy, "clip", -1.0), (RecordPrivacy, "noise_multiplier", float("nan")),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{field} must .* got {value!r}"):
            part(**{field: value})
