#!/usr/bin/env python3
"""Times PyTorch's attention by cuDNN, for `apb bench`.

Standard input: JSON, a list of {"causal", "q_len", "kv_len", "num_q_heads", "num_kv_heads", "head_dim"}.
Standard output: JSON, {"peer": name and versions, "seconds": [median of each shape; null where memory does not
suffice]}, or {"why_not": one line}. bf16, random data, L2 cache cold, after a warm-up; steps over a second run 3 times.
"""
import json
import statistics
import sys


def median_seconds(torch, run, flush) -> float:
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)

    def once() -> float:
        flush()
        begin.record()
        run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1e3

    first = once()
    warm = first
    while warm < 0.2:
        warm += once()
    wanted = min(20, max(3, int(1 / first)))
    return statistics.median(once() for _ in range(wanted))


def main() -> None:
    shapes = json.load(sys.stdin)
    try:
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel
    except ImportError as error:
        print(json.dumps({"why_not": f"no PyTorch: {error}"}))
        return
    if not torch.cuda.is_available():
        print(json.dumps({"why_not": "this PyTorch sees no GPU"}))
        return
    attend = torch.nn.functional.scaled_dot_product_attention
    cold = torch.zeros(1 << 26, dtype=torch.int32, device="cuda")
    seconds = []
    for shape in shapes:
        def random(heads: int, rows: int):
            return torch.randn(1, heads, rows, shape["head_dim"], dtype=torch.bfloat16, device="cuda")
        try:
            query = random(shape["num_q_heads"], shape["q_len"])
            key, value = (random(shape["num_kv_heads"], shape["kv_len"]) for _ in range(2))
            with torch.no_grad(), sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                seconds.append(median_seconds(
                    torch, lambda: attend(query, key, value, is_causal=shape["causal"], enable_gqa=True), cold.sum))
        except torch.cuda.OutOfMemoryError:
            seconds.append(None)
        except RuntimeError as error:  # this GPU, or this version, has no such kernel
            print(json.dumps({"why_not": str(error).splitlines()[0]}))
            return
        query = key = value = None
        torch.cuda.empty_cache()
    version = torch.backends.cudnn.version()
    print(json.dumps({
        "peer": f"cuDNN {version // 10000}.{version // 100 % 100}.{version % 100}, by PyTorch {torch.__version__}",
        "seconds": seconds}))


if __name__ == "__main__":
    main()
