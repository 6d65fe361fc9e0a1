// Which path runs, and the functions of libm the core uses.
#include <stdatomic.h>

#include "kernels.h"

static _Atomic(const kernels *) selected;

static const kernels *available(int path) {
    if (path == CK_BASELINE) return ck_baseline;
#if defined(__x86_64__)
    if (path == CK_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ck_avx2;
#endif
    return 0;
}

static const kernels *current(void) {
    const kernels *table = atomic_load_explicit(&selected, memory_order_relaxed);
    if (table) return table;
    table = available(CK_AVX2);
    if (!table) table = ck_baseline;
    atomic_store_explicit(&selected, table, memory_order_relaxed);
    return table;
}

int ck_select(int path) {
    const kernels *table = available(path);
    if (table) atomic_store_explicit(&selected, table, memory_order_relaxed);
    return table != 0;
}

int ck_selected(void) { return current() == ck_baseline ? CK_BASELINE : CK_AVX2; }

void ck_dots(const float *x, const float *rows, long stride, long count, long dim, float scale, float *out) {
    current()->dots(x, rows, stride, count, dim, scale, out);
}
void ck_dots_many(const float *x, long m, const float *rows, long n, long k, float scale, float keep, float *out) {
    current()->dots_many(x, m, rows, n, k, scale, keep, out);
}
void ck_combine(const float *weights, const float *rows, long stride, long count, long dim, float *out) {
    current()->combine(weights, rows, stride, count, dim, out);
}
void ck_spread(const float *weights, const float *x, float *rows, long stride, long count, long dim) {
    current()->spread(weights, x, rows, stride, count, dim);
}
float ck_max(const float *x, long n) { return current()->max(x, n); }
float ck_exp_sum(const float *x, long n, float shift, float *out) { return current()->exp_sum(x, n, shift, out); }
void ck_swiglu(const float *gate, const float *up, float *y, long n) { current()->swiglu(gate, up, y, n); }
void ck_swiglu_backward(const float *dy, const float *gate, const float *up, float *d_gate, float *d_up, long n) {
    current()->swiglu_backward(dy, gate, up, d_gate, d_up, n);
}
void ck_attention(ck_attention_shape shape, const float *q, const float *k, const float *v, const ck_visible *visible,
                  float *out, float *log_sums, float *scratch) {
    current()->attention(shape, q, k, v, visible, out, log_sums, scratch);
}
void ck_attention_backward(ck_attention_shape shape, const float *d_out, const float *q, const float *k,
                           const float *v, const ck_visible *visible, const float *log_sums, float *dq, float *dk,
                           float *dv, float *scratch) {
    current()->attention_backward(shape, d_out, q, k, v, visible, log_sums, dq, dk, dv, scratch);
}

double ck_exp(double x) { return exp(x); }
double ck_log(double x) { return log(x); }
double ck_pow(double x, double y) { return pow(x, y); }
double ck_sin(double x) { return sin(x); }
double ck_cos(double x) { return cos(x); }
