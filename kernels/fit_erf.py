"""Fits erf(x) = x p(x²) / q(x²) on |x| <= MAX, for src/math.rs: `python3 fit_erf.py` needs scipy.

Least squares on Chebyshev nodes, reweighted until the relative error is about level.
"""
import numpy as np
from scipy.special import erf

MAX, OVER, UNDER = 3.9257248, 6, 5
z = (1 - np.cos(np.pi * (np.arange(4000) + 0.5) / 4000)) / 2 * MAX
f, s = erf(z) / z, z * z
weight, q = np.ones_like(z), np.ones_like(z)
for _ in range(60):
    # p(s) - f q'(s) = f, with q = 1 + q' and the error of the quotient relative to f.
    a = np.concatenate([[s**n for n in range(OVER + 1)], [-f * s**n for n in range(1, UNDER + 1)]]).T
    scale = weight / (f * q)
    norm = np.abs(a * scale[:, None]).max(axis=0)
    c = np.linalg.lstsq(a * scale[:, None] / norm, f * scale, rcond=None)[0] / norm
    p = sum(c[n] * s**n for n in range(OVER + 1))
    q = 1 + sum(c[OVER + n] * s**n for n in range(1, UNDER + 1))
    error = np.abs(p / q / f - 1)
    weight = weight * (1 + error / error.max())
    weight /= weight.mean()
print("largest relative error", error.max())
print("over ", [float(np.float32(v)) for v in c[OVER::-1]])
print("under", [float(np.float32(v)) for v in [*c[:OVER:-1], 1.0]])
