"""Federated training in variants (Liu 2020, Section IV), each a recipe by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dtenv.fl.parts.aggregation import Aggregation, CoordinateMedian, FairMean, Mean, MultiKrum, TrimmedMean
from dtenv.fl.parts.asynchrony import Asynchrony
from dtenv.fl.parts.attack import Attack
from dtenv.fl.parts.client_privacy import ClientPrivacy
from dtenv.fl.parts.clock import Clock
from dtenv.fl.parts.compression import Quantise, SharedValues, TopK
from dtenv.fl.parts.dispersed import Dispersed
from dtenv.fl.parts.distillation import Distillation
from dtenv.fl.parts.personalisation import Personalisation
from dtenv.fl.parts.pruning import Pruning
from dtenv.fl.parts.reputation import Reputation
from dtenv.fl.recipe import Recipe
from dtenv.fl.training.dp_sgd import RecordPrivacy
from dtenv.fl.training.local_sgd import LocalTraining

SLOW = Clock(samples_per_s=200.0, spread=1.0)
"""Clients that compute for longer than they send, at speeds far apart: where not waiting should pay."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A recipe, and what it is compared with besides plain averaging."""

    about: str
    section: str
    """Of Liu 2020; none where it is not theirs."""
    recipe: Recipe = field(default_factory=Recipe)
    against: str = "fedavg"


ATTACKS = {
    "label-flip": Attack(flip_labels=True),
    "sign-flip": Attack(scale=-1.0),
    "scaled": Attack(flip_labels=True, scale=5.0),
}
"""By two clients of ten: labels turned round, updates turned round, and turned labels shouted five times as loud."""

DEFENCES: dict[str, tuple[Aggregation, str]] = {
    "mean": (Mean(), "no defence"),
    "median": (CoordinateMedian(), "median of every coordinate"),
    "trimmed": (TrimmedMean(), "mean without the 20 % at either end"),
    "krum": (MultiKrum(), "multi-Krum, told 20 %"),
    "reputation": (Reputation(), "reputation learned over rounds, told nothing"),
}

WRONG: dict[str, tuple[Aggregation, str]] = {
    "trimmed-told-10": (TrimmedMean(assumed=0.1), "trimmed mean, told half as many attackers as there are"),
    "trimmed-told-40": (TrimmedMean(assumed=0.4), "trimmed mean, told twice as many attackers as there are"),
    "krum-told-10": (MultiKrum(assumed=0.1), "multi-Krum, told half as many attackers as there are"),
    "krum-told-40": (MultiKrum(assumed=0.4), "multi-Krum, told twice as many attackers as there are"),
}


def _variants() -> dict[str, Variant]:
    def of(section: str, about: str, against: str = "fedavg", **parts) -> Variant:
        return Variant(about=about, section=section, against=against, recipe=Recipe(**parts))

    found = {
        "fedavg": of("", "federated averaging"),
        "half": of("", "half of the clients take part in a round", participation=0.5),
        "async": of("IV-A 1", "nobody waits, late updates count less", asynchrony=Asynchrony()),
        "async-buffered": of(
            "IV-A 1", "nobody waits, five updates at a time", asynchrony=Asynchrony(buffer=5, mixing=0.5)
        ),
        "slow": of("", "federated averaging, slow clients of speeds far apart", clock=SLOW),
        "slow-async": of(
            "IV-A 1", "nobody waits, slow clients of speeds far apart", "slow", clock=SLOW, asynchrony=Asynchrony()
        ),
        "slow-async-buffered": of(
            "IV-A 1",
            "nobody waits, five at a time, slow clients",
            "slow",
            clock=SLOW,
            asynchrony=Asynchrony(buffer=5, mixing=0.5),
        ),
        "two-level": of(
            "IV-A 1", "two edge servers, every fifth round at the cloud", dispersed=Dispersed(groups=2, edge_rounds=5)
        ),
        "proximal": of("IV-A 2", "proximal term towards the global weights", local=LocalTraining(proximal=0.1)),
        "top-k-10": of("IV-A 2", "largest 10 % of an update, the rest later", compression=TopK(share=0.1)),
        "top-k-1": of("IV-A 2", "largest 1 % of an update, the rest later", compression=TopK(share=0.01)),
        "top-k-1-lossy": of(
            "IV-A 2",
            "largest 1 % of an update, the rest lost",
            "top-k-1",
            compression=TopK(share=0.01, error_feedback=False),
        ),
        "top-k-300": of("IV-A 2", "a 300th of the bytes, the rest later", compression=TopK(share=1 / 600)),
        "top-k-300-momentum": of(
            "IV-A 2",
            "a 300th of the bytes, with momentum of what waits",
            "top-k-300",
            compression=TopK(share=1 / 600, momentum=0.3),
        ),
        "8-bit": of("IV-A 2", "updates of 8 bits an entry", compression=Quantise(bits=8)),
        "4-bit": of("IV-A 2", "updates of 4 bits an entry", compression=Quantise(bits=4)),
        "2-bit": of("IV-A 2", "updates of 2 bits an entry", compression=Quantise(bits=2)),
    }
    found["shared-4-bit"] = of(
        "IV-D 2", "updates of sixteen values that entries share", "4-bit", compression=SharedValues(bits=4)
    )
    for name, (rule, about) in DEFENCES.items():
        if name != "mean":
            found[name] = of("IV-B", f"{about}; nobody attacks", aggregation=rule)
    for attack, part in ATTACKS.items():
        for name, (rule, about) in {**DEFENCES, **(WRONG if attack == "scaled" else {})}.items():
            found[f"{attack}-{name}"] = of(
                "IV-B",
                f"{attack} by 20 %; {about}",
                "fedavg" if name == "mean" else f"{attack}-mean",
                attack=part,
                aggregation=rule,
            )
    found |= {
        "clip": of("IV-C 1", "updates clipped, no noise", client_privacy=ClientPrivacy(clip=2.0, noise_multiplier=0.0)),
        "client-dp-weak": of(
            "IV-C 1",
            "clipped, little noise on the mean",
            "clip",
            client_privacy=ClientPrivacy(clip=2.0, noise_multiplier=0.1),
        ),
        "client-dp": of(
            "IV-C 1",
            "clipped, noise on the mean",
            "clip",
            client_privacy=ClientPrivacy(clip=2.0, noise_multiplier=2.3),
        ),
        "local-dp": of(
            "IV-C 1",
            "clipped, noise at every client",
            "client-dp",
            client_privacy=ClientPrivacy(clip=2.0, noise_multiplier=2.3, where="client"),
        ),
        "record-clip": of(
            "IV-C 1", "every sample's gradient clipped, no noise", record_privacy=RecordPrivacy(noise_multiplier=0.0)
        ),
        "record-dp-weak": of(
            "IV-C 1", "every sample's gradient clipped, little noise", "record-clip", record_privacy=RecordPrivacy()
        ),
        "record-dp": of(
            "IV-C 1",
            "every sample's gradient clipped, and noise",
            "record-clip",
            record_privacy=RecordPrivacy(noise_multiplier=2.0),
        ),
        "distillation": of("IV-D 1", "mean logits travel, not weights", "local", distillation=Distillation()),
        "pruning": of("IV-D 2", "80 % of the weights pruned after three rounds", pruning=Pruning()),
        "pruning-95": of("IV-D 2", "95 % of the weights pruned after three rounds", pruning=Pruning(share=0.95)),
        "personal": of("", "own model drawn to the global one", "local", personalisation=Personalisation()),
        "personal-garbage": of(
            "", "own model drawn to noise (control)", "personal", personalisation=Personalisation(anchor="garbage")
        ),
        "local": of("", "own model, nobody's help (control)", personalisation=Personalisation(penalty=0.0)),
        "q-ffl-0": of("", "every client counts the same", aggregation=FairMean(q=0.0)),
        "q-ffl-1": of("", "clients weigh by their loss", "q-ffl-0", aggregation=FairMean(q=1.0)),
        "q-ffl-5": of("", "clients weigh by their loss to the fifth", "q-ffl-0", aggregation=FairMean(q=5.0)),
    }
    return found


VARIANTS = _variants()
"""By name."""


def recipe_of(
    name: str, rounds: int | None = None, *, steps: int | None = None, learning_rate: float | None = None
) -> Recipe:
    """A variant's recipe, with other rounds, gradient steps a round in place of epochs, or learning rate.

    Raises:
        ValueError: no such variant.
    """
    if name not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {name!r}")
    recipe = VARIANTS[name].recipe
    local = recipe.local if steps is None else replace(recipe.local, steps=steps)
    local = local if learning_rate is None else replace(local, learning_rate=learning_rate)
    return replace(recipe, rounds=recipe.rounds if rounds is None else rounds, local=local)
