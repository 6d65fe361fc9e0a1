// The loops in vectors of eight, for processors with AVX2 and FMA.
#include "kernels.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define W 8
#define NAME(name) name##_avx2
#include "kernels.inc"
#pragma clang attribute pop

const kernels *const ck_avx2 = &table_avx2;
#else
const kernels *const ck_avx2 = 0;
#endif
