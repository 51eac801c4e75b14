// Functions that run on the host and on a device.
#pragma once

/// Marks a formula that for_each() may run on a device, and a loop whose arrays are to stay in registers.
#if defined(__CUDACC__)
#define FASTNTK_FORMULA __host__ __device__
#define FASTNTK_UNROLL _Pragma("unroll")
#else
#define FASTNTK_FORMULA
#define FASTNTK_UNROLL _Pragma("GCC unroll 32")
#endif
