// The passes over the maps of the convolutional NTK at one offset (cntk.hpp): products of pixels, sums over a filter's rows,
// and a layer from these.

// Gamma^(0): the sums over the channels, whose number is `count` unless that is 0, of the products of n pixels.
template <std::size_t count>
void cntk_products(std::size_t n, std::size_t channels, std::size_t plane, const double* left, const double* right,
                   double* out) {
  const std::size_t end = count > 0 ? count : channels;
  for (std::size_t p = 0; p < n; p += lanes<double>) {
    Vec<double> sum = load(left + p) * load(right + p);
#pragma GCC unroll 4
    for (std::size_t c = 1; c < end; ++c) sum += load(left + c * plane + p) * load(right + c * plane + p);
    store<double>(out + p, sum);
  }
}

/// Which taps a filter has along a map, and how far apart they are.
struct CntkTaps {
  std::size_t count, before, distance;
};

// The sum of in[tap * distance] over the taps; their number is `count` unless that is 0.
template <std::size_t count, class M>
[[gnu::always_inline]] inline Vec<M> cntk_tap_sum(const CntkTaps& taps, const M* in) {
  Vec<M> sum = load(in);
  if constexpr (count > 0) {
#pragma GCC unroll 8
    for (std::size_t tap = 1; tap < count; ++tap) sum += load(in + tap * taps.distance);
  } else {
    for (std::size_t tap = 1; tap < taps.count; ++tap) sum += load(in + tap * taps.distance);
  }
  return sum;
}

// out[p] = the sum of in[p + (tap - before) * distance], p < n, whole vectors.
template <std::size_t count, class M>
void cntk_sums_of(std::size_t n, CntkTaps taps, const M* in, M* out) {
  in -= taps.before * taps.distance;
  for (std::size_t p = 0; p < n; p += lanes<M>) store<M>(out + p, cntk_tap_sum<count>(taps, in + p));
}

template <class M>
void cntk_sums(std::size_t n, CntkTaps taps, const M* in, M* out) {
  if (taps.count == 3)
    cntk_sums_of<3>(n, taps, in, out);
  else
    cntk_sums_of<0>(n, taps, in, out);
}

// What Pi^(h-1) is: 0, mean Gamma^(h-1), or a map of its own.
enum class CntkGradient { none, kernel, own };

template <class T>
struct CntkLayerMaps {
  const double *left_root, *right_root;
  const double* kernel_sums;
  const T* gradient_sums;
  double* kernel;
  T* gradient;
};

// Layer h for n pairs of positions, from the sums over the filters' columns. Below the last layer writes Gamma^(h) and
// Pi^(h-1) kappa_0 + Gamma^(h); returns the sum of Pi^(L) for the last one. Only in the `first` layer c may be negative.
template <class T, std::size_t count, bool first, CntkGradient before, bool last, bool with_kernel>
double cntk_layer(std::size_t n, CntkTaps taps, double share, const CntkLayerMaps<T>& maps) {
  constexpr std::size_t parts = WideVec<T>::parts;
  const T narrow_share = static_cast<T>(share);
  Vec<double> total{};
  for (std::size_t p = 0; p < n; p += lanes<T>) {
    WideVec<T> mean, r, difference;
#pragma GCC unroll 2
    for (std::size_t k = 0; k < parts; ++k) {
      const std::size_t at = p + k * lanes<double>;
      mean.part[k] = share * cntk_tap_sum<count>(taps, maps.kernel_sums + at - taps.before);
      r.part[k] = load(maps.left_root + at) * load(maps.right_root + at);
      difference.part[k] = r.part[k] - magnitude<double>(mean.part[k]);
    }
    const Vec<T> narrow_r = narrow<T>(r);
    const Vec<T> e = cntk_gap<T>(narrow<T>(difference), narrow_r);
    const Vec<T> w = square_root<T>(e);
    const Vec<T> sign = first ? narrow<T>(mean) : Vec<T>{};

    Vec<T> change{};
    if constexpr (with_kernel) change = first ? kappa_1_change<T>(w, e, is_negative<T>(sign)) : arc<T>(w, e) - e;
    if constexpr (with_kernel && (!last || before == CntkGradient::none)) {
      const WideVec<T> wide = widen<T>(change);
#pragma GCC unroll 2
      for (std::size_t k = 0; k < parts; ++k) {
        const Vec<double> base = first && is_negative<double>(mean.part[k]) ? Vec<double>{} : r.part[k];
        const Vec<double> kernel = base + r.part[k] * wide.part[k];
        if constexpr (last)
          total += kernel;
        else
          store<double>(maps.kernel + p + k * lanes<double>, kernel);
      }
    }
    if constexpr (before != CntkGradient::none) {
      Vec<T> gradient;
      if constexpr (before == CntkGradient::kernel)
        gradient = first ? sign : narrow<T>(mean);
      else
        gradient = narrow_share * cntk_tap_sum<count>(taps, maps.gradient_sums + p - taps.before);
      const Vec<T> turn = angle<T>(w, e);
      const Vec<T> gate = first && is_negative<T>(sign) ? turn : 1 - turn;
      gradient = narrow_r > 0 ? gradient * gate : Vec<T>{};
      if constexpr (with_kernel) {
        const Vec<T> base = first && is_negative<T>(sign) ? Vec<T>{} : narrow_r;
        gradient += base + narrow_r * change;
      }
      if constexpr (last) {
        const WideVec<T> wide = widen<T>(gradient);
#pragma GCC unroll 2
        for (std::size_t k = 0; k < parts; ++k) total += wide.part[k];
      } else {
        store<T>(maps.gradient + p, gradient);
      }
    }
  }
  double sum = 0;
  if constexpr (last)
    for (std::size_t i = 0; i < lanes<double>; ++i) sum += total[i];
  return sum;
}
