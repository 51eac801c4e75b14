// Features of the convolutional neural tangent kernel (Z21 Section 4), in time linear in the number of pixels.
#pragma once

#include <fastntk/cntk.hpp>
#include <fastntk/ntk_features.hpp>
#include <fastntk/view.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fastntk {

/// What stands for kappa_1 and kappa_0 at a pixel: sketches of polynomials (Z21 Section 4), or the arc-cosine kernels' own
/// random features.
enum class CntkMethod { sketch, random_features };

struct CntkSketchParams {
  std::size_t out_features = 0;
  CntkParams kernel = {};
  CntkMethod method = CntkMethod::sketch;
  /// Of the sketch: the polynomials of every layer, powers from 0 on, no coefficient negative, of one degree.
  std::vector<std::vector<double>> kappa_1 = {};
  std::vector<std::vector<double>> kappa_0 = {};
  /// `exact` scales every image's features to the norm sqrt(Theta(x, x)), which costs one self-pair of cntk_pairs(), or two
  /// pairs with average_flips. `automatic` is exact.
  Diagonal diagonal = Diagonal::automatic;
  /// Z is the mean of the features of an image and of its mirror image, left to right: the kernel is averaged over both.
  bool average_flips = false;
  /// Features of a pixel inside, a power of two from 64 to 2^17; 0 chooses from out_features.
  std::size_t width = 0;
  std::uint64_t seed = 0;
};

/// The parameters, the width and every `automatic` replaced by what is chosen. Throws Error like CntkSketch.
CntkSketchParams resolved_cntk_sketch(const CntkSketchParams& params);

/// x -> Z(x) with <Z(x), Z(z)> close to Theta(x, z) of cntk_kernel(): the mean over draws is that of the polynomials, or of
/// the kernel itself, up to O(1/width).
///
/// A layer's vector at a pixel is its constant part, a number sqrt(N/q^2 kappa(0)), and `width` entries for the rest. The
/// numbers of a patch add up exactly in their mean mode; the rest of a patch's direct sum is the sum of its pixels' vectors,
/// each with signs and a rotation of the entries of its own: a CountSketch without a buffer of q^2 vectors. Rotated, that
/// gives the next layer's features; entry by entry, products of the sketch of Pi with the features of kappa_0 are those of
/// their tensor product. The output's columns are such products too, summed over the pixels.
template <Real T, Backend B = Cpu>
class CntkSketch {
 public:
  /// Throws Error if out_features is 0, the kernel is one that cntk_kernel() refuses, a patch has more than 2^31 - 1
  /// numbers, width is neither 0 nor a power of two from 64 to 2^17, or the polynomials are not `depth` ones of one
  /// degree >= 1 without negative or infinite coefficients.
  explicit CntkSketch(const CntkSketchParams& params, B backend = {});

  /// The same map, its constants shared, run by another backend: other threads, or another stream of the same device.
  CntkSketch on(const B& backend) const;

  /// x (n, height * width * channels) -> out (n, out_features). A zero image gives a zero row (without bias), and
  /// Z(cx) = c Z(x) for c > 0. Throws Error if a shape does not fit.
  void operator()(View<const T, B> x, View<T, B> out) const;

  /// The parameters, the width and every `automatic` replaced by what was chosen.
  const CntkSketchParams& params() const;

  struct State;
  const State& state() const { return *state_; }

 private:
  B backend_;
  std::shared_ptr<const State> state_;
};

}  // namespace fastntk
