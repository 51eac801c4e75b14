// The exact convolutional neural tangent kernel of ReLU networks (Arora et al. 2019; Z21 Section 4).
#pragma once

#include <fastntk/images.hpp>
#include <fastntk/view.hpp>

#include <cstddef>

namespace fastntk {

struct CntkParams {
  ImageShape image = {};
  std::size_t depth = 3;  // convolutions
  std::size_t filter_size = 3;
  Padding padding = Padding::same;
  Pooling pooling = Pooling::gap;
  /// Whether the first convolution's and the last layer's weights are trained; without both, depth 1 gives the zero kernel
  /// and is refused.
  bool train_first = false;
  bool train_last = false;
  /// Value of a constant channel appended to the images; 0 means none.
  double bias = 0;
};

/// out (n, k) = Theta between the images of x (n, height * width * channels) and y (k, ...), stored as ImageShape says. Each
/// entry depends on its two images only: its bits are the same for any number of threads, any split into batches, and the
/// images in either order. Where y is the same view as x, half the work is done. A zero image gives a zero kernel row, an
/// image with a NaN or an infinity no finite one.
///
/// The time of a pair grows with the square of the number of positions with Pooling::gap, with their number without; its
/// memory with their number. In float32 too the sums over filters are float64, and the error is below
/// 2e-6 sqrt(Theta(x, x) Theta(y, y)), however near the two images are; in float64 it is some 1e-15, and up to 3e-8 where
/// neighbourhoods are parallel to 8 digits and more without being so.
///
/// Throws Error if a size, the depth or the filter size is 0, an image has more than 2^31 - 1 numbers, the filter is even
/// with Padding::same or an image is smaller than the filters take away, the kernel is zero for all images, bias is not
/// finite in T, or a shape does not fit.
template <Real T, Backend B>
void cntk_kernel(const B& backend, View<const T, B> x, View<const T, B> y, const CntkParams& params, View<T, B> out);

/// out (n, 1) = Theta(x_i, y_i), row by row; the diagonal of the kernel where y is the same view as x, in half the time.
template <Real T, Backend B>
void cntk_pairs(const B& backend, View<const T, B> x, View<const T, B> y, const CntkParams& params, View<T, B> out);

}  // namespace fastntk
