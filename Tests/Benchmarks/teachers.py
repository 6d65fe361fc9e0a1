"""What numpy, scipy and implicit need for what TeacherCosts measures, on the histories it wrote (one thread, processor time).

    python Tests/Benchmarks/teachers.py HISTORIES
"""
import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
import scipy.sparse as sparse
from implicit.als import AlternatingLeastSquares
from scipy.linalg import lapack

rows = [[int(word) for word in line.split()] for line in open(sys.argv[1])]
items = 1 + max(max(row) for row in rows)
x = sparse.csr_matrix(
    (np.ones(sum(map(len, rows)), dtype=np.float32), np.concatenate(rows),
     np.cumsum([0] + [len(row) for row in rows])), shape=(len(rows), items))


def timed(name, body):
    start = time.process_time()
    body()
    print(f"{name}: {time.process_time() - start:.3f} s")


def ease(dtype):
    gram = (x.T @ x).toarray().astype(dtype)
    gram[np.diag_indices(items)] += 100
    potrf, potri = (
        (lapack.spotrf, lapack.spotri) if dtype == np.float32 else (lapack.dpotrf, lapack.dpotri))
    start = time.process_time()
    factor, _ = potrf(gram.T, lower=1, overwrite_a=1)
    inverse, _ = potri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    print(f"EASE {np.dtype(dtype).name}, Cholesky, without counting: {time.process_time() - start:.3f} s")


def als(cg):
    model = AlternatingLeastSquares(
        factors=64, regularization=1, alpha=1, iterations=10, use_cg=cg, use_native=True,
        num_threads=1, random_state=1)
    data = (x * 11).tocsr()
    timed(f"ALS of implicit, 10 sweeps, {'conjugate gradients' if cg else 'Cholesky'}",
          lambda: model.fit(data, show_progress=False))


timed("counting x'x", lambda: x.T @ x)
if items <= 12_000:
    ease(np.float32)
    ease(np.float64)
als(False)
als(True)
