"""Compares a Z-Image transformer of real width, as nibble computes it, with plain PyTorch.

    python zimage_torch.py make DIR [--layers 2]      random bfloat16 weights and inputs
    java ... dev.nibble.runtime.TransformerProbe cuda DIR/transformer DIR/inputs.safetensors DIR/nibble.safetensors
    python zimage_torch.py compare DIR [--weights DIR/nf4] [--device cuda]

`compare` computes the same in float32 and in bfloat16 from the weights that nibble used (NF4 is decoded by its published
formula) and prints the relative Frobenius error of both against float32. It fails if nibble's is above 1e-2.
Wants torch and safetensors, and no other model code.
"""
import argparse
import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file

HEIGHT = WIDTH = 128  # latent pixels of a picture of 1024 x 1024
CAPTION = 250  # padded to 256
SIGMA = 0.7


def config(layers):
    return {
        "_class_name": "ZImageTransformer2DModel", "all_f_patch_size": [1], "all_patch_size": [2],
        "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "cap_feat_dim": 2560, "dim": 3840,
        "in_channels": 16, "n_heads": 30, "n_kv_heads": 30, "n_layers": layers, "n_refiner_layers": 1,
        "norm_eps": 1e-05, "qk_norm": True, "rope_theta": 256.0, "siglip_feat_dim": None, "t_scale": 1000.0,
    }


def shapes(c):
    """Names of all weights and their shapes."""
    dim, hidden, time = c["dim"], int(c["dim"] / 3 * 8), min(c["dim"], 256)
    patch = c["all_patch_size"][0] ** 2 * c["in_channels"]
    out = {
        "all_x_embedder.2-1.weight": (dim, patch), "all_x_embedder.2-1.bias": (dim,),
        "all_final_layer.2-1.linear.weight": (patch, dim), "all_final_layer.2-1.linear.bias": (patch,),
        "all_final_layer.2-1.adaLN_modulation.1.weight": (dim, time),
        "all_final_layer.2-1.adaLN_modulation.1.bias": (dim,),
        "cap_embedder.0.weight": (c["cap_feat_dim"],), "cap_embedder.1.weight": (dim, c["cap_feat_dim"]),
        "cap_embedder.1.bias": (dim,), "t_embedder.mlp.0.weight": (1024, 256), "t_embedder.mlp.0.bias": (1024,),
        "t_embedder.mlp.2.weight": (time, 1024), "t_embedder.mlp.2.bias": (time,),
        "x_pad_token": (1, dim), "cap_pad_token": (1, dim),
    }
    for group, count in (("noise_refiner", c["n_refiner_layers"]), ("context_refiner", c["n_refiner_layers"]),
                         ("layers", c["n_layers"])):
        for i in range(count):
            p = f"{group}.{i}."
            for name in ("to_q", "to_k", "to_v", "to_out.0"):
                out[f"{p}attention.{name}.weight"] = (dim, dim)
            for name in ("norm_q", "norm_k"):
                out[f"{p}attention.{name}.weight"] = (dim // c["n_heads"],)
            for name in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"):
                out[f"{p}{name}.weight"] = (dim,)
            out[p + "feed_forward.w1.weight"] = out[p + "feed_forward.w3.weight"] = (hidden, dim)
            out[p + "feed_forward.w2.weight"] = (dim, hidden)
            if group != "context_refiner":
                out[p + "adaLN_modulation.0.weight"] = (4 * dim, time)
                out[p + "adaLN_modulation.0.bias"] = (4 * dim,)
    return out


def make(folder, layers, device):
    c = config(layers)
    target = folder / "transformer"
    target.mkdir(parents=True)
    (target / "config.json").write_text(json.dumps(c, indent=2))
    g = torch.Generator(device).manual_seed(7)
    weights = {}
    for name, shape in shapes(c).items():
        w = torch.randn(shape, generator=g, device=device)
        w = 1 + 0.1 * w if "norm" in name or name == "cap_embedder.0.weight" else w * (
            1 / math.sqrt(shape[-1]) if len(shape) == 2 and shape[0] > 1 else 0.02)
        weights[name] = w.bfloat16().cpu().contiguous()
    save_file(weights, target / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    save_file({
        "latents": torch.randn(1, 16, HEIGHT, WIDTH, generator=g, device=device).cpu(),
        "caption": torch.randn(CAPTION, c["cap_feat_dim"], generator=g, device=device).cpu(),
        "sigma": torch.tensor([SIGMA]),
    }, folder / "inputs.safetensors")


def nf4(tensors, name):
    """bitsandbytes' 4-bit weight `name`, in float32."""
    codes = tensors[name].flatten().to(torch.int64)
    state = json.loads(bytes(tensors[name + ".quant_state.bitsandbytes__nf4"].tolist()))
    absmax = tensors[name + ".absmax"]
    if "nested_blocksize" in state:
        scale = tensors[name + ".nested_absmax"].repeat_interleave(state["nested_blocksize"])[: absmax.numel()]
        absmax = tensors[name + ".nested_quant_map"][absmax.long()] * scale + state["nested_offset"]
    values = tensors[name + ".quant_map"][torch.stack((codes >> 4, codes & 15), 1).flatten()]
    return (values.view(-1, state["blocksize"]) * absmax[:, None]).view(state["shape"])


def load(folder):
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(file))
    names = [n for n in tensors if n + ".absmax" in tensors]
    for name in names:
        tensors[name] = nf4(tensors, name)
    return tensors


class Model:
    """The forward pass as Z-Image's report and code define it, one picture and one caption."""

    def __init__(self, weights, c, dtype, device):
        self.c, self.dtype, self.device = c, dtype, device
        self.w = {n: t.to(device, dtype) for n, t in weights.items()
                  if t.is_floating_point() and ("weight" in n or "bias" in n or "token" in n)}

    def linear(self, x, name):
        return F.linear(x, self.w[name + ".weight"], self.w.get(name + ".bias"))

    def rms(self, x, name):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.c["norm_eps"])
        return y.to(x.dtype) * self.w[name + ".weight"]

    def angles(self, ids):
        parts = []
        for axis, d in enumerate(self.c["axes_dims"]):
            freqs = 1 / self.c["rope_theta"] ** (torch.arange(0, d, 2, dtype=torch.float64) / d)
            angle = torch.outer(ids[:, axis].double(), freqs).float()
            parts.append(torch.polar(torch.ones_like(angle), angle))
        return torch.cat(parts, -1).to(self.device)

    def rotate(self, x, angles):
        pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
        return torch.view_as_real(pairs * angles[:, None]).flatten(-2).to(x.dtype)

    def attention(self, x, p, angles):
        heads = self.c["n_heads"]
        q, k, v = (self.linear(x, f"{p}.to_{n}").unflatten(-1, (heads, -1)) for n in "qkv")
        q = self.rotate(self.rms(q, p + ".norm_q"), angles)
        k = self.rotate(self.rms(k, p + ".norm_k"), angles)
        out = F.scaled_dot_product_attention(*(t.transpose(0, 1)[None] for t in (q, k, v)))
        return self.linear(out[0].transpose(0, 1).flatten(1), p + ".to_out.0")

    def block(self, x, p, angles, time=None):
        s1 = s2 = 0
        g1 = g2 = 1
        if time is not None:
            s1, g1, s2, g2 = self.linear(time, p + ".adaLN_modulation.0").chunk(4, -1)
            g1, g2 = g1.tanh(), g2.tanh()
        mixed = self.attention(self.rms(x, p + ".attention_norm1") * (1 + s1), p + ".attention", angles)
        x = x + g1 * self.rms(mixed, p + ".attention_norm2")
        y = self.rms(x, p + ".ffn_norm1") * (1 + s2)
        f = p + ".feed_forward."
        y = self.linear(F.silu(self.linear(y, f + "w1")) * self.linear(y, f + "w3"), f + "w2")
        return x + g2 * self.rms(y, p + ".ffn_norm2")

    def pad(self, x, token):
        missing = -len(x) % 32
        return torch.cat((x, self.w[token].expand(missing, -1))) if missing else x

    def forward(self, latents, caption, sigma):
        """Velocity of the model's own sign, `[16, h, w]`."""
        c = self.c
        waves = torch.exp(-math.log(10000) * torch.arange(128, dtype=torch.float32) / 128)
        t = c["t_scale"] * (1 - sigma) * waves
        time = torch.cat((t.cos(), t.sin())).to(self.device, self.dtype)
        time = self.linear(F.silu(self.linear(time, "t_embedder.mlp.0")), "t_embedder.mlp.2")
        h, w = latents.shape[1] // 2, latents.shape[2] // 2
        x = latents.to(self.device, self.dtype).view(16, h, 2, w, 2).permute(1, 3, 2, 4, 0).reshape(h * w, 64)
        x = self.pad(self.linear(x, "all_x_embedder.2-1"), "x_pad_token")
        y = self.rms(caption.to(self.device, self.dtype), "cap_embedder.0")
        y = self.pad(self.linear(y, "cap_embedder.1"), "cap_pad_token")
        ids_y = torch.tensor([[1 + k, 0, 0] for k in range(len(y))])
        ids_x = torch.zeros(len(x), 3, dtype=torch.long)
        ids_x[: h * w] = torch.tensor([[len(y) + 1, i, j] for i in range(h) for j in range(w)])
        at_x, at_y = self.angles(ids_x), self.angles(ids_y)
        for i in range(c["n_refiner_layers"]):
            x = self.block(x, f"noise_refiner.{i}", at_x, time)
            y = self.block(y, f"context_refiner.{i}", at_y)
        z, at = torch.cat((x, y)), torch.cat((at_x, at_y))
        for i in range(c["n_layers"]):
            z = self.block(z, f"layers.{i}", at, time)
        z = z[: h * w]
        scale = 1 + self.linear(F.silu(time), "all_final_layer.2-1.adaLN_modulation.1")
        z = self.linear(F.layer_norm(z, z.shape[-1:], eps=1e-6) * scale, "all_final_layer.2-1.linear")
        return z.float().view(h, w, 2, 2, 16).permute(4, 0, 2, 1, 3).reshape(16, 2 * h, 2 * w)


def compare(folder, weights, device):
    c = json.loads((weights / "config.json").read_text())
    inputs = load_file(folder / "inputs.safetensors")
    tensors = load(weights)
    latents, caption, sigma = inputs["latents"][0], inputs["caption"], inputs["sigma"].item()

    @torch.no_grad()
    def run(dtype):
        return Model(tensors, c, dtype, device).forward(latents, caption, sigma).cpu()

    torch.backends.cuda.matmul.allow_tf32 = False
    exact, rounded = run(torch.float32), run(torch.bfloat16)
    with safe_open(folder / "nibble.safetensors", "pt") as f:
        ours = -f.get_tensor("velocity")[0]  # nibble's points from picture to noise

    def error(x):
        return ((x - exact).norm() / exact.norm()).item()

    print(f"relative error against float32: nibble {error(ours):.2e}, torch in bfloat16 {error(rounded):.2e}")
    if not error(ours) <= 1e-2:
        sys.exit("nibble's error is above 1e-2")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("make", "compare"))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--weights", type=pathlib.Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    a = parser.parse_args()
    if a.command == "make":
        make(a.folder, a.layers, a.device)
    else:
        compare(a.folder, a.weights or a.folder / "transformer", a.device)


if __name__ == "__main__":
    main()
