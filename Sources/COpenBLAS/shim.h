#include <cblas.h>

// LAPACK as OpenBLAS carries it; Debian's header of it (lapacke) is another package. All arguments by reference,
// matrices column by column.

// Cholesky factor of a symmetric positive definite matrix, in place; info > 0: that leading minor is not positive.
void spotrf_(const char *uplo, const int *n, float *a, const int *lda, int *info);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
// Inverse from the Cholesky factor, in place, the same triangle.
void spotri_(const char *uplo, const int *n, float *a, const int *lda, int *info);
void dpotri_(const char *uplo, const int *n, double *a, const int *lda, int *info);
// Solves with the Cholesky factor, right-hand sides in place.
void spotrs_(const char *uplo, const int *n, const int *nrhs, const float *a, const int *lda, float *b,
             const int *ldb, int *info);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda, double *b,
             const int *ldb, int *info);
