// One instruction set's loops.
#include <math.h>
#include <string.h>

#include "CKernels.h"

typedef struct {
    typeof(ck_dots) *dots;
    typeof(ck_dots_many) *dots_many;
    typeof(ck_combine) *combine;
    typeof(ck_spread) *spread;
    typeof(ck_max) *max;
    typeof(ck_exp_sum) *exp_sum;
    typeof(ck_swiglu) *swiglu;
    typeof(ck_swiglu_backward) *swiglu_backward;
    typeof(ck_attention) *attention;
    typeof(ck_attention_backward) *attention_backward;
} kernels;

extern const kernels *const ck_baseline;
// Null where the binary has no such path.
extern const kernels *const ck_avx2;
