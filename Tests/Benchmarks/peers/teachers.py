"""P9 in scipy and implicit: what TeacherCosts measures, on the histories it wrote. One thread, processor seconds.

    teachers.py HISTORIES    # a JSON object
"""

import ctypes
import json
import sys
import time

import numpy as np
import scipy.sparse as sparse
from implicit.als import AlternatingLeastSquares
from scipy.linalg import lapack

SWEEPS = 10

rows = [[int(word) for word in line.split()] for line in open(sys.argv[1])]
items = 1 + max(max(row) for row in rows)
x = sparse.csr_matrix(
    (np.ones(sum(map(len, rows)), dtype=np.float32), np.concatenate(rows),
     np.cumsum([0] + [len(row) for row in rows])), shape=(len(rows), items))


def timed(body):
    start = time.process_time()
    body()
    return time.process_time() - start


def by_scipy(gram):
    factor, _ = lapack.spotrf(gram, lower=1, overwrite_a=1)
    return lapack.spotri(factor, lower=1, overwrite_c=1)[0]


def by_system(library):
    """The same routines of the OpenBLAS that Millrace calls."""
    def run(gram):
        count, info, lower = ctypes.c_int(items), ctypes.c_int(), ctypes.c_char(b"L")
        data = gram.ctypes.data_as(ctypes.c_void_p)
        for routine in (library.spotrf_, library.spotri_):
            routine(ctypes.byref(lower), ctypes.byref(count), data, ctypes.byref(count), ctypes.byref(info))
            assert info.value == 0
        return gram
    return run


def ease(inverted):
    """Weights from the Gram matrix, whose counting is left out."""
    gram = np.asfortranarray((x.T @ x).toarray())
    gram[np.diag_indices(items)] += 100

    def solve():
        inverse = inverted(gram)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
    return timed(solve)


def als(conjugate_gradients):
    model = AlternatingLeastSquares(
        factors=64, regularization=1, alpha=1, iterations=SWEEPS, use_cg=conjugate_gradients, use_native=True,
        num_threads=1, random_state=1)
    data = (x * 11).tocsr()
    return timed(lambda: model.fit(data, show_progress=False))


found = {"ease_scipy": ease(by_scipy), "als_cholesky": als(False), "als_cg": als(True)}
try:
    found["ease"] = ease(by_system(ctypes.CDLL("libopenblas.so.0")))
except OSError:
    found["ease"] = None
print(json.dumps(found))
