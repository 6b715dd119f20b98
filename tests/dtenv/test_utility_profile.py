"""Utility profiles: fields, files, and use in a scenario."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from reference_association import utility

import dtenv
from dtenv import UtilityProfile, utility_profile
from dtenv.__main__ import main
from dtenv.presets import ASSOCIATION, resolve
from dtenv.scenario.association import TABLE_II_ALPHA, AssociationScenario, Learning
from dtenv.tasks.association.slot import Constants

ALPHA = (0.2136, 3.603, 0.0013, 1.0057, 0.7238, 1.806)  # α4 above 1, v(φ) below it
FIELDS = {
    "name": "own",
    "alpha": ALPHA,
    "label": "calibrated",
    "data": "digits",
    "skew": "missing classes, the same for all",
    "metric": "global model, balanced test set",
    "variant": "fedavg",
    "samples": (50, 2000),
    "emd": (0.0, 0.6),
    "uplink_bytes": 1000,
    "downlink_bytes": 4000.0,
    "rounds": 15,
    "compute_factor": 1.5,
    "epsilon": 8.0,
    "delta": 1e-5,
    "fit": {"rmse": 0.005, "r2": 0.99, "standard_errors": [0.1, None], "flags": []},
    "provenance": {"command": "python -m …", "seeds": [0, 1]},
}


def profile(**changes) -> UtilityProfile:
    return UtilityProfile(**FIELDS | changes)


def test_what_is_shipped():
    assert "zhou-2025" in utility_profile.available()
    for name in utility_profile.available():
        found = utility_profile.load(name)
        assert found.name == name
        utility_profile.check_publishable(found)
    zhou = utility_profile.load("zhou-2025")
    assert zhou.alpha == TABLE_II_ALPHA == Learning().alpha
    assert "not reproduced" in zhou.label and zhou.fit is zhou.epsilon is zhou.uplink_bytes is None


def test_utility_is_the_papers_formula():
    samples, emd = np.array([60.0, 200.0, 2000.0]), np.array([[0.0], [0.6]])
    found = profile().utility(samples, emd)
    expected = [[utility(list(ALPHA), d, phi) for d in samples] for phi in (0.0, 0.6)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert profile().utility(200, 0.0).shape == ()
    # ρ(200) = .5837 and ρ(2000) = .9162 without skew, by hand from Table II.
    np.testing.assert_allclose(utility_profile.load("zhou-2025").utility([200, 2000], 0.0), [0.5837, 0.9162], atol=5e-5)


def test_a_file_gives_the_profile_back(tmp_path):
    one = profile()
    utility_profile.save(one, tmp_path / "own.json")
    again = utility_profile.load(tmp_path / "own.json")
    assert again == one and again.digest == one.digest and hash(again) == hash(one)
    assert utility_profile.load(str(tmp_path / "own.json")) == one
    assert pickle.loads(pickle.dumps(one)) == one
    assert [path.name for path in tmp_path.iterdir()] == ["own.json"]
    for name in FIELDS:
        other = {"name": "other", "alpha": TABLE_II_ALPHA, "rounds": 16, "samples": (51, 2000), "emd": (0.0, 0.5)}
        numbers = {"uplink_bytes": 1, "downlink_bytes": None, "compute_factor": 2, "epsilon": 1, "delta": 0.1}
        objects = {"fit": None, "provenance": {}}
        value = (other | numbers | objects).get(name, "something else")
        assert profile(**{name: value}).digest != one.digest, name


def test_a_profile_keeps_what_it_was_given():
    fit = {"rmse": 0.005}
    one = profile(fit=fit)
    fit["rmse"] = 1.0
    assert one.fit == {"rmse": 0.005}
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "another"


BAD_VALUES = [  # field, value, what the message must hold
    ("name", "", "''"),
    ("name", "a/b", "'a/b'"),
    ("name", ".hidden", "'.hidden'"),
    ("label", 3, "3"),
    ("variant", " ", "' '"),
    ("alpha", ALPHA[:5], "six"),
    ("alpha", (0.2, 3.6, -0.1, 0.9, 0.7, 1.8), "alpha[2]"),
    ("alpha", (0.2, 3.6, 0.1, 1.0057, 0.0, 1.8), "alpha[3]"),
    ("alpha", (0.2, 3.6, 0.1, 1.0057, -0.7, 1.8), "alpha[3]"),
    ("alpha", (0.2, 3.6, 0.1, 0.9, math.nan, 1.8), "nan"),
    ("samples", (0, 100), "(0, 100)"),
    ("samples", (100, 50), "(100, 50)"),
    ("samples", 100, "100"),
    ("emd", (0.0, 2.5), "2.5"),
    ("emd", (-0.1, 0.5), "-0.1"),
    ("uplink_bytes", -1.0, "-1.0"),
    ("downlink_bytes", math.inf, "inf"),
    ("rounds", 0, "0"),
    ("rounds", 1.5, "1.5"),
    ("compute_factor", 0.0, "0.0"),
    ("compute_factor", None, "None"),
    ("epsilon", 0.0, "0.0"),
    ("epsilon", None, "None"),  # with a delta
    ("delta", None, "None"),
    ("delta", 1.0, "1.0"),
    ("fit", [], "[]"),
    ("fit", {"rmse": math.nan}, "nan"),
    ("provenance", None, "None"),
    ("provenance", {"array": np.zeros(2)}, "array"),
]


@pytest.mark.parametrize(("field", "value", "shown"), BAD_VALUES, ids=lambda x: str(x)[:30])
def test_a_bad_value_is_named_with_its_field(field, value, shown):
    with pytest.raises(ValueError) as error:
        profile(**{field: value})
    assert field in str(error.value) and shown in str(error.value)


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "bad.json"
    good = profile().as_dict()
    lacking = {name: value for name, value in good.items() if name != "epsilon"}
    for text, shown in (
        ("{", "not JSON"),
        ("[]", "[]"),
        (json.dumps(good | {"alhpa": []}), "unknown field 'alhpa'"),
        (json.dumps(lacking), "lacks the field 'epsilon'"),
        (json.dumps(good | {"rounds": "many"}), "rounds must be a positive integer, got 'many'"),
        (json.dumps(good | {"emd": [math.nan, 1.0]}), "nan"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError) as error:
            utility_profile.load(path)
        assert shown in str(error.value) and "bad.json" in str(error.value)
    for missing in ("zhou2025", tmp_path / "none.json", tmp_path):
        with pytest.raises(ValueError, match=r"shipped: .*zhou-2025"):
            utility_profile.load(missing)
    with pytest.raises(ValueError, match="did you mean 'zhou-2025'"):
        utility_profile.load("zhou2025")


FLAT = (1e-20, 3.6, 0.1, 0.9, 0.7, 1.8)


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"fit": {"rmse": 0.021}}, ["fit.rmse", "0.021"]),
        ({"fit": {"r2": 0.9}}, ["fit", "rmse"]),
        ({"fit": {"rmse": "good"}}, ["fit.rmse", "'good'"]),
        ({"fit": {"rmse": 0.01, "flags": ["falls-with-samples"]}}, ["fit.flags", "falls-with-samples"]),
        ({"fit": None}, ["fit", "None"]),
        ({"alpha": FLAT}, ["alpha", "rise with D"]),
    ],
)
def test_what_may_not_be_published_is_not_written_by_default(changes, shown, tmp_path):
    poor, path = profile(**changes), tmp_path / "poor.json"
    for refuse in (utility_profile.check_publishable, lambda p: utility_profile.save(p, path)):
        with pytest.raises(ValueError) as error:
            refuse(poor)
        assert all(part in str(error.value) for part in shown)
    assert not path.exists()
    utility_profile.save(poor, path, publishable=False)
    assert utility_profile.load(path) == poor
    with pytest.raises(ValueError, match=r"path must end in \.json"):
        utility_profile.save(poor, tmp_path / "poor.txt", publishable=False)


# In scenarios


def quiet(scenario="balanced", **settings) -> AssociationScenario:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resolve(scenario, **settings)


def test_a_profile_sets_alpha_and_computation():
    own = profile()
    scenario = resolve("balanced", utility=own)
    assert scenario.learning.alpha == own.alpha and scenario.learning.utility == own
    c, plain = Constants.of(scenario), Constants.of(ASSOCIATION["balanced"])
    assert (c.alpha1, c.alpha2, c.alpha3, c.alpha4, c.alpha5, c.alpha6) == own.alpha
    assert c.epochs == 1.5 * plain.epochs and c.transfer == 0.0
    assert c._replace(**{f"alpha{k}": a for k, a in enumerate(TABLE_II_ALPHA, 1)}, epochs=plain.epochs) == plain
    assert hash(scenario) != hash(ASSOCIATION["balanced"])


def test_the_papers_profile_changes_no_number():
    plain, named = gym.make("DTAssociation-v0"), gym.make("DTAssociation-v0", scenario=quiet(utility="zhou-2025"))
    for env in (plain, named):
        env.reset(seed=4)
    for _ in range(3):
        action = plain.action_space.sample()
        (obs, reward, *_, info), (obs2, reward2, *_, info2) = plain.step(action), named.step(action)
        assert obs.tobytes() == obs2.tobytes() and reward == reward2
        assert all(np.array_equal(info[key], info2[key]) for key in info)


def test_alpha_beside_a_profile_has_to_be_the_profiles():
    own, mine = profile(), (0.5, 1.0, 0.001, 0.9, 0.1, 1.0)
    assert resolve("balanced", utility=own, alpha=own.alpha).learning.alpha == own.alpha
    for wrong in (lambda: resolve("balanced", utility=own, alpha=mine), lambda: Learning(utility=own, alpha=mine)):
        with pytest.raises(ValueError, match=r"alpha must be omitted with utility 'own'.*0\.5"):
            wrong()
    held = resolve("balanced", utility=own)
    with pytest.raises(ValueError, match="alpha must be omitted"):
        held.override(alpha=mine)
    assert held.override(num_users=3).learning.alpha == own.alpha
    assert held.override(utility=profile(name="b", alpha=FLAT)).learning.alpha == FLAT  # another brings its own
    assert held.override(utility=None) == ASSOCIATION["balanced"]
    assert held.override(utility=None, alpha=mine).learning.alpha == mine
    plain = resolve("balanced", alpha=mine)
    assert plain.override(utility=None).learning.alpha == mine  # nothing was asked for
    assert plain.override(utility=own).learning.alpha == own.alpha


def test_names_files_and_manifests_ask_for_the_same_profile(tmp_path):
    zhou = utility_profile.load("zhou-2025")
    by_name = quiet(utility="zhou-2025")
    utility_profile.save(zhou, tmp_path / "copy.json")
    told = by_name.as_dict()
    assert told["utility"] == {"name": "zhou-2025", "digest": zhou.digest}
    assert json.loads(json.dumps(told, allow_nan=False)) is not None
    for source in (zhou, tmp_path / "copy.json", str(tmp_path / "copy.json"), told["utility"]):
        assert quiet(utility=source) == by_name
    again = {name: value for name, value in told.items() if name not in ("name", "recording")}
    assert quiet(**again).as_dict() == told
    assert not set(ASSOCIATION["balanced"].as_dict()) & {"utility", "model_transfer", "n_agg"}


def test_an_extrapolated_curve_is_told():
    def warned(**settings):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            resolve("balanced", **settings)
        return [str(w.message) for w in seen]

    own = profile(samples=(100, 600), emd=(0.1, 0.4))
    assert warned() == warned(utility=own) == warned(utility=own, emd=0.4) == []  # D_t is 100 to 300, and twice it
    (few,) = warned(utility=own, samples=(90, 300))
    assert "samples" in few and "90 … 600" in few and "100 … 600" in few and "'own'" in few
    assert len(warned(utility=own, samples=(100, 301))) == 1
    (skewed,) = warned(utility=own, emd=[0.1] * 19 + [0.5])
    assert "emd" in skewed and "0.1 … 0.5" in skewed and "0.1 … 0.4" in skewed
    assert len(warned(utility=own, samples=(100, 301), emd=0.0)) == 2


def test_make_and_describe_take_profiles(capsys):
    own = profile()
    assert gym.make("DTAssociation-v0", utility=own).unwrapped.scenario.learning.alpha == own.alpha
    envs = gym.make_vec("DTAssociation-v0", num_envs=2, vectorization_mode="vector_entry_point", utility=own)
    assert envs.scenario.learning.utility == own
    assert dtenv.UtilityProfile is UtilityProfile
    assert main(["describe", "DTAssociation-v0"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in ("utility", "model_transfer", "n_agg"))
