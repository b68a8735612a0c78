"""What the families are trained on: cross-entropy, LV-ViT's token labels, DynamicViT's distillation and ratios."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional as F

from token_selection import gumbel_decisions
from vit import VisionTransformer


def token_labelling(model: VisionTransformer, images: torch.Tensor, labels: torch.Tensor, crossbar=None) -> torch.Tensor:
    """Cross-entropy of the class token plus half of the mean over patch tokens (arXiv 2104.10858).

    The paper has a label for every token from a larger network; here each token has its image's.
    """
    x = model.features(images, crossbar)
    tokens = model.aux_head(x[:, 1:])
    repeated = labels[:, None].expand(tokens.shape[:2])
    return F.cross_entropy(model.head(x[:, 0]), labels) + 0.5 * F.cross_entropy(tokens.flatten(0, 1), repeated.flatten())


def token_selection(model: VisionTransformer, teacher: VisionTransformer, generator: torch.Generator, images: torch.Tensor,
                    labels: torch.Tensor, crossbar=None) -> torch.Tensor:
    """DynamicViT's loss with the paper's weights 1, 0.5, 0.5, 2 (arXiv 2106.02034, section 3.4).

    Cross-entropy, the teacher's class probabilities, the teacher's features of the kept tokens, and the ratio of kept
    tokens at each selection.
    """
    x, decisions = model.masked_features(images, partial(gumbel_decisions, generator=generator), crossbar)
    logits = model.classify(x)
    with torch.no_grad():
        wanted = teacher.features(images)
        wanted_logits = teacher.classify(wanted)
    imitation = F.kl_div(logits.log_softmax(-1), wanted_logits.log_softmax(-1), reduction="batchmean", log_target=True)
    kept = decisions[-1].detach() > 0.5
    likeness = F.mse_loss(x[:, 1:][kept], wanted[:, 1:][kept])
    ratios = sum((now.mean(dim=1) - wanted_ratio).square().mean()
                 for now, wanted_ratio in zip(decisions, model.arch.keep_ratios))
    return F.cross_entropy(logits, labels) + 0.5 * imitation + 0.5 * likeness + 2.0 * ratios / len(decisions)


def of_training(model: VisionTransformer, teacher: VisionTransformer | None, generator: torch.Generator):
    """The loss `(images, labels, crossbar) -> scalar` of a model; a teacher is given where token selection is learned."""
    if teacher is not None:
        return partial(token_selection, model, teacher, generator)
    if model.arch.aux_head:
        return partial(token_labelling, model)
    return lambda images, labels, crossbar=None: F.cross_entropy(model(images, crossbar), labels)
