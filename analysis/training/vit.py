"""Vision transformers with the parameter names of their publications, whose products can run on modelled crossbars.

Decides the forward passes that training, variation-aware training and the tests share: ViT and DeiT (timm's names),
LV-ViT (arXiv 2104.10858, TokenLabeling's names) and DynamicViT, called Sparse ViT here (arXiv 2106.02034, its names).
They differ by what `Architecture` says, not by code of their own. The noise of the crossbars lives in
`crossbar_noise.py`; without it (`crossbar=None`) every product is exact. Only the blocks run on crossbars: embedding,
token selection and classifiers stay digital.

Shapes: B images, T tokens (class token first), N = T - 1 patch tokens, D width, H heads, E = D / H.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import torch
from torch import nn
from torch.nn import functional as F

import token_selection


@dataclass(frozen=True)
class Architecture:
    """Everything about the network that its tensors alone do not say, and what they do."""

    family: str = "vit"  # a key of FAMILIES
    image_size: int = 28
    patch_size: int = 4
    in_channels: int = 1
    num_classes: int = 10
    embed_dim: int = 64
    depth: int = 6
    num_heads: int = 2
    mlp_ratio: int = 4
    layer_norm_eps: float = 1e-6
    qkv_bias: bool = True
    skip_lam: float = 1.0  # every residual branch is divided by this
    stem_channels: int = 0  # of the convolutions before the patches; 0: patches of pixels
    aux_head: bool = False  # adds half of the largest patch token's logit to each class
    keep_ratios: tuple[float, ...] = ()  # patch tokens kept at each selection, relative to all of the image
    prune_before: tuple[int, ...] = ()  # the blocks before which tokens are selected, ascending

    @property
    def tokens(self) -> int:
        return (self.image_size // self.patch_size) ** 2 + 1

    @property
    def tokens_of_blocks(self) -> list[int]:
        """Tokens that each block sees, class token included."""
        counts = dict(zip(self.prune_before, (1 + int(ratio * (self.tokens - 1)) for ratio in self.keep_ratios)))
        tokens = [self.tokens]
        for block in range(self.depth):
            tokens.append(counts.get(block, tokens[-1]))
        return tokens[1:]

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, described: dict) -> Architecture:
        """The reverse of `to_dict` after a trip through JSON; what is not given has its default."""
        family = described.get("family", "vit")
        if family not in FAMILIES:
            raise ValueError(f'unknown family "{family}". Known are {", ".join(FAMILIES)}.')
        unknown = set(described) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f'unknown key "{sorted(unknown)[0]}" in the architecture. Remove it.')
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in described.items()})


# What a family is, apart from its sizes.
FAMILIES = {
    "vit": {},
    # TokenLabeling builds its LayerNorms with PyTorch's default ε; timm's and DynamicViT's models take 1e-6.
    "lv_vit": {"mlp_ratio": 3, "layer_norm_eps": 1e-5, "qkv_bias": False, "skip_lam": 2.0, "stem_channels": 64,
               "aux_head": True},
    # DynamicViT selects before blocks 3, 6, 9 of 12 and keeps ρ, ρ², ρ³ with ρ = 0.7.
    "sparse_vit": {"keep_ratios": (0.7, 0.49, 0.343), "prune_before": (3, 6, 9)},
}


class Attention(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.num_heads = arch.num_heads
        self.qkv = nn.Linear(arch.embed_dim, 3 * arch.embed_dim, bias=arch.qkv_bias)
        self.proj = nn.Linear(arch.embed_dim, arch.embed_dim)

    def queries_keys_values(self, x: torch.Tensor, crossbar=None) -> tuple[torch.Tensor, ...]:
        """Q, K, V, each [B, T, D]; K and V as they are read back from the crossbar."""
        if crossbar is None:
            return self.qkv(x).chunk(3, dim=-1)
        # W_Q, W_K, W_V are three matrices, each with its own largest weight.
        biases = (None,) * 3 if self.qkv.bias is None else self.qkv.bias.chunk(3)
        q, k, v = (crossbar.linear(x, weight, bias) for weight, bias in zip(self.qkv.weight.chunk(3), biases))
        return crossbar.quantise_inputs(q, heads=self.num_heads), crossbar.write(k), crossbar.write(v)

    def forward(self, x: torch.Tensor, crossbar=None, visible: torch.Tensor | None = None) -> torch.Tensor:
        """`visible` [B, T], only in training: 1 for tokens that others see, 0 for dropped ones."""
        batch, tokens, width = x.shape

        def by_head(y):  # [B, T, D] -> [B, H, T, E]
            return y.view(batch, tokens, self.num_heads, width // self.num_heads).transpose(1, 2)

        q, k, v = map(by_head, self.queries_keys_values(x, crossbar))
        scores = (q * (width // self.num_heads) ** -0.5) @ k.transpose(-2, -1)
        probabilities = scores.softmax(dim=-1) if visible is None else token_selection.masked_softmax(scores, visible)
        if crossbar is not None:
            probabilities = crossbar.quantise_inputs(probabilities)
        self.output = (probabilities @ v).transpose(1, 2).reshape(batch, tokens, width)
        return self.proj(self.output) if crossbar is None else crossbar.linear(self.output, self.proj.weight, self.proj.bias)


class Mlp(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.fc1 = nn.Linear(arch.embed_dim, arch.mlp_ratio * arch.embed_dim)
        self.fc2 = nn.Linear(arch.mlp_ratio * arch.embed_dim, arch.embed_dim)

    def forward(self, x: torch.Tensor, crossbar=None) -> torch.Tensor:
        if crossbar is None:
            return self.fc2(F.gelu(self.fc1(x)))
        hidden = F.gelu(crossbar.linear(x, self.fc1.weight, self.fc1.bias))
        return crossbar.linear(hidden, self.fc2.weight, self.fc2.bias)


class Block(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.skip_lam = arch.skip_lam
        self.norm1 = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.attn = Attention(arch)
        self.norm2 = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.mlp = Mlp(arch)

    def forward(self, x: torch.Tensor, crossbar=None, visible: torch.Tensor | None = None) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), crossbar, visible) / self.skip_lam
        return x + self.mlp(self.norm2(x), crossbar) / self.skip_lam


class PatchEmbed(nn.Module):
    def __init__(self, arch: Architecture):
        super().__init__()
        self.proj = nn.Conv2d(arch.in_channels, arch.embed_dim, arch.patch_size, arch.patch_size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class ConvolutionalPatchEmbed(nn.Module):
    """LV-ViT's stem: three convolutions, the first of stride 2, then patches of half the side."""

    def __init__(self, arch: Architecture):
        super().__init__()
        channels, half = arch.stem_channels, arch.patch_size // 2
        self.conv1 = nn.Conv2d(arch.in_channels, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.proj = nn.Conv2d(channels, arch.embed_dim, half, half)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.bn1(self.conv1(images)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        return self.proj(x).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """`forward(images [B, C, H, W]) -> logits [B, classes]`; `crossbar` as in `crossbar_noise.Crossbar`."""

    def __init__(self, arch: Architecture):
        super().__init__()
        self.arch = arch
        self.patch_embed = ConvolutionalPatchEmbed(arch) if arch.stem_channels else PatchEmbed(arch)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, arch.embed_dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, arch.tokens, arch.embed_dim))
        self.blocks = nn.ModuleList(Block(arch) for _ in range(arch.depth))
        self.norm = nn.LayerNorm(arch.embed_dim, eps=arch.layer_norm_eps)
        self.head = nn.Linear(arch.embed_dim, arch.num_classes)
        if arch.aux_head:
            self.aux_head = nn.Linear(arch.embed_dim, arch.num_classes)
        if arch.prune_before:
            self.score_predictor = nn.ModuleList(token_selection.Predictor(arch.embed_dim) for _ in arch.prune_before)

    def initialise(self, query_key_gain: float = 1.0) -> None:
        """Xavier's uniform weights; `query_key_gain` multiplies the initial W_Q and W_K (attention logits: its square)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        with torch.no_grad():
            for block in self.blocks:
                block.attn.qkv.weight[: 2 * self.arch.embed_dim] *= query_key_gain
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Tokens [B, T, D] that enter the first block."""
        x = self.patch_embed(images)
        return torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed

    def features(self, images: torch.Tensor, crossbar=None) -> torch.Tensor:
        """Tokens after the last LayerNorm, [B, 1 + kept patch tokens, D]."""
        x = self.embed(images)
        counts = self.arch.tokens_of_blocks
        for index, block in enumerate(self.blocks):
            if index in self.arch.prune_before:
                predictor = self.score_predictor[self.arch.prune_before.index(index)]
                x = token_selection.keep_best(x, predictor(x[:, 1:])[..., 0], counts[index] - 1)
            x = block(x, crossbar)
        return self.norm(x)

    def masked_features(self, images: torch.Tensor, decide, crossbar=None):
        """`features` for training the token selection: dropped tokens stay, but no other token sees them.

        `decide` turns log-probabilities [B, N, 2] of (keep, drop) into differentiable decisions [B, N], 1 for keep.
        Returns all tokens [B, T, D] and the decisions [B, N] after each selection.
        """
        x = self.embed(images)
        decisions = [torch.ones_like(x[:, 1:, 0])]
        for index, block in enumerate(self.blocks):
            if index in self.arch.prune_before:
                predictor = self.score_predictor[self.arch.prune_before.index(index)]
                decisions.append(decide(predictor(x[:, 1:], decisions[-1])) * decisions[-1])
            visible = F.pad(decisions[-1], (1, 0), value=1.0) if len(decisions) > 1 else None
            x = block(x, crossbar, visible)
        return self.norm(x), decisions[1:]

    def classify(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [B, classes] of `features`."""
        logits = self.head(x[:, 0])
        return logits + 0.5 * self.aux_head(x[:, 1:]).amax(dim=1) if self.arch.aux_head else logits

    def forward(self, images: torch.Tensor, crossbar=None) -> torch.Tensor:
        return self.classify(self.features(images, crossbar))
