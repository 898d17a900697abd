"""RoPE's base and scaling, as config.json or a GGUF file says them, as a weights file holds them. Nothing is dropped:
what is not computed here is refused by its key."""
import math
from typing import Any, NamedTuple

import numpy as np

from gguf_file import BadInput, Gguf, show
from json_settings import Settings

GGUF_DIVISORS = "rope_freqs.weight"


class Rope(NamedTuple):
    attributes: dict[str, Any]
    divisors: np.ndarray | None = None  # [head_dim / 2]: what each frequency is divided by

    def datasets(self) -> dict[str, np.ndarray]:
        return {} if self.divisors is None else {"rope_divisors": self.divisors}


def divided(theta: float, divisors: np.ndarray, magnitude: float = 1.0) -> Rope:
    """`magnitude`: what cosines and sines are multiplied by."""
    return Rope({"rope_theta": theta, "rope_scaling": "divisors", "rope_magnitude": magnitude},
                np.asarray(divisors, np.float64))


def linear(theta: float, head_dim: int, factor: float) -> Rope:
    return divided(theta, np.full(head_dim // 2, factor))


def yarn(theta: float, head_dim: int, factor: float, original_context_len: float, magnitude: float | None = None,
         beta_fast: float = 32.0, beta_slow: float = 1.0) -> Rope:
    """YaRN (arXiv 2309.00071). Pairs that turn more than beta_fast times in the first trained context keep their
    frequency, those that turn less than beta_slow times have it divided by `factor`, those between a mixture."""
    def pair_that_turns(times: float) -> float:
        return head_dim * math.log(original_context_len / (times * 2 * math.pi)) / (2 * math.log(theta))

    first = max(math.floor(pair_that_turns(beta_fast)), 0)
    last = min(math.ceil(pair_that_turns(beta_slow)), head_dim - 1)
    divided_share = np.clip((np.arange(head_dim // 2) - first) / (last - first or 0.001), 0, 1)
    if magnitude is None:
        magnitude = 0.1 * math.log(factor) + 1 if factor > 1 else 1.0
    return divided(theta, 1 / (1 - divided_share + divided_share / factor), magnitude)


# ---- config.json -----------------------------------------------------------------------------------------------------

COMMON_KEYS = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
KIND_KEYS = {
    "default": set(),
    "linear": {"factor"},
    "llama3": {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"},
    "yarn": {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow"},
}
SECTIONS = ("rope_parameters", "rope_scaling")  # as transformers 5 writes it, and as 4 did
CONFIG_KEYS = {*SECTIONS, "rope_theta", "partial_rotary_factor"}


def the_section(config: Settings) -> Settings:
    """The one that says how positions are scaled. Both may be there if they say the same."""
    sections = [section for section in map(config.section, SECTIONS) if section is not None]
    if len(sections) == 2:
        said = [{"rope_type" if key == "type" else key: value for key, value in section.values.items()
                 if key != "rope_theta" and value is not None} for section in sections]
        if said[0] != said[1]:
            raise config.refuse("rope_scaling", "absent, or the same as rope_parameters")
    return sections[0] if sections else Settings({}, config.where)


def the_value(config: Settings, rope: Settings, key: str) -> Settings:
    """Where `key` stands: beside the section or in it. In both it must be the same."""
    inside, beside = rope.values.get(key), config.values.get(key)
    if inside is not None and beside is not None and inside != beside:
        raise rope.refuse(key, f"{show(beside)}, as beside {rope.prefix.rstrip('.')}")
    return config if inside is None and beside is not None else rope


def kind_of(rope: Settings) -> str:
    named = [key for key in ("rope_type", "type") if key in rope.values]
    if len(named) == 2 and rope.values["type"] != rope.values["rope_type"]:
        raise rope.refuse("type", f"{show(rope.values['rope_type'])}, as rope_type")
    without_kind = [] if set(rope.values) - {"rope_theta"} else [None]
    kind = rope.require(named[0] if named else "rope_type", *KIND_KEYS, *without_kind) or "default"
    for key in rope.values:
        if key not in COMMON_KEYS | KIND_KEYS[kind] and rope.values[key] is not None:
            raise rope.refuse(key, f"absent with rope_type {kind}")
    return kind


def config_rope(config: Settings, head_dim: int) -> Rope:
    for key, value in config.values.items():
        if ("rope" in key or "rotary" in key) and key not in CONFIG_KEYS and value not in (None, False):
            raise config.refuse(key, "absent: what it changes is not computed here")
    rope = the_section(config)
    for where in (config, rope):
        if where.real("partial_rotary_factor", 1.0) != 1.0:
            raise where.refuse("partial_rotary_factor", "1 or absent")
    kind = kind_of(rope)
    theta = the_value(config, rope, "rope_theta").real("rope_theta", 10000.0)
    if kind == "default":
        return Rope({"rope_theta": theta})
    factor = rope.real("factor")
    if kind == "linear":
        return linear(theta, head_dim, factor)
    original = the_value(config, rope, "original_max_position_embeddings").real("original_max_position_embeddings")
    if kind == "yarn":
        if theta <= 1:
            raise config.refuse("rope_theta", "more than 1 with rope_type yarn")
        magnitude = rope.values.get("attention_factor") and rope.real("attention_factor")
        return yarn(theta, head_dim, factor, original, magnitude, rope.real("beta_fast", 32.0),
                    rope.real("beta_slow", 1.0))
    low, high = rope.real("low_freq_factor"), rope.real("high_freq_factor")
    if high <= low:
        raise rope.refuse("high_freq_factor", f"more than low_freq_factor ({low})")
    return Rope({"rope_theta": theta, "rope_scaling": "llama3", "rope_factor": factor, "rope_low_freq_factor": low,
                 "rope_high_freq_factor": high, "rope_original_context_len": original})


# ---- GGUF ------------------------------------------------------------------------------------------------------------


def gguf_factor(gguf: Gguf, at: str) -> float:
    """What positions are divided by; as in llama.cpp 0 and absent are 1, and an old key may say it."""
    stated = {key: gguf.get(key, float) or 1.0 for key in (at + "scaling.factor", at + "scale_linear")
              if key in gguf.metadata}
    if len(set(stated.values())) > 1:
        raise BadInput(f"{at}scale_linear is {stated[at + 'scale_linear']}, must be absent or as {at}scaling.factor")
    for key, value in stated.items():
        if not 0 < value < math.inf:
            raise BadInput(f"{key} is {value}, must be positive and finite")
    return next(iter(stated.values()), 1.0)


def gguf_divisors(gguf: Gguf, head_dim: int) -> np.ndarray | None:
    """Llama 3's scaling, which converters write as one divisor per frequency."""
    if (tensor := gguf.tensors.get(GGUF_DIVISORS)) is None:
        return None
    if tensor.shape != (head_dim // 2,) or tensor.kind.name != "F32":
        raise BadInput(f"tensor {GGUF_DIVISORS} has shape {tensor.shape} and type {tensor.kind.name}, "
                       f"must have {(head_dim // 2,)} and F32")
    divisors = tensor.data.view("<f4").reshape(-1).astype(np.float64)
    if not (np.isfinite(divisors) & (divisors > 0)).all():
        raise BadInput(f"tensor {GGUF_DIVISORS} holds values that are not positive and finite")
    return divisors


def gguf_rope(gguf: Gguf, architecture: str, head_dim: int) -> Rope:
    at = f"{architecture}.rope."
    theta = gguf.real(at + "freq_base", 10000.0)
    factor, divisors = gguf_factor(gguf, at), gguf_divisors(gguf, head_dim)
    kind = gguf.get(at + "scaling.type", str, "none" if factor == 1 else "linear")  # untyped: as llama.cpp
    if kind not in ("none", "linear", "yarn"):
        raise BadInput(f"{at}scaling.type is {show(kind)}, must be 'none', 'linear', 'yarn' or absent")
    if kind == "none" and factor != 1:
        raise BadInput(f"{at}scaling.factor is {factor}, must be absent with {at}scaling.type 'none'")
    if divisors is not None and kind != "none":
        raise BadInput(f"{at}scaling.type is {show(kind)}, must be absent or 'none' beside tensor {GGUF_DIVISORS}")
    if kind == "yarn":
        if theta <= 1:
            raise BadInput(f"{at}freq_base is {theta}, must be more than 1 with {at}scaling.type 'yarn'")
        return yarn(theta, head_dim, factor, gguf.integer(at + "scaling.original_context_length"))
    if kind == "linear":
        return linear(theta, head_dim, factor)
    return Rope({"rope_theta": theta}) if divisors is None else divided(theta, divisors)
