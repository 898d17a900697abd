#!/usr/bin/env python3
"""Times a full prefill with PyTorch: transformers' LlamaForCausalLM, float32, SDPA attention, KV cache kept.

  torch_prefill.py [--weights W.h5] [--tokens 2048] [--threads 2] [--runs 3]

Random token ids; the vocabulary product is done for the last row only. Prints one warm-up run apart, then the median
and the spread of the runs. Without --weights the weights are random, of SmolLM2-135M's shape: speed does not depend on
their values. With them it needs what tests/golden/make_smollm2_golden.py needs, whose model loader it uses.
"""
import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
import transformers


def load_model(weights: Path | None) -> transformers.LlamaForCausalLM:
    if weights is None:
        config = transformers.LlamaConfig(
            num_hidden_layers=30, hidden_size=576, intermediate_size=1536, num_attention_heads=9, num_key_value_heads=3,
            head_dim=64, vocab_size=49152, tie_word_embeddings=True, attn_implementation="sdpa")
        return transformers.LlamaForCausalLM(config).to(torch.float32).eval()
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
    from make_smollm2_golden import load_model as load_golden
    return load_golden(weights, torch.float32)


def status_mib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) // 1024


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def prefill_s(model: transformers.LlamaForCausalLM, ids: torch.Tensor) -> float:
    begin = time.perf_counter()
    with torch.inference_mode():
        model(ids, use_cache=True, logits_to_keep=1)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    model = load_model(args.weights)
    loaded_mib = status_mib("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew: loading needs more than running
    ids = torch.randint(model.config.vocab_size, (1, args.tokens), generator=torch.Generator().manual_seed(1))
    warm_up = prefill_s(model, ids)
    runs = [prefill_s(model, ids) for _ in range(args.runs)]
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {args.threads} threads, {cpu_name()}")
    print(f"prefill of {args.tokens} tokens, float32, SDPA: median {statistics.median(runs):.3f} s "
          f"({min(runs):.3f} to {max(runs):.3f}, {args.runs} runs; warm-up {warm_up:.3f})")
    print(f"peak memory {status_mib('VmHWM')} MiB ({loaded_mib} MiB with the model loaded)")


if __name__ == "__main__":
    main()
