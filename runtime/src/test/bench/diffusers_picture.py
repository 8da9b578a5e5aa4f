"""The rival of PictureBenchmark: diffusers' Z-Image pipeline in float32 on the CPU, models loaded.

Draws one picture for each line it reads, and answers with the seconds it took.
Usage: python diffusers_picture.py MODEL THREADS STEPS
"""
import sys
import time
import warnings

import diffusers
import torch

warnings.simplefilter("ignore")
diffusers.utils.logging.disable_progress_bar()

model, threads, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
pipe = diffusers.ZImagePipeline.from_pretrained(model, torch_dtype=torch.float32)
pipe.set_progress_bar_config(disable=True)
print(f"diffusers {diffusers.__version__}, torch {torch.__version__}", flush=True)
with torch.no_grad():
    for line in sys.stdin:
        begin = time.perf_counter()
        pipe(line.strip(), height=64, width=64, num_inference_steps=steps, guidance_scale=0.0,
             generator=torch.Generator("cpu").manual_seed(0))
        print(time.perf_counter() - begin, flush=True)
