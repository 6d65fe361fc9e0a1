// The loops in vectors of four, which every x86-64 and arm64 has.
#include "kernels.h"

#define W 4
#define NAME(name) name##_baseline
#include "kernels.inc"

const kernels *const ck_baseline = &table_baseline;
