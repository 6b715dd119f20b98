import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dtenv.fl.metrics import spread
from dtenv.fl.parts.aggregation import CoordinateMedian, FairMean, Mean, MultiKrum, TrimmedMean, Uploads
from dtenv.fl.parts.reputation import Reputation, reputations


def uploads(update, weight=None, loss=None, client=None, population=None) -> Uploads:
    update = torch.as_tensor(np.asarray(update, dtype=np.float32))
    replicates, n = update.shape[:2]
    weight = torch.full((replicates, n), 1.0 / n) if weight is None else torch.as_tensor(weight).float()
    loss = torch.ones(replicates, n) if loss is None else torch.as_tensor(loss).float()
    client = torch.arange(n).expand(replicates, -1) if client is None else torch.as_tensor(client)
    return Uploads(update, weight, loss, client, population or n)


def drawn(seed: int, replicates=3, n=7, size=5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(replicates, n, size)).astype(np.float32)


def test_mean_by_hand():
    step, memory = Mean().combine(uploads([[[1.0, 2.0], [5.0, 10.0]]], weight=[[0.75, 0.25]]), None)
    assert step.tolist() == [[2.0, 4.0]] and memory is None


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 9))
def test_median_is_numpys(seed, n):
    update = drawn(seed, n=n)
    step, _ = CoordinateMedian().combine(uploads(update), None)
    np.testing.assert_allclose(step.numpy(), np.median(update, axis=1), atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 9), assumed=st.sampled_from([0.0, 0.1, 0.2, 0.34, 0.49]))
def test_trimmed_mean_is_that_of_a_naive_loop(seed, n, assumed):
    update = drawn(seed, n=n)
    step, _ = TrimmedMean(assumed=assumed).combine(uploads(update), None)
    cut = min(round(assumed * n), (n - 1) // 2)
    for r in range(update.shape[0]):
        for p in range(update.shape[2]):
            left = sorted(update[r, :, p].tolist())[cut : n - cut]
            assert float(step[r, p]) == pytest.approx(sum(left) / len(left), abs=1e-5)


def naive_krum(update: np.ndarray, bad: int) -> np.ndarray:
    n = len(update)
    scores = []
    for i in range(n):
        distances = sorted(float(((update[i] - update[j]) ** 2).sum()) for j in range(n) if j != i)
        scores.append(sum(distances[: n - bad - 2]))
    best = sorted(range(n), key=lambda i: scores[i])[: n - bad]
    return update[best].mean(axis=0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(5, 9), assumed=st.sampled_from([0.0, 0.1, 0.2]))
def test_multi_krum_is_that_of_a_naive_loop(seed, n, assumed):
    update = drawn(seed, n=n)
    step, _ = MultiKrum(assumed=assumed).combine(uploads(update), None)
    for found, own in zip(step.numpy(), update, strict=True):
        np.testing.assert_allclose(found, naive_krum(own, round(assumed * n)), atol=1e-5)


def attacked(bad: int, n=10, size=40, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """Updates about (1, …, 1) of which the first `bad` are turned and ten times as long; and the honest mean."""
    rng = np.random.default_rng(seed)
    update = 1.0 + 0.3 * rng.normal(size=(1, n, size))
    update[:, :bad] *= -10.0
    return update, update[:, bad:].mean(axis=1)


@pytest.mark.parametrize(
    ("rule", "bad", "withstands"),
    [
        (Mean(), 2, False),
        (CoordinateMedian(), 2, True),
        (CoordinateMedian(), 4, True),
        (CoordinateMedian(), 6, False),
        (TrimmedMean(assumed=0.2), 2, True),
        (TrimmedMean(assumed=0.4), 2, True),
        (TrimmedMean(assumed=0.1), 2, False),
        (MultiKrum(assumed=0.2), 2, True),
        (MultiKrum(assumed=0.4), 2, True),
        (MultiKrum(assumed=0.1), 2, False),
        (Reputation(), 2, True),
        (Reputation(), 4, True),
    ],
)
def test_rules_withstand_what_they_were_told_of_and_not_more(rule, bad, withstands):
    update, honest = attacked(bad)
    step, _ = rule.combine(uploads(update), None)
    assert (float(np.abs(step.numpy() - honest).max()) < 0.7) is withstands


def test_rules_know_no_order_of_clients():
    update = drawn(3, n=8)
    order = np.random.default_rng(0).permutation(8)
    for rule in (CoordinateMedian(), TrimmedMean(), MultiKrum(), FairMean()):
        a, _ = rule.combine(uploads(update), None)
        b, _ = rule.combine(uploads(update[:, order]), None)
        torch.testing.assert_close(a, b)


def test_rules_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="multi-Krum needs 3 clients more than the 1 taken for attackers, got 3"):
        MultiKrum(assumed=0.3).combine(uploads(drawn(0, n=3)), None)
    for rule in (TrimmedMean, MultiKrum):
        with pytest.raises(ValueError, match=r"assumed must lie in \[0, 0\.5\), got 0\.5"):
            rule(assumed=0.5)
    with pytest.raises(ValueError, match="forgetting must lie"):
        Reputation(forgetting=1.5)


def test_reputation_learns_who_is_bad_and_forgives():
    rng = np.random.default_rng(1)
    rule, memory = Reputation(), None

    def rounds(n: int, bad: list[int], memory):
        for _ in range(n):
            update = 1.0 + rng.normal(size=(1, 10, 60))
            update[:, bad] *= -1.0
            _, memory = rule.combine(uploads(update), memory)
        return memory

    memory = rounds(8, [3, 7], memory)
    learned = reputations(memory)[0]
    assert sorted(learned.argsort()[:2].tolist()) == [3, 7]
    assert float(learned[[3, 7]].max()) < 0.2 < 0.7 < float(learned[[0, 1, 2, 4, 5, 6, 8, 9]].min())
    memory = rounds(15, [7], memory)
    learned = reputations(memory)[0]
    assert float(learned[3]) > 0.7 and float(learned[7]) < 0.2


def test_reputation_is_of_clients_and_not_of_places():
    rule = Reputation()
    update = 1.0 + 0.1 * np.random.default_rng(0).normal(size=(1, 4, 30))
    update[:, 0] *= -1.0
    _, memory = rule.combine(uploads(update, client=[[5, 1, 2, 3]], population=6), None)
    assert memory.shape == (1, 6, 2)
    assert memory[0, 5].tolist() == [0.0, 1.0] and memory[0, [0, 4]].sum() == 0.0


def test_fair_mean_by_hand_and_its_limits():
    update, loss = [[[1.0, 0.0], [0.0, 2.0]]], [[1.0, 3.0]]
    even, _ = FairMean(q=0.0, learning_rate=0.5).combine(uploads(update, loss=loss), None)
    assert even.tolist() == [[0.5, 1.0]]  # q = 0: the plain mean
    # q = 1, L = 2: numerators F L u = (2, 0), (0, 12); divisors ‖L u‖² + L F = 4 + 2, 16 + 6
    fair, _ = FairMean(q=1.0, learning_rate=0.5).combine(uploads(update, loss=loss), None)
    np.testing.assert_allclose(fair.numpy(), [[2 / 28, 12 / 28]], rtol=1e-6)
    by_loss = [FairMean(q=q).combine(uploads(update, loss=loss), None)[0][0] for q in (0.0, 1.0, 5.0)]
    ratios = [float(step[1] / step[0]) for step in by_loss]
    assert ratios[0] < ratios[1] < ratios[2]


def test_spread_by_hand():
    worst, variance = spread(np.array([[0.5, 0.9, 0.7], [0.8, 0.8, 0.8]]))
    assert worst.tolist() == [0.5, 0.8]
    np.testing.assert_allclose(variance, [0.08 / 3, 0.0], atol=1e-12)
