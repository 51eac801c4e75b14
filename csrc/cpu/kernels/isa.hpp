// All kernels of one instruction set. A file that includes this defines FASTNTK_ISA (the namespace) and is compiled with
// that instruction set's flags; the two tables are the only symbols that leave it.

#include "../kernels.hpp"

namespace fastntk::cpu {
namespace {

#include "count_sketch.hpp"
#include "gather.hpp"
#include "hadamard.hpp"
#include "simd.hpp"

template <class T>
constexpr Kernels<T> table = {
    .hadamard = hadamard<T>,
    .structured = structured<T>,
    .gather = gather<T>,
    .gather_product = gather_product<T>,
    .count_sketch_dense = count_sketch_dense<T>,
    .count_sketch_sparse = count_sketch_sparse<T>,
};

}  // namespace

namespace FASTNTK_ISA {
extern const Kernels<float> kernels_f32;
extern const Kernels<double> kernels_f64;
const Kernels<float> kernels_f32 = table<float>;
const Kernels<double> kernels_f64 = table<double>;
}  // namespace FASTNTK_ISA

}  // namespace fastntk::cpu
