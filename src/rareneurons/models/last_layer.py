"""All of a model that the closed form of ablation needs, and the weights of its last MLP's neurons."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch


@dataclass(frozen=True)
class FinalNorm:
    """The norm before the unembedding, ``y = (x - mean) / scale * gain + bias`` or the same without the mean.

    ``kind`` is ``layer_norm`` (``scale^2 = var(x) + epsilon``) or ``rms_norm`` (``scale^2 = mean(x^2) + epsilon``).
    ``gain`` and ``bias`` have shape (d,); an RMSNorm's bias is zero.
    """

    kind: Literal["layer_norm", "rms_norm"]
    gain: torch.Tensor
    bias: torch.Tensor
    epsilon: float


@dataclass(frozen=True)
class LastLayer:
    """What stands between the last MLP's activations and the logits.

    ``output_weight`` (N, d); ``unembedding`` (V, d); ``logit_bias`` (V,), the constant part of the logits (the
    norm's bias through the unembedding, plus the unembedding's own); ``norm`` the final norm; ``input_weights`` name
    -> (N, d), the input weights of the same neurons, which the closed form does not use.
    """

    output_weight: torch.Tensor
    unembedding: torch.Tensor
    logit_bias: torch.Tensor
    norm: FinalNorm
    input_weights: Mapping[str, torch.Tensor]

    def centred(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors (..., d) as the norm sees them: less their mean for LayerNorm, unchanged for RMSNorm."""
        if self.norm.kind == "layer_norm":
            return vectors - vectors.mean(-1, keepdim=True)
        return vectors

    def to(self, device: str, dtype: torch.dtype) -> "LastLayer":
        """The same layer on another device or in another precision."""
        norm = FinalNorm(
            self.norm.kind, self.norm.gain.to(device, dtype), self.norm.bias.to(device, dtype), self.norm.epsilon
        )
        return LastLayer(
            self.output_weight.to(device, dtype),
            self.unembedding.to(device, dtype),
            self.logit_bias.to(device, dtype),
            norm,
            {name: weight.to(device, dtype) for name, weight in self.input_weights.items()},
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as named arrays; ``from_arrays`` is the inverse."""
        tensors = {
            "output_weight": self.output_weight,
            "unembedding": self.unembedding,
            "logit_bias": self.logit_bias,
            "norm_gain": self.norm.gain,
            "norm_bias": self.norm.bias,
        } | {f"input/{name}": weight for name, weight in self.input_weights.items()}
        return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()} | {
            "norm_epsilon": np.asarray([self.norm.epsilon]),
            "norm_centres": np.asarray([self.norm.kind == "layer_norm"]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "LastLayer":
        """The layer that ``arrays`` described."""
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        norm = FinalNorm(
            "layer_norm" if bool(arrays["norm_centres"][0]) else "rms_norm",
            tensors["norm_gain"],
            tensors["norm_bias"],
            float(arrays["norm_epsilon"][0]),
        )
        inputs = {name.removeprefix("input/"): tensor for name, tensor in tensors.items() if name.startswith("input/")}
        return cls(tensors["output_weight"], tensors["unembedding"], tensors["logit_bias"], norm, inputs)
