"""Learning from others' mean outputs in place of their weights (Jeong et al. 2018; Liu 2020, Section IV-D)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import one_hot, softmax

from dtenv.validation import positive


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """Each client keeps a network of its own, and sends its mean logits over the samples of every label it holds."""

    weight: float = 0.1
    """Of the cross-entropy to what the others put out on average for a sample's label."""

    def __post_init__(self) -> None:
        positive(self, "weight")

    def targets(self, labels: torch.Tensor, teacher: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
        """What clients train towards, (R, K, D, classes): one for the label, and `weight` spread as the teacher does.

        Args:
            labels: (R, K, D).
            teacher: mean logits of the others for every label, (R, K, classes, classes).
            taught: labels that another client holds, (R, K, classes).
        """
        spread = self.weight * softmax(teacher, dim=-1) * taught[..., None]
        both = spread + one_hot(torch.arange(teacher.shape[-1]), teacher.shape[-1])
        return both.gather(2, labels[..., None].expand(-1, -1, -1, teacher.shape[-1]))


def teachers(logits: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Every client's teacher: the mean over the other clients that hold a label, each counting the same.

    Args:
        logits: mean logits of each client's samples by label, (R, K, classes, classes).
        counts: samples (R, K, classes).

    Returns:
        The means (R, K, classes, classes), and which labels have one (R, K, classes).
    """
    holds = (counts > 0).to(logits.dtype)
    said = logits * holds[..., None]
    others = holds.sum(dim=1, keepdim=True) - holds
    return (said.sum(dim=1, keepdim=True) - said) / others.clamp(min=1.0)[..., None], others > 0
