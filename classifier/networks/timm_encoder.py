"""Any image encoder of timm by its name, behind our stretch and our heads. Needs the optional extra `timm`.

timm (Wightman 2019, https://github.com/huggingface/pytorch-image-models) is imported when such a network is built, not
before: everything else works without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from classifier.errors import EsocsError
from classifier.networks.heads import QuestionHeads
from classifier.networks.image import ImageNetwork, stretch
from classifier.networks.strangeness import Strangeness


class TimmMissingError(EsocsError):
    """The network needs timm, which is not installed, or cannot be imported."""

    code = "timm_missing"
    status = 501


class UnknownEncoderError(EsocsError):
    """timm has no encoder of this name, or it does not take planes of 128 x 128 with three channels."""

    code = "unknown_encoder"
    status = 422


class TimmNetwork(nn.Module):
    """Planes (N, 128, 128) in units of sky noise to logits per question and an embedding.

    Args:
        answers: Question name to its number of answers.
        encoder: timm's name of it, for example "convnext_nano" or "resnet18".
        pretrained: Whether timm fetches weights to begin with; never when weights are read back from a file.
        embedding_size: D.
        dropout: Share of the embedding dropped in training.

    Raises:
        TimmMissingError: timm cannot be imported.
        UnknownEncoderError: It has no such encoder, or not for such planes.
    """

    architecture = "image-timm-2"
    kind = "image"
    plane_shape = ImageNetwork.plane_shape

    def __init__(
        self,
        *,
        answers: Mapping[str, int],
        encoder: str,
        pretrained: bool = False,
        embedding_size: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        # `pretrained` is how a training begins; the weights that it ends with are in our own file.
        self.arguments: dict[str, Any] = {
            "answers": dict(answers),
            "encoder": encoder,
            "embedding_size": embedding_size,
            "dropout": dropout,
        }
        self.encoder = _create_encoder(encoder, pretrained=pretrained)
        self.pooled_norm = nn.LayerNorm(self.encoder.num_features)
        self.embed = nn.Linear(self.encoder.num_features, embedding_size)
        self.dropout = nn.Dropout(dropout)
        self.heads = QuestionHeads(embedding_size=embedding_size, answers=answers)
        self.strangeness = Strangeness(kind=self.kind, answers=next(iter(answers.values())))

    def encode(self, planes: Tensor) -> Tensor:
        """(N, 128, 128) planes to (N, D) features before normalisation."""
        pooled = self.encoder(stretch(planes))
        return functional.gelu(self.embed(self.pooled_norm(pooled)))

    def concentrations(self, planes: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Logits (N, K) and log S (N,) per question: what the loss needs."""
        logits, log_concentration = self.heads(self.dropout(self.encode(planes)))
        return logits, log_concentration

    def forward(self, planes: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Logits (N, K) per question and the L2-normalised float32 embedding (N, D)."""
        features = self.encode(planes)
        logits, _ = self.heads(self.dropout(features))
        return logits, functional.normalize(features.float(), dim=1)


def _create_encoder(name: str, *, pretrained: bool) -> Any:
    try:
        import timm
    except ImportError as error:
        raise TimmMissingError(
            f"The encoder {name!r} is one of timm's, and timm cannot be imported: {error}.",
            hint="Install the extra: pip install 'esocs[timm]'.",
        ) from error
    try:
        encoder = timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=3)
        with torch.no_grad():
            pooled = encoder.eval()(torch.zeros(1, 3, *ImageNetwork.plane_shape))
    except Exception as error:  # timm's models raise what they like for a name or a size that they do not know
        raise UnknownEncoderError(
            f"timm's {name!r} cannot be used: {error!s:.200}.",
            hint="Choose one of timm.list_models() that takes 128 x 128 pixels.",
        ) from error
    if pooled.shape != (1, encoder.num_features):
        raise UnknownEncoderError(f"timm's {name!r} gives {tuple(pooled.shape)}, not one row of features.")
    return encoder.train()
