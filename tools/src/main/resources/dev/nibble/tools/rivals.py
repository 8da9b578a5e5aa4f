"""Times torch, and bitsandbytes where it is importable, for operations that nibble has timed.

    rivals.py ORDINAL OPS.txt

OPS.txt has an operation a line, as `nibble bench` names it; one that no rival here computes is passed
over. Prints a line of JSON for each time. As nibble does it: pieces of work back to back, weights in
turn over 320 MiB, a recording replayed, the median of nine.
"""

import json
import re
import statistics
import sys

import torch
import torch.nn.functional as F

ROTATED_BYTES = 320 << 20
TIMES = 9
DTYPE = torch.bfloat16


def micros(pieces, work):
    """Median time of one piece."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for i in range(pieces):
            work(i)
        stream.synchronize()

        def replay():
            for i in range(pieces):
                work(i)

        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream):
                replay()
            replay = graph.replay
        except RuntimeError:  # some operations can't be recorded: the host's time counts then
            torch.cuda.synchronize()
        replay()
        times = []
        for _ in range(TIMES):
            begin = torch.cuda.Event(enable_timing=True)
            end = torch.cuda.Event(enable_timing=True)
            begin.record()
            replay()
            end.record()
            end.synchronize()
            times.append(1e3 * begin.elapsed_time(end) / pieces)
    return statistics.median(times)


def show(op, rival, time):
    print(json.dumps({"op": op, "rival": rival, "micros": time}), flush=True)


def copies(bytes_each):
    return -(-ROTATED_BYTES // bytes_each)


def torch_linear(op, m, n, k):
    x = torch.randn(m, k, device="cuda", dtype=DTYPE)
    weights = [0.02 * torch.randn(n, k, device="cuda", dtype=DTYPE) for _ in range(copies(2 * n * k))]
    show(op, "torch", micros(len(weights), lambda i: F.linear(x, weights[i])))


def four_bit(n, k):
    import bitsandbytes.functional as bnb

    dense = 0.02 * torch.randn(n, k, device="cuda", dtype=DTYPE)
    return [bnb.quantize_4bit(dense, quant_type="nf4", compress_statistics=True) for _ in range(copies(n * k // 2))]


def bitsandbytes_linear(op, m, n, k):
    import bitsandbytes as bnb

    x = torch.randn(m, k, device="cuda", dtype=DTYPE)
    weights = four_bit(n, k)

    def work(i):
        codes, state = weights[i]
        bnb.matmul_4bit(x, codes.t(), quant_state=state)

    show(op, "bitsandbytes", micros(len(weights), work))


def bitsandbytes_int8(op, m, n, k):
    import bitsandbytes as bnb

    x = torch.randn(m, k, device="cuda", dtype=torch.float16)  # what LLM.int8 computes in
    layers = []
    for _ in range(copies(n * k)):
        layer = bnb.nn.Linear8bitLt(k, n, bias=False, has_fp16_weights=False)
        layer.load_state_dict({"weight": 0.02 * torch.randn(n, k)})
        layers.append(layer.cuda().eval())
    with torch.no_grad():
        show(op, "bitsandbytes", micros(len(layers), lambda i: layers[i](x)))


def bitsandbytes_decode(op, n, k):
    import bitsandbytes.functional as bnb

    weights = four_bit(n, k)

    def work(i):
        codes, state = weights[i]
        bnb.dequantize_4bit(codes, state)

    show(op, "bitsandbytes", micros(len(weights), work))


def torch_attention(op, tokens, heads, dim):
    q, k, v = (torch.randn(1, heads, tokens, dim, device="cuda", dtype=DTYPE) for _ in range(3))
    show(op, "torch", micros(4, lambda i: F.scaled_dot_product_attention(q, k, v)))


def torch_swiglu(op, rows, columns):
    gate, up = (torch.randn(rows, columns, device="cuda", dtype=DTYPE) for _ in range(2))
    show(op, "torch", micros(10, lambda i: F.silu(gate) * up))


PATTERNS = [
    (r"linear bf16 (\d+) x (\d+)x(\d+)", torch_linear),
    (r"linear nf4 (\d+) x (\d+)x(\d+)", bitsandbytes_linear),
    (r"linear int8 (\d+) x (\d+)x(\d+)", bitsandbytes_int8),
    (r"decode nf4 (\d+)x(\d+)", bitsandbytes_decode),
    (r"attention (\d+) tokens, (\d+) heads of (\d+)", torch_attention),
    (r"SwiGLU (\d+)x(\d+)", torch_swiglu),
]


def main():
    torch.cuda.set_device(int(sys.argv[1]))
    missing = set()
    with open(sys.argv[2], encoding="utf-8") as file:
        for op in (line.rstrip("\n") for line in file):
            for pattern, measure in PATTERNS:
                match = re.fullmatch(pattern, op)
                if not match:
                    continue
                try:
                    measure(op, *map(int, match.groups()))
                except ImportError as e:
                    if e.name not in missing:
                        missing.add(e.name)
                        print(f"rivals: {e.name} can't be imported; its times are left out", file=sys.stderr)
                except Exception as e:  # a rival that fails at one shape is still one at the others
                    print(f"rivals: {op}: {type(e).__name__}: {e}".splitlines()[0], file=sys.stderr)
                torch.cuda.empty_cache()


main()
