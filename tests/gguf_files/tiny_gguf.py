"""Tiny GGUF files, written as llama.cpp's converter writes them: its names, its order of rotary rows, its metadata."""

import json
import re

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
from tokenizers import Tokenizer

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# A width of 32, the length of a block of quantised weights.
WIDE = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}


def tensor_name(name: str) -> str:
    stem, suffix = name.rsplit(".", 1)
    if stem in NAMES:
        return f"{NAMES[stem]}.{suffix}"
    layer, part = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", stem).groups()
    return f"blk.{layer}.{NAMES[part]}.{suffix}"


def permuted(weights: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's `permute`, in loops: row 2 i of a head is its row i, row 2 i + 1 the one half a head further."""
    width = len(weights) // heads
    order = [
        head * width + pair + half * width // 2
        for head in range(heads)
        for pair in range(width // 2)
        for half in (0, 1)
    ]
    return weights[order]


def metadata(config, architecture: str) -> dict:
    return {
        f"{architecture}.context_length": config.max_position_embeddings,
        f"{architecture}.embedding_length": config.hidden_size,
        f"{architecture}.block_count": config.num_hidden_layers,
        f"{architecture}.feed_forward_length": config.intermediate_size,
        f"{architecture}.attention.head_count": config.num_attention_heads,
        f"{architecture}.attention.head_count_kv": config.num_key_value_heads,
        f"{architecture}.attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        f"{architecture}.rope.freq_base": float(config.rope_parameters["rope_theta"]),
        f"{architecture}.attention.key_length": config.head_dim,
        f"{architecture}.vocab_size": config.vocab_size,
        "general.name": "Tiny",
    }


def tokenizer_metadata(backend: Tokenizer, pre: str, special: dict[str, int]) -> dict:
    """``special``: name of llama.cpp (``bos``) -> id; these tokens are control tokens."""
    merges = [" ".join(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]
    tokens = [backend.id_to_token(number) for number in range(backend.get_vocab_size())]
    control = {number for number, token in backend.get_added_tokens_decoder().items() if token.special}
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [
            int(TokenType.CONTROL if number in control else TokenType.NORMAL) for number in range(len(tokens))
        ],
        "tokenizer.ggml.merges": merges,
    } | {f"tokenizer.ggml.{name}_token_id": number for name, number in special.items()}


def write(path, architecture: str, fields: dict, tensors: dict) -> str:
    """A GGUF file; ``tensors``: name -> array, or (bytes, type)."""
    writer = GGUFWriter(str(path), architecture)
    for key, value in fields.items():
        add = {
            bool: writer.add_bool,
            int: writer.add_uint32,
            float: writer.add_float32,
            str: writer.add_string,
            list: writer.add_array,
        }[type(value)]
        add(key, value)
    for name, values in tensors.items():
        data, kind = values if isinstance(values, tuple) else (values, None)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def tensors_of(model: torch.nn.Module, architecture: str, kind: str = "F32") -> dict:
    """A model's weights as a converter gives them; matrices as ``kind``, vectors as float32."""
    config, tensors = model.config, {}
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = weight.numpy()
        if architecture == "llama" and name.endswith("q_proj.weight"):
            values = permuted(values, config.num_attention_heads)
        if architecture == "llama" and name.endswith("k_proj.weight"):
            values = permuted(values, config.num_key_value_heads)
        if values.ndim == 1 or kind == "F32":
            tensors[tensor_name(name)] = np.ascontiguousarray(values)
        else:
            kind_of_tensor = GGMLQuantizationType[kind]
            tensors[tensor_name(name)] = (quants.quantize(values, kind_of_tensor), kind_of_tensor)
    return tensors


def write_model(path, model: torch.nn.Module, architecture: str, kind: str = "F32", fields=None, tensors=None) -> str:
    """A model as a GGUF file; ``fields`` and ``tensors`` are added or, where they are None, taken away."""
    everything = metadata(model.config, architecture) | (fields or {})
    weights = tensors_of(model, architecture, kind) | (tensors or {})
    kept = ({key: value for key, value in part.items() if value is not None} for part in (everything, weights))
    return write(path, architecture, *kept)
