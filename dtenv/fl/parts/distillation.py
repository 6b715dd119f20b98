"""Federated distillation: learning from others' mean outputs (Jeong et al. 2018; Liu 2020, Section IV-D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import one_hot, softmax

from dtenv.validation import positive


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Each client keeps its own network, and sends its mean logits over the samples of each label it holds."""

    weight: float = 0.1
    """Weight of the cross-entropy to the others' mean output for a sample's label."""

    def __post_init__(self) -> None:
        positive(self, "weight")

    def targets(self, labels: torch.Tensor, teacher: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
        """Return soft targets (R, K, D, classes): 1 for the label (R, K, D), plus `weight` times the teacher's softmax.

        `teacher` holds the others' mean logits by label (R, K, classes, classes), `taught` a mask of the labels that
        another client holds (R, K, classes).
        """
        spread = self.weight * softmax(teacher, dim=-1) * taught[..., None]
        both = spread + one_hot(torch.arange(teacher.shape[-1]), teacher.shape[-1])
        return both.gather(2, labels[..., None].expand(-1, -1, -1, teacher.shape[-1]))


def teachers(logits: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each client's teacher: by label, the unweighted mean logits over the other clients that hold it.

    `logits` are mean logits by label (R, K, classes, classes), `counts` the samples (R, K, classes); return the means
    (R, K, classes, classes) and a mask of the labels with one (R, K, classes).
    """
    holds = (counts > 0).to(logits.dtype)
    sent = logits * holds[..., None]
    others = holds.sum(dim=1, keepdim=True) - holds
    return (sent.sum(dim=1, keepdim=True) - sent) / others.clamp(min=1.0)[..., None], others > 0
