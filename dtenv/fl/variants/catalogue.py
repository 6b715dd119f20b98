"""Variants of federated training (Liu 2020, Section IV): recipes by name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

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
"""Clients with long computation at very different speeds, for which asynchrony should pay."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A recipe, and the variant that it is compared with besides plain averaging."""

    about: str
    section: str
    """Section of (Liu 2020), or "" if the variant is not theirs."""
    recipe: Recipe = field(default_factory=Recipe)
    against: str = "fedavg"


ATTACKS = {
    "label-flip": Attack(flip_labels=True),
    "sign-flip": Attack(scale=-1.0),
    "scaled": Attack(flip_labels=True, scale=5.0),
}
"""Attacks by two clients of ten: flipped labels, flipped updates, and flipped labels with updates scaled by five."""

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


def _variant(section: str, about: str, against: str = "fedavg", **parts: Any) -> Variant:
    return Variant(about=about, section=section, against=against, recipe=Recipe(**parts))


BUFFERED = Asynchrony(buffer=5, mixing=0.5)
CLIP, WEAK, STRONG = (ClientPrivacy(clip=2.0, noise_multiplier=noise) for noise in (0.0, 0.1, 2.3))
MOMENTUM = TopK(share=1 / 600, momentum=0.3)

VARIANTS: dict[str, Variant] = {
    "fedavg": _variant("", "federated averaging"),
    "half": _variant("", "half of the clients take part in a round", participation=0.5),
    "async": _variant("IV-A 1", "nobody waits, late updates count less", asynchrony=Asynchrony()),
    "async-buffered": _variant("IV-A 1", "nobody waits, five updates at a time", asynchrony=BUFFERED),
    "slow": _variant("", "federated averaging, slow clients of speeds far apart", clock=SLOW),
    "slow-async": _variant(
        "IV-A 1", "nobody waits, slow clients of speeds far apart", "slow", clock=SLOW, asynchrony=Asynchrony()
    ),
    "slow-async-buffered": _variant(
        "IV-A 1", "nobody waits, five at a time, slow clients", "slow", clock=SLOW, asynchrony=BUFFERED
    ),
    "two-level": _variant("IV-A 1", "two edge servers, every fifth round at the cloud", dispersed=Dispersed()),
    "proximal": _variant("IV-A 2", "proximal term towards the global weights", local=LocalTraining(proximal=0.1)),
    "top-k-10": _variant("IV-A 2", "largest 10 % of an update, the rest later", compression=TopK(share=0.1)),
    "top-k-1": _variant("IV-A 2", "largest 1 % of an update, the rest later", compression=TopK(share=0.01)),
    "top-k-1-lossy": _variant(
        "IV-A 2", "largest 1 % of an update, the rest lost", "top-k-1", compression=TopK(error_feedback=False)
    ),
    "top-k-300": _variant("IV-A 2", "a 300th of the bytes, the rest later", compression=TopK(share=1 / 600)),
    "top-k-300-momentum": _variant(
        "IV-A 2", "a 300th of the bytes, with momentum of what waits", "top-k-300", compression=MOMENTUM
    ),
    **{
        f"{bits}-bit": _variant("IV-A 2", f"updates of {bits} bits an entry", compression=Quantise(bits=bits))
        for bits in (8, 4, 2)
    },
    "shared-4-bit": _variant(
        "IV-D 2", "updates of sixteen values that entries share", "4-bit", compression=SharedValues()
    ),
    **{
        name: _variant("IV-B", f"{about}; nobody attacks", aggregation=rule)
        for name, (rule, about) in DEFENCES.items()
        if name != "mean"
    },
    **{
        f"{attack}-{name}": _variant(
            "IV-B",
            f"{attack} by 20 %; {about}",
            "fedavg" if name == "mean" else f"{attack}-mean",
            attack=part,
            aggregation=rule,
        )
        for attack, part in ATTACKS.items()
        for name, (rule, about) in {**DEFENCES, **(WRONG if attack == "scaled" else {})}.items()
    },
    "clip": _variant("IV-C 1", "updates clipped, no noise", client_privacy=CLIP),
    "client-dp-weak": _variant("IV-C 1", "clipped, little noise on the mean", "clip", client_privacy=WEAK),
    "client-dp": _variant("IV-C 1", "clipped, noise on the mean", "clip", client_privacy=STRONG),
    "local-dp": _variant(
        "IV-C 1", "clipped, noise at every client", "client-dp", client_privacy=replace(STRONG, where="client")
    ),
    "record-clip": _variant(
        "IV-C 1", "every sample's gradient clipped, no noise", record_privacy=RecordPrivacy(noise_multiplier=0.0)
    ),
    "record-dp-weak": _variant(
        "IV-C 1", "every sample's gradient clipped, little noise", "record-clip", record_privacy=RecordPrivacy()
    ),
    "record-dp": _variant(
        "IV-C 1",
        "every sample's gradient clipped, and noise",
        "record-clip",
        record_privacy=RecordPrivacy(noise_multiplier=2.0),
    ),
    "distillation": _variant("IV-D 1", "mean logits travel, not weights", "local", distillation=Distillation()),
    "pruning": _variant("IV-D 2", "80 % of the weights pruned after three rounds", pruning=Pruning()),
    "pruning-95": _variant("IV-D 2", "95 % of the weights pruned after three rounds", pruning=Pruning(share=0.95)),
    "personal": _variant("", "own model drawn to the global one", "local", personalisation=Personalisation()),
    "personal-garbage": _variant(
        "", "own model drawn to noise (control)", "personal", personalisation=Personalisation(anchor="garbage")
    ),
    "local": _variant("", "own model, nobody's help (control)", personalisation=Personalisation(penalty=0.0)),
    "q-ffl-0": _variant("", "every client counts the same", aggregation=FairMean(q=0.0)),
    "q-ffl-1": _variant("", "clients weigh by their loss", "q-ffl-0", aggregation=FairMean(q=1.0)),
    "q-ffl-5": _variant("", "clients weigh by their loss to the fifth", "q-ffl-0", aggregation=FairMean(q=5.0)),
}
"""Variants by name."""


def recipe_of(
    name: str, rounds: int | None = None, *, steps: int | None = None, learning_rate: float | None = None
) -> Recipe:
    """Return a variant's recipe, with other rounds, gradient steps per round in place of epochs, or learning rate.

    Raises ValueError for an unknown variant.
    """
    if name not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {name!r}")
    recipe = VARIANTS[name].recipe
    local = recipe.local if steps is None else replace(recipe.local, steps=steps)
    local = local if learning_rate is None else replace(local, learning_rate=learning_rate)
    return replace(recipe, rounds=recipe.rounds if rounds is None else rounds, local=local)
