"""BERT for sequence classification with Hugging Face's parameter names, whose products can run on modelled crossbars.

After Devlin et al. (arXiv 1810.04805): post-norm encoder blocks, erf GELU, a pooler with tanh on the first token. Written
from the paper, so that tests can hold the C++ engine against it. Embeddings, pooler and classifier stay digital when
`crossbar` is given (as in `vit.py`): weights of the blocks are then read with noise, K and V written with noise.

Shapes: B texts, T tokens ([CLS] first, padding last), D width, H heads, E = D / H.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Architecture:
    """Everything about the network that its tensors alone do not say, and what they do."""

    family: str = "bert"
    vocab_size: int = 4000
    max_length: int = 32
    num_segments: int = 2
    num_classes: int = 10
    embed_dim: int = 96
    depth: int = 4
    num_heads: int = 3
    mlp_dim: int = 384
    layer_norm_eps: float = 1e-12

    def to_dict(self) -> dict:
        return asdict(self)


def _linear(layer: nn.Linear, x: torch.Tensor, crossbar) -> torch.Tensor:
    return layer(x) if crossbar is None else crossbar.linear(x, layer.weight, layer.bias)


class Embeddings(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.word_embeddings = nn.Embedding(arch.vocab_size, arch.embed_dim)
        self.position_embeddings = nn.Embedding(arch.max_length, arch.embed_dim)
        self.token_type_embeddings = nn.Embedding(arch.num_segments, arch.embed_dim)
        self.LayerNorm = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)

    def forward(self, tokens: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        places = torch.arange(tokens.shape[1])
        return self.LayerNorm(self.word_embeddings(tokens) + self.position_embeddings(places)
                              + self.token_type_embeddings(segments))


class SelfAttention(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.num_heads = arch.num_heads
        self.query, self.key, self.value = (nn.Linear(arch.embed_dim, arch.embed_dim) for _ in range(3))

    def forward(self, x: torch.Tensor, mask: torch.Tensor, crossbar=None) -> torch.Tensor:
        batch, tokens, width = x.shape
        q, k, v = (_linear(layer, x, crossbar) for layer in (self.query, self.key, self.value))
        if crossbar is not None:
            q = crossbar.quantise_inputs(q, heads=self.num_heads)
            # Padding is not written, and must not set the largest value of what is.
            there = mask[:, :, None].to(k.dtype)
            k, v = crossbar.write(k * there), crossbar.write(v * there)

        def by_head(y):  # [B, T, D] -> [B, H, T, E]
            return y.view(batch, tokens, self.num_heads, width // self.num_heads).transpose(1, 2)

        q, k, v = by_head(q), by_head(k), by_head(v)
        scores = (q @ k.transpose(-2, -1)) * (width // self.num_heads) ** -0.5
        probabilities = scores.masked_fill(~mask[:, None, None, :], float("-inf")).softmax(dim=-1)
        if crossbar is not None:
            probabilities = crossbar.quantise_inputs(probabilities)
        return (probabilities @ v).transpose(1, 2).reshape(batch, tokens, width)


class Output(nn.Module):
    """Projection, residual and LayerNorm: the end of both halves of a block."""

    def __init__(self, arch: Architecture, inputs: int):
        super().__init__()
        self.dense = nn.Linear(inputs, arch.embed_dim)
        self.LayerNorm = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)

    def forward(self, x: torch.Tensor, residual: torch.Tensor, crossbar=None) -> torch.Tensor:
        return self.LayerNorm(residual + _linear(self.dense, x, crossbar))


class Attention(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.self = SelfAttention(arch)
        self.output = Output(arch, arch.embed_dim)


class Intermediate(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.dense = nn.Linear(arch.embed_dim, arch.mlp_dim)


class Layer(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.attention = Attention(arch)
        self.intermediate = Intermediate(arch)
        self.output = Output(arch, arch.mlp_dim)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, crossbar=None) -> torch.Tensor:
        x = self.attention.output(self.attention.self(x, mask, crossbar), x, crossbar)
        return self.output(F.gelu(_linear(self.intermediate.dense, x, crossbar)), x, crossbar)


class Encoder(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.layer = nn.ModuleList(Layer(arch) for _ in range(arch.depth))


class Pooler(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.dense = nn.Linear(arch.embed_dim, arch.embed_dim)


class Bert(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.embeddings = Embeddings(arch)
        self.encoder = Encoder(arch)
        self.pooler = Pooler(arch)

    def forward(self, tokens, mask, segments, crossbar=None) -> torch.Tensor:
        """Hidden states [B, T, D] after the last block; those of padding mean nothing."""
        x = self.embeddings(tokens, segments)
        for layer in self.encoder.layer:
            x = layer(x, mask, crossbar)
        return x


class BertClassifier(nn.Module):
    """`forward(tokens [B, T], mask [B, T], segments [B, T]) -> logits [B, classes]`; without mask all tokens are real."""

    def __init__(self, arch: Architecture):
        super().__init__()
        self.arch = arch
        self.bert = Bert(arch)
        self.classifier = nn.Linear(arch.embed_dim, arch.num_classes)

    def initialise(self, query_key_gain: float = 1.0) -> None:
        """Normals of 0.02 as BERT's for embeddings, Xavier's for matrices; `query_key_gain` multiplies W_Q and W_K."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
        with torch.no_grad():
            for layer in self.bert.encoder.layer:
                layer.attention.self.query.weight *= query_key_gain
                layer.attention.self.key.weight *= query_key_gain

    def forward(self, tokens, mask=None, segments=None, crossbar=None) -> torch.Tensor:
        mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask.bool()
        segments = torch.zeros_like(tokens) if segments is None else segments
        first = self.bert(tokens, mask, segments, crossbar)[:, 0]
        return self.classifier(torch.tanh(self.bert.pooler.dense(first)))
