// Inner loops that pay for wider vectors than Swift may assume: dot products of many rows, weighted sums of rows,
// exponentials, attention. Each exists once in source (kernels.inc) and twice in the binary: for the x86-64 baseline
// and for AVX2 with FMA; which one runs is decided by what the processor says. And the few functions of libm the
// core needs. Nothing here checks shapes: `Tensors` does, at its door.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdint.h>

// Process-wide choice of the loops; anything the processor has not is refused with 0.
enum { CK_BASELINE = 0, CK_AVX2 = 1 };
int ck_select(int path);
int ck_selected(void);

// Keys a query row sees: rows [first_start, first_end) and [second_start, second_end) of the keys.
typedef struct {
    int32_t first_start, first_end, second_start, second_end;
} ck_visible;
_Static_assert(sizeof(ck_visible) == 16, "four 32-bit integers, as VisibleKeys in Swift");

// out[j] = scale * (x . rows[j]) for count rows of dim numbers, stride numbers apart.
void ck_dots(const float *x, const float *rows, long stride, long count, long dim, float scale, float *out);
// out (m x n) = scale * x (m x k) * rowsT (rows: n x k), m small: each of the rows is read once for two of x.
void ck_dots_many(const float *x, long m, const float *rows, long n, long k, float scale, float keep, float *out);
// out[d] += sum over j of weights[j] * rows[j][d].
void ck_combine(const float *weights, const float *rows, long stride, long count, long dim, float *out);
// rows[j][d] += weights[j] * x[d].
void ck_spread(const float *weights, const float *x, float *rows, long stride, long count, long dim);

// Greatest of n numbers; -infinity for none. A NaN may or may not be seen.
float ck_max(const float *x, long n);
// out[i] = exp(x[i] - shift), returns their sum. out may be x.
float ck_exp_sum(const float *x, long n, float shift, float *out);
// y = silu(gate) * up.
void ck_swiglu(const float *gate, const float *up, float *y, long n);
// Adds to d_gate and d_up.
void ck_swiglu_backward(const float *dy, const float *gate, const float *up, float *d_gate, float *d_up, long n);

// Shapes of attention: q and out are rows x heads x dim, k and v are keys x kv_heads x dim, log_sums rows x heads.
typedef struct {
    long rows, heads, kv_heads, dim;
    float scale;
} ck_attention_shape;
// scratch: as many numbers as the most keys one row sees.
void ck_attention(ck_attention_shape shape, const float *q, const float *k, const float *v, const ck_visible *visible,
                  float *out, float *log_sums, float *scratch);
// Adds to dq, dk, dv. scratch: twice as many numbers as the most keys one row sees.
void ck_attention_backward(ck_attention_shape shape, const float *d_out, const float *q, const float *k,
                           const float *v, const ck_visible *visible, const float *log_sums, float *dq, float *dk,
                           float *dv, float *scratch);

// libm.
double ck_exp(double x);
double ck_log(double x);
double ck_pow(double x, double y);
double ck_sin(double x);
double ck_cos(double x);

#endif
