import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtenv.fl.data.images import load_images
from dtenv.fl.data.skew import SKEWS, client_counts, deal, label_counts


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


@settings(max_examples=200, deadline=None)
@given(
    skew=st.sampled_from(list(SKEWS)), tenths=st.integers(0, 18), samples=st.integers(1, 300), client=st.integers(0, 30)
)
def test_the_distance_is_exact_or_refused(skew, tenths, samples, client):
    emd = tenths / 10
    try:
        counts = label_counts(skew, emd, samples, 10, client)
    except ValueError as error:
        assert "is not reached" in str(error)
        return
    assert counts.sum() == samples and counts.min() >= 0
    assert np.abs(counts / samples - 0.1).sum() == pytest.approx(emd, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(skew=st.sampled_from(list(SKEWS)), tenths=st.integers(0, 18), hundreds=st.integers(1, 9))
def test_even_sizes_reach_all_tenths(skew, tenths, hundreds):
    counts = label_counts(skew, tenths / 10, 1800 * hundreds, 10, 3)
    assert np.abs(counts / counts.sum() - 0.1).sum() == pytest.approx(tenths / 10, abs=1e-9)


def test_what_a_construction_takes_from_whom():
    missing = client_counts("missing", 0.6, 70, 10, 3)
    assert missing[0].tolist() == [0, 0, 0, 10, 10, 10, 10, 10, 10, 10]
    assert missing[1].tolist() == [10, 0, 0, 0, 10, 10, 10, 10, 10, 10]
    same = client_counts("missing-same", 0.6, 70, 10, 3)
    assert (same == same[0]).all() and (same[:, :3] == 0).all()
    major = client_counts("major", 0.6, 600, 10, 2)
    assert major[0].tolist() == [240] + [40] * 9 and major[1].tolist() == [40, 240] + [40] * 8


def test_a_distance_out_of_reach_names_the_nearest():
    with pytest.raises(ValueError, match=r"emd 0\.5 is not reached by 7 whole samples .* nearest such assignment has"):
        label_counts("missing", 0.5, 7, 10, 0)
    with pytest.raises(ValueError, match=r"emd must lie in \[0, 1\.8\] for 10 labels, got 1\.9"):
        label_counts("missing", 1.9, 100, 10, 0)
    with pytest.raises(ValueError, match="skew must be one of"):
        label_counts("dirichlet", 0.1, 100, 10, 0)


def test_a_client_without_data_and_a_label_that_runs_out_are_refused(digits):
    with pytest.raises(ValueError, match="samples of client 1 must be a positive integer, got 0"):
        client_counts("missing", 0.0, [10, 0, 10], 10, 3)
    with pytest.raises(ValueError, match="client 2 has no data"):
        deal(digits, np.array([[1] * 10, [1] * 10, [0] * 10]), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"digits has \d+ images of label 3, clients need 400"):
        deal(digits, np.array([[0, 0, 0, 200] + [0] * 6] * 2), np.random.default_rng(0))
    with pytest.raises(ValueError, match="one per client, got 2 for 3 clients"):
        client_counts("missing", 0.0, [10, 10], 10, 3)


def test_nobody_shares_an_image_and_labels_are_as_counted(digits):
    counts = client_counts("missing", 0.6, [70, 140, 70], 10, 3)
    index = deal(digits, counts, np.random.default_rng(4))
    held = index[index >= 0]
    assert len(set(held.tolist())) == counts.sum()
    for row, wanted in zip(index, counts, strict=True):
        assert np.bincount(digits.y.numpy()[row[row >= 0]], minlength=10).tolist() == wanted.tolist()
    again = deal(digits, counts, np.random.default_rng(4))
    other = deal(digits, counts, np.random.default_rng(5))
    assert (index == again).all() and (index != other).any()
