"""Recipe of a federation: local training, rounds and optional parts."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from dtenv.fl.parts.aggregation import Aggregation, Mean
from dtenv.fl.parts.asynchrony import Asynchrony
from dtenv.fl.parts.attack import Attack
from dtenv.fl.parts.client_privacy import ClientPrivacy
from dtenv.fl.parts.clock import Clock
from dtenv.fl.parts.compression import Compression, Dense
from dtenv.fl.parts.dispersed import Dispersed
from dtenv.fl.parts.distillation import Distillation
from dtenv.fl.parts.personalisation import Personalisation
from dtenv.fl.parts.pruning import Pruning
from dtenv.fl.training.dp_sgd import RecordPrivacy
from dtenv.fl.training.local_sgd import LocalTraining
from dtenv.validation import number, positive_integer


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of federated training."""

    rounds: int = 15
    local: LocalTraining = field(default_factory=LocalTraining)
    fine_tune_epochs: int = 3
    """Epochs of fine-tuning at each user after the last round (Zhou 2025, step 6)."""
    participation: float = 1.0
    """Share of the clients that participate in a round."""
    compression: Compression = field(default_factory=Dense)
    aggregation: Aggregation = field(default_factory=Mean)
    clock: Clock = field(default_factory=Clock)
    attack: Attack | None = None
    client_privacy: ClientPrivacy | None = None
    record_privacy: RecordPrivacy | None = None
    pruning: Pruning | None = None
    dispersed: Dispersed | None = None
    personalisation: Personalisation | None = None
    asynchrony: Asynchrony | None = None
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        positive_integer(self, "rounds")
        if self.fine_tune_epochs != 0:
            positive_integer(self, "fine_tune_epochs")
        if not 0.0 < number("participation", self.participation) <= 1.0:
            raise ValueError(f"participation must lie in (0, 1], got {self.participation!r}")
        at_server = self.client_privacy is not None and self.client_privacy.where == "server"
        if at_server and not isinstance(self.aggregation, Mean):
            raise ValueError(f"aggregation must be Mean if the server adds noise, got {self.aggregation!r}")
        private = self.client_privacy is not None or self.record_privacy is not None
        if private and self.aggregation.wants_start_loss:
            raise ValueError(f"aggregation must not use losses, which are not noised, got {self.aggregation!r}")
        if self.dispersed is not None and self.participation != 1.0:
            raise ValueError(f"participation must be 1 with dispersed aggregation, got {self.participation!r}")
        if self.record_privacy is not None and (self.local.proximal or self.local.steps is not None):
            raise ValueError(f"local must have neither proximal nor steps with record_privacy, got {self.local!r}")
        if self.record_privacy is not None and self.pruning is not None:
            raise ValueError(f"pruning must be None with record_privacy, got {self.pruning!r}")
        if self.distillation is not None:
            plain = Recipe(rounds=self.rounds, local=self.local, clock=self.clock)
            for name in ("participation", "compression", "aggregation", *OPTIONAL_PARTS):
                if name != "distillation" and getattr(self, name) != getattr(plain, name):
                    raise ValueError(f"{name} must keep its default with distillation, got {getattr(self, name)!r}")
        if self.asynchrony is not None:
            for name in ("pruning", "dispersed", "personalisation"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} must be None with asynchrony, got {getattr(self, name)!r}")
            if at_server or not isinstance(self.aggregation, Mean) or self.participation != 1.0:
                raise ValueError("asynchrony needs aggregation Mean, participation 1 and no noise at the server")


OPTIONAL_PARTS = tuple(part.name for part in fields(Recipe) if part.default is None)
"""Names of the optional parts of a recipe."""
