// All kernels of one instruction set. A file that includes this defines FASTNTK_ISA (the namespace) and is compiled with
// that instruction set's flags; the two tables are the only symbols that leave it.

#include "../../src/formula.hpp"
#include "../kernels.hpp"

#include <type_traits>
#include <utility>

#if defined(__x86_64__)
// GCC 12 warns of the deliberately undefined operands inside its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace fastntk::cpu {
namespace {

#include "simd.hpp"

#include "count_sketch.hpp"
#include "gather.hpp"
#include "hadamard.hpp"

#include "../../src/relu_recursion.hpp"
#include "arc_cosine.hpp"

#include "../../src/cntk_gap.hpp"
#include "cntk_layer.hpp"

#include "cntk.hpp"

#include "activation.hpp"
#include "projection.hpp"
#include "rotated_hadamard.hpp"

#include "dots.hpp"

#include "pixels.hpp"

#include "nets.hpp"

#include "passed_products.hpp"

template <class T>
constexpr Kernels<T> table = {
    .hadamard = hadamard<T>,
    .gather = gather<T>,
    .gather_product = gather_product<T>,
    .count_sketch_dense = count_sketch_dense<T>,
    .count_sketch_sparse = count_sketch_sparse<T>,
    .unit_rows = unit_rows<T>,
    .signed_gaps = signed_gaps<T>,
    .relu_kernel = relu_kernel<T>,
    .transpose = transpose<T>,
    .add = add<T>,
    .rotated_hadamard = rotated_hadamard<T>,
    .dual_features = dual_features<T>,
    .relu = relu<T>,
    .step = step<T>,
    .scale_rows = scale_rows<T>,
    .multiply = multiply<T>,
    .row_squares = row_squares<T>,
    .dots = dots<T>,
    .project = project<T>,
    .fold_patches = fold_patches<T>,
    .pixel_features = pixel_features<T>,
    .add_combinations = add_combinations<T>,
    .mix_features = mix_features<T>,
    .pool_columns = pool_columns<T>,
    .relu_forward = relu_forward<T>,
    .mask_rows = mask_rows<T>,
    .passed_products = passed_products,
    .cntk_theta = cntk_theta<T>,
    .cntk_bytes = cntk_bytes<T>,
};

}  // namespace

namespace FASTNTK_ISA {
extern const Kernels<float> kernels_f32;
extern const Kernels<double> kernels_f64;
const Kernels<float> kernels_f32 = table<float>;
const Kernels<double> kernels_f64 = table<double>;
}  // namespace FASTNTK_ISA

}  // namespace fastntk::cpu
