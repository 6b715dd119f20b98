"""The association scenario is the paper's Table II, immutable, and raises errors that name invalid fields."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from dtenv import ASSOCIATION, AssociationScenario
from dtenv.presets import resolve
from dtenv.scenario.association import Data, Network

TABLE_II = {
    "num_users": 20,
    "area_m": 120.0,
    "compute_capacity": (1.4e3, 1.5e3),
    "sync_capacity": (120.0, 130.0),
    "cycles_per_bit": (54.0, 56.0),
    "twin_bits": (4.4e3, 4.6e3),
    "bits_per_sample": 784.0,
    "alpha": (0.8862, 6.8382, 0.0006, 0.9172, -0.0231, 0.8366),
    "epochs_local": 50,
    "epochs_fine_tune": 10,
    "bandwidth_hz": 15e3,
    "transmit_power_w": 0.2,
    "channel_gain": 1.0,
    "noise_dbm": -174.0,
    "noise_per_hertz": False,
    "n_mig": 1e-4,
    "n_syn": 0.1,
    "n_cmp": 1e-7,
    "migrate_current_data": True,
    "f0": 200.0,
    "beta1": 0.3,
    "beta2": 0.7,
    "barrier_curve": 10.0,
    "num_slots": 750,
}
BALANCED = {"n_syn": 3.0, "barrier_curve": 1000.0, "num_slots": 100}
DIFFERENCES = {  # from Table II
    "paper": {"reward": "literal"},
    "balanced": BALANCED | {"reward": "barrier"},
    "sequential": BALANCED | {"reward": "barrier", "n_syn": 5.0, "n_mig": 3e-5, "f0": 400.0},
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_presets(name):
    values = ASSOCIATION[name].as_dict()
    expected = TABLE_II | {"name": name, "history": "optimal", "samples": (100.0, 300.0)} | DIFFERENCES[name]
    assert {key: values[key] for key in expected} == expected
    assert 9 <= values["num_servers"] <= 21
    assert values["emd"] in (0.0, 0.2, 0.4, 0.6)


def test_there_are_these_presets_and_each_knows_its_name():
    assert set(ASSOCIATION) == set(DIFFERENCES)
    assert all(scenario.name == name for name, scenario in ASSOCIATION.items())


def test_override_changes_the_named_fields_of_a_copy():
    balanced = ASSOCIATION["balanced"]
    changed = balanced.override(num_servers=9, emd=0.4, reward="objective")
    assert (changed.network.num_servers, changed.data.emd, changed.objective.reward) == (9, 0.4, "objective")
    expected = balanced.as_dict() | {"num_servers": 9, "emd": 0.4, "reward": "objective"}
    assert changed.as_dict() == expected
    assert balanced.network.num_servers == 15
    assert balanced.override() == balanced


def test_resolve_takes_a_name_or_a_scenario():
    assert resolve("paper") is not None
    assert resolve("paper", num_users=3).as_dict() == ASSOCIATION["paper"].as_dict() | {"num_users": 3}
    own = AssociationScenario(name="own", network=Network(num_users=2))
    assert resolve(own, num_servers=4).network == Network(num_users=2, num_servers=4)


def test_frozen():
    scenario = ASSOCIATION["balanced"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.name = "mine"
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.network.num_users = 3
    with pytest.raises(TypeError):
        Network(20, 15)  # by keyword alone


def test_every_field_has_one_name():
    groups = [f.default_factory for f in dataclasses.fields(AssociationScenario) if f.name != "name"]
    names = [f.name for group in groups for f in dataclasses.fields(group)]
    assert len(names) == len(set(names))
    assert set(names) == set(AssociationScenario.fields())
    shown = set(ASSOCIATION["paper"].as_dict()) - {"name"}
    assert set(names) == shown | set(AssociationScenario.LATER)
    assert not shown & set(AssociationScenario.LATER)  # digests made before these fields stay


@pytest.mark.parametrize("name", DIFFERENCES)
def test_as_dict_is_json(name):
    scenario = ASSOCIATION[name].override(num_users=2, label_counts=np.eye(2))
    values = json.loads(json.dumps(scenario.as_dict(), allow_nan=False))
    assert values["label_counts"] == [[1.0, 0.0], [0.0, 1.0]]
    again = {key: value for key, value in values.items() if key not in ("name", "recording")}
    assert ASSOCIATION["balanced"].override(**again).as_dict() == scenario.as_dict() | {"name": "balanced"}


def test_emd_of_every_user():
    assert Data(emd=0.4).user_emd(3).tolist() == [0.4] * 3
    assert Data(emd=(0.0, 0.2, 0.6)).user_emd(3).tolist() == [0.0, 0.2, 0.6]
    assert Data(emd=0.4, label_counts=[[1, 0], [0, 1]]).user_emd(2).tolist() == [1.0, 1.0]
    assert Data(label_counts=[[1, 0], [0, 1]], label_reference=[1, 0]).user_emd(2).tolist() == [0.0, 2.0]


BAD_VALUES = [  # field, value, and what else the message must hold
    ("num_users", 0, "0"),
    ("num_users", 20.0, "20.0"),
    ("num_users", True, "True"),
    ("num_servers", 0, "0"),
    ("num_servers", -3, "-3"),
    ("num_servers", "15", "'15'"),
    ("num_slots", 0, "0"),
    ("num_slots", 1.5, "1.5"),
    ("epochs_local", 0, "0"),
    ("epochs_fine_tune", False, "False"),
    ("area_m", 0, "0"),
    ("area_m", math.inf, "inf"),
    ("area_m", math.nan, "nan"),
    ("compute_capacity", (-1.0, 5.0), "(-1.0, 5.0)"),
    ("compute_capacity", (0.0, 5.0), "(0.0, 5.0)"),
    ("sync_capacity", (130.0, 120.0), "(130.0, 120.0)"),
    ("sync_capacity", 120.0, "120.0"),
    ("cycles_per_bit", (54.0, math.inf), "inf"),
    ("cycles_per_bit", (54.0, 55.0, 56.0), "(54.0, 55.0, 56.0)"),
    ("speed_mps", (-1.0, 1.0), "(-1.0, 1.0)"),
    ("speed_mps", (0.0, 1e9), "(0.0, 1000000000.0)"),
    ("speed_mps", "12", "'12'"),
    ("slot_seconds", 0.0, "0.0"),
    ("recording", "walks.csv", "'walks.csv'"),
    ("samples", (0, 10), "(0, 10)"),
    ("samples", (1.5, 10), "(1.5, 10"),
    ("bits_per_sample", -784.0, "-784.0"),
    ("twin_bits", (-1.0, 1.0), "(-1.0, 1.0)"),
    ("emd", -0.1, "-0.1"),
    ("emd", 2.1, "2.1"),
    ("emd", math.nan, "nan"),
    ("emd", [0.2] * 19 + [2.5], "2.5"),
    ("emd", [0.2] * 19, "19"),
    ("emd", None, "None"),
    ("emd", "high", "'high'"),
    ("label_counts", [[1, 1]] * 19, "19"),
    ("label_counts", [[-1, 1]] * 20, "-1"),
    ("label_counts", 3, "3"),
    ("label_counts", [[1, 2], [3]], "[3]"),
    ("alpha", (0.8862, 6.8382), "(0.8862, 6.8382)"),
    ("alpha", (0.8862, 6.8382, -0.0006, 0.9172, -0.0231, 0.8366), "alpha[2]"),
    ("alpha", (0.8862, 6.8382, 0.0006, 1.0, -0.0231, 0.8366), "alpha[3]"),
    ("alpha", (0.8862, 6.8382, 0.0006, 0.9172, math.nan, 0.8366), "nan"),
    ("alpha", None, "None"),
    ("alpha", ("a", 6.8382, 0.0006, 0.9172, -0.0231, 0.8366), "'a'"),
    ("bandwidth_hz", 0.0, "0.0"),
    ("transmit_power_w", -0.2, "-0.2"),
    ("channel_gain", None, "None"),
    ("noise_dbm", math.inf, "inf"),
    ("noise_dbm", "low", "'low'"),
    ("noise_per_hertz", "yes", "'yes'"),
    ("migrate_current_data", "no", "'no'"),
    ("n_mig", -1e-4, "-0.0001"),
    ("n_syn", math.nan, "nan"),
    ("n_cmp", 0.0, "0.0"),
    ("n_agg", -1.0, "-1.0"),
    ("n_agg", "dear", "'dear'"),
    ("model_transfer", "up", "'up'"),
    ("model_transfer", "uplink", "'uplink'"),  # without a utility that states bytes
    ("utility", "zhou-2052", "zhou-2025"),
    ("utility", 3, "3"),
    ("utility", {"name": "zhou-2025", "digest": "0"}, "'0'"),
    ("f0", 0.0, "0.0"),
    ("f0", True, "True"),
    ("beta1", -0.3, "-0.3"),
    ("beta2", "0.7", "'0.7'"),
    ("barrier_curve", 0, "0"),
    ("reward", "shaped", "'shaped'"),
    ("history", None, "None"),
]


@pytest.mark.parametrize(("field", "value", "shown"), BAD_VALUES, ids=lambda x: str(x)[:30])
def test_a_bad_value_is_named_with_its_field(field, value, shown):
    with pytest.raises(ValueError) as error:
        ASSOCIATION["balanced"].override(**{field: value})
    assert field in str(error.value)
    assert shown in str(error.value)


def test_unknown_names_come_with_a_suggestion_and_the_known_ones():
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'num_server' \(did you mean 'num_servers'\?\); known: alpha"
    ):
        resolve("balanced", num_server=9)
    with pytest.raises(ValueError, match=r"scenario 'papers' is unknown \(did you mean 'paper'\?\); known: .*paper"):
        resolve("papers")
    with pytest.raises(TypeError, match="scenario must be a preset's name or an AssociationScenario, got 3"):
        resolve(3)
