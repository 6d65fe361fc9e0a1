"""Writes teachers.json: what numpy, scipy and implicit make of a small set of histories.

Run with numpy, scipy and implicit installed: python Tests/Fixtures/generate_teachers.py. It also brings manifest.json
up to date.

Starting factors of ALS are written into the file: they are what Sources/Teachers/FactorSolver.swift draws from the
keys of the items, so XXH64 and the drawing are repeated here.
"""
import hashlib
import json
import os
import pathlib

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import scipy.sparse as sparse
from implicit.als import AlternatingLeastSquares

HERE = pathlib.Path(__file__).parent
MASK = (1 << 64) - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5)


def xxh64(text):
    """XXH64 with seed 0 of fewer than 4 bytes."""
    data = text.encode()
    assert len(data) < 4
    h = (P5 + len(data)) & MASK
    for byte in data:
        h ^= byte * P5 & MASK
        h = ((h << 11 | h >> 53) & MASK) * P1 & MASK
    h = (h ^ h >> 33) * P2 & MASK
    h = (h ^ h >> 29) * P3 & MASK
    return h ^ h >> 32


def drawn(key, place, seed):
    word = key ^ seed * 0x9E3779B97F4A7C15 & MASK
    word = (word + (place + 1) * 0xBF58476D1CE4E5B9) & MASK
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & MASK
    word = (word ^ word >> 27) * 0x94D049BB133111EB & MASK
    word ^= word >> 31
    one = np.float32(1)
    return (np.float32(word >> 40) / np.float32(1 << 23) - one) * np.float32(0.01)


def numbers(values):
    return [float(f"{v:.8g}") for v in np.asarray(values).flatten()]


random = np.random.default_rng(11)
ITEMS, USERS, FACTORS, SWEEPS, ALPHA, RIDGE = 24, 40, 6, 4, 5.0, 0.5
names = [f"i{number}" for number in range(ITEMS)]
histories = []
for user in range(USERS):
    taste = random.dirichlet(np.full(ITEMS, 0.3)) + 0.01
    size = int(random.integers(1, 12))
    histories.append(random.choice(ITEMS, size, replace=False, p=taste / taste.sum()).tolist())

x = np.zeros((USERS, ITEMS))
for user, items in enumerate(histories):
    x[user, items] = 1
gram = x.T @ x
asked = [[0], [5, 3], [7, 1, 2, 9, 14], list(range(20))]
decays = [[0.7 ** age for age in range(len(items))] for items in asked]


def scores(weights):
    return [
        numbers(sum(decay * weights[item] for item, decay in zip(items, ages)))
        for items, ages in zip(asked, decays)]


norms = np.sqrt(np.diag(gram))
cosines = gram / (np.outer(norms, norms) + 5)
np.fill_diagonal(cosines, 0)
inverse = np.linalg.inv(gram + 10 * np.eye(ITEMS))
ease = -inverse / np.diag(inverse)
np.fill_diagonal(ease, 0)

start = np.array(
    [[drawn(xxh64(name), place, 1) for place in range(FACTORS)] for name in names],
    dtype=np.float32)
model = AlternatingLeastSquares(
    factors=FACTORS, regularization=RIDGE, alpha=1.0, iterations=SWEEPS, use_cg=False,
    use_native=True, num_threads=1, random_state=1)
model.item_factors = start.copy()
model.user_factors = np.zeros((USERS, FACTORS), dtype=np.float32)
confidence = sparse.csr_matrix(x * (1 + ALPHA)).astype(np.float32)
model.fit(confidence, show_progress=False)
folded = model.recalculate_user(
    np.arange(len(asked)),
    sparse.csr_matrix(
        np.array([[(1 + ALPHA) * (i in items) for i in range(ITEMS)] for items in asked],
                 dtype=np.float32)))

content = {
    "version": 1,
    "items": names,
    "histories": histories,
    "asked": asked,
    "gram": gram.astype(int).flatten().tolist(),
    "neighbours": scores(cosines),
    "ease": numbers(ease),
    "easeScores": scores(ease),
    "als": {
        "factors": FACTORS, "sweeps": SWEEPS, "alpha": ALPHA, "regularisation": RIDGE,
        "items": numbers(model.item_factors), "folded": numbers(folded),
        "scores": numbers(folded @ model.item_factors.T),
    },
}
path = HERE / "teachers.json"
path.write_text(json.dumps(content) + "\n")
manifest = HERE / "manifest.json"
listed = json.loads(manifest.read_text())
listed["files"] = [f for f in listed["files"] if f["path"] != path.name] + [{
    "path": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    "generator": pathlib.Path(__file__).name}]
listed["files"].sort(key=lambda f: f["path"])
manifest.write_text(json.dumps(listed, indent=2) + "\n")
