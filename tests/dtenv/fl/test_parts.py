import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dtenv.fl.parts.asynchrony import Asynchrony
from dtenv.fl.parts.attack import Attack
from dtenv.fl.parts.clock import Clock
from dtenv.fl.parts.compression import Dense, Quantise, SharedValues, TopK
from dtenv.fl.parts.dispersed import Dispersed
from dtenv.fl.parts.distillation import Distillation, teachers
from dtenv.fl.parts.pruning import Pruning, is_matrix
from dtenv.fl.streams import Streams
from dtenv.fl.training.network import Perceptron


def update(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), size=st.integers(1, 60), share=st.floats(0.01, 1.0))
def test_top_k_keeps_the_largest_and_loses_nothing(seed, size, share):
    part, given_ = TopK(share=share), update(seed, 2, 3, size)
    sent, kept_back = part.compress(given_, None)
    assert ((sent != 0).sum(dim=-1) == part.kept(size)).all()
    torch.testing.assert_close(sent + kept_back, given_)
    least_sent = torch.where(sent != 0, sent.abs(), torch.inf).amin(dim=-1)
    assert (kept_back.abs().amax(dim=-1) <= least_sent).all()


def test_error_feedback_loses_nothing_over_rounds_and_without_it_much_is_lost():
    with_feedback, without = TopK(share=0.1), TopK(share=0.1, error_feedback=False)
    total, sent, memory, lossy = torch.zeros(1, 50), torch.zeros(1, 50), None, torch.zeros(1, 50)
    for i in range(30):
        given_ = update(i, 1, 50)
        out, memory = with_feedback.compress(given_, memory)
        total, sent = total + given_, sent + out
        out, none = without.compress(given_, None)
        lossy += out
        assert none is None
    torch.testing.assert_close(sent + memory, total, atol=1e-5, rtol=1e-5)
    assert (total - sent).norm() < 0.5 * (total - lossy).norm()


def test_momentum_correction_is_momentum_where_nothing_is_sent():
    part, memory = TopK(share=0.5, momentum=0.5), None  # of two entries one is sent
    sent, memory = part.compress(torch.tensor([[1.0, 4.0]]), memory)
    assert sent.tolist() == [[0.0, 4.0]] and memory.tolist() == [[1.0, 0.0, 1.0, 0.0]]
    sent, memory = part.compress(torch.tensor([[1.0, 1.0]]), memory)  # waits 1 + (1 + .5) against 1
    assert sent.tolist() == [[2.5, 0.0]] and memory.tolist() == [[0.0, 1.0, 0.0, 1.0]]
    with pytest.raises(ValueError, match=r"momentum must lie in \[0, 1\), and be 0 without error_feedback, got 0\.5"):
        TopK(error_feedback=False, momentum=0.5)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000), bits=st.integers(2, 16))
def test_quantising_is_on_a_grid_and_off_by_half_a_step(seed, bits):
    given_ = update(seed, 4, 30)
    sent, memory = Quantise(bits=bits).compress(given_, None)
    step = given_.abs().amax(dim=-1, keepdim=True) / (2 ** (bits - 1) - 1)
    assert memory is None
    assert ((sent - given_).abs() <= 0.5001 * step).all()
    torch.testing.assert_close(sent / step, (sent / step).round(), atol=1e-2, rtol=0.0)
    assert len(torch.unique((sent[0] / step[0]).round())) <= 2**bits - 1


def test_shared_values_are_few_and_nearer_than_an_even_grid():
    given_ = update(3, 4, 2000) ** 3  # heavy tails: an even grid wastes its levels on them
    sent, memory = SharedValues(bits=3).compress(given_, None)
    assert memory is None and all(len(torch.unique(row)) <= 8 for row in sent)
    even, _ = Quantise(bits=3).compress(given_, None)
    assert ((sent - given_).norm(dim=1) < 0.7 * (even - given_).norm(dim=1)).all()
    assert SharedValues(bits=3).upload_bytes(1000) == 375 + 32


def test_a_shared_value_is_the_mean_of_its_entries():
    given_ = torch.tensor([[0.0, 0.1, 0.2, 9.0, 9.2, 0.1]])
    sent, _ = SharedValues(bits=1).compress(given_, None)
    np.testing.assert_allclose(sent, [[0.1, 0.1, 0.1, 9.1, 9.1, 0.1]], rtol=1e-6)
    same, _ = SharedValues(bits=2).compress(torch.full((1, 3), 0.5), None)
    assert same.tolist() == [[0.5, 0.5, 0.5]]


def test_nothing_changes_when_nothing_is_left_out():
    given_ = update(0, 2, 2, 9)
    torch.testing.assert_close(TopK(share=1.0).compress(given_, None)[0], given_)
    assert Dense().compress(given_, None)[0] is given_
    assert Quantise(bits=4).compress(torch.zeros(2, 3), None)[0].tolist() == [[0.0] * 3] * 2


def test_bytes_by_hand():
    assert Dense().upload_bytes(1000) == 4000.0
    assert TopK(share=0.01).upload_bytes(1000) == 80.0  # ten values, ten indices
    assert TopK(share=1 / 600).upload_bytes(60_000) * 300 == Dense().upload_bytes(60_000)
    assert Quantise(bits=4).upload_bytes(1000) == 504.0


def test_parts_refuse_values_by_name():
    for part, field, value in (
        (TopK, "share", 0.0),
        (Quantise, "bits", 1),
        (SharedValues, "bits", 9),
        (Attack, "share", 1.5),
        (Attack, "scale", float("nan")),
        (Pruning, "share", 1.0),
        (Pruning, "after", 0),
        (Dispersed, "groups", 0),
        (Asynchrony, "mixing", 0.0),
        (Asynchrony, "buffer", 0),
        (Distillation, "weight", 0.0),
        (Clock, "uplink_bps", 0.0),
    ):
        with pytest.raises(ValueError, match=f"{field} must .* got {value!r}"):
            part(**{field: value})


def test_attackers_are_a_share_drawn_a_replicate_whoever_is_beside_it():
    part = Attack(share=0.3)
    together = part.attackers(Streams.of([0, 1, 2]), 10)
    assert together.sum(dim=1).tolist() == [3, 3, 3]
    assert len({tuple(row.tolist()) for row in together}) > 1
    assert (part.attackers(Streams.of([2]), 10)[0] == together[2]).all()
    assert part.attackers(Streams.of([0]), 1).sum() == 0  # of one client 30 % are none


def test_attackers_flip_labels_and_signs_and_others_do_not():
    attacks, labels = torch.tensor([[True, False]]), torch.tensor([[[0, 3], [0, 3]]])
    assert Attack(flip_labels=True).poison(labels, attacks, 10).tolist() == [[[9, 6], [0, 3]]]
    assert Attack(scale=-1.0).poison(labels, attacks, 10) is labels
    given_ = torch.ones(1, 2, 2)
    assert Attack(scale=-2.0).tamper(given_, attacks).tolist() == [[[-2.0, -2.0], [1.0, 1.0]]]
    assert Attack(flip_labels=True).tamper(given_, attacks) is given_


def test_pruning_takes_the_smallest_weights_of_matrices():
    network = Perceptron(inputs=3, classes=2, hidden=(4,))
    weights = update(0, 5, network.size)
    mask = Pruning(share=0.5).mask(network, weights)
    matrix = is_matrix(network)
    assert mask.sum(dim=1).tolist() == [10] * 5 and not mask[:, ~matrix].any()
    for row, gone in zip(weights.abs(), mask, strict=True):
        assert row[gone].max() <= row[matrix & ~gone].min()
    assert Pruning(share=0.5).compute(network) == 0.5


def test_staleness_counts_less():
    discount = Asynchrony(staleness_power=0.5).discount(torch.tensor([0.0, 3.0]))
    assert discount.tolist() == [1.0, 0.5]


def test_the_cloud_hears_of_the_last_round_whatever_its_number():
    assert [Dispersed(edge_rounds=3).to_cloud(i, 8) for i in range(8)] == [False, False, True] * 2 + [False, True]


def test_the_clock_by_hand():
    clock = Clock(samples_per_s=100.0, spread=0.0, uplink_bps=8000.0)
    speeds = clock.speeds(Streams.of([0]), 2)
    assert speeds.tolist() == [[100.0, 100.0]]
    assert clock.seconds(torch.tensor([[200.0, 50.0]]), speeds, 500.0).tolist() == [[2.5, 1.0]]


def test_a_teacher_is_the_mean_of_the_others_who_hold_the_label():
    logits = torch.zeros(1, 3, 2, 2)
    logits[0, :, 0] = torch.tensor([[1.0, 0.0], [3.0, 0.0], [8.0, 8.0]])
    counts = torch.tensor([[[5, 1], [2, 0], [0, 0]]])
    teacher, taught = teachers(logits, counts)
    assert teacher[0, :, 0].tolist() == [[3.0, 0.0], [1.0, 0.0], [2.0, 0.0]]
    assert taught[0].tolist() == [[True, False], [True, True], [True, True]]
    targets = Distillation(weight=0.5).targets(torch.tensor([[[0, 1]] * 3]), teacher, taught)
    assert targets[0, 0, 1].tolist() == [0.0, 1.0]  # no other client holds label 1
    np.testing.assert_allclose(targets.sum(dim=-1)[0], [[1.5, 1.0], [1.5, 1.5], [1.5, 1.5]], rtol=1e-6)
