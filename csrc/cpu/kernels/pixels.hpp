// Features of pixels: see src/pixel_primitives.hpp.

// A group of entries that stay together when a vector is rotated.
template <class T>
constexpr std::size_t group_vectors = fold_group / lanes<T>;

// Groups whose sums are kept in registers.
template <class T>
constexpr std::size_t group_block = group_vectors<T> < vector_registers / 4 ? vector_registers / 4 / group_vectors<T> : 1;

/// (c + shift) mod m, for c and shift below m.
[[gnu::always_inline]] inline std::size_t rotated_entry(std::size_t c, std::size_t shift, std::size_t m) {
  const std::size_t at = c + shift;
  return at < m ? at : at - m;
}

// The groups from c on of rows' folded patches.
template <class T, std::size_t groups>
[[gnu::always_inline]] inline void fold_groups(std::size_t rows, const T* const* taps, std::size_t area, std::size_t m,
                                               const std::uint32_t* shift, const T* weight, std::size_t c, T* out,
                                               std::size_t out_stride) {
  for (std::size_t r = 0; r < rows; ++r) {
    Vec<T> sum[groups][group_vectors<T>] = {};
    for (std::size_t k = 0; k < area; ++k) {
      const T* const in = taps[r * area + k];
      if (!in) continue;
      for (std::size_t g = 0; g < groups; ++g) {
        const T* const from = in + rotated_entry(c + g * fold_group, shift[k], m);
        const T* const w = weight + k * m + c + g * fold_group;
        for (std::size_t v = 0; v < group_vectors<T>; ++v) sum[g][v] += load(w + v * lanes<T>) * load(from + v * lanes<T>);
      }
    }
    for (std::size_t g = 0; g < groups; ++g)
      for (std::size_t v = 0; v < group_vectors<T>; ++v)
        store(out + r * out_stride + c + g * fold_group + v * lanes<T>, sum[g][v]);
  }
}

template <class T>
void fold_patches(std::size_t rows, const T* const* taps, std::size_t area, std::size_t m, const std::uint32_t* shift,
                  const T* weight, T* out, std::size_t out_stride) {
  // A few entries of all rows after another, whose weights stay in the first-level cache.
  std::size_t c = 0;
  for (; c + group_block<T> * fold_group <= m; c += group_block<T> * fold_group)
    fold_groups<T, group_block<T>>(rows, taps, area, m, shift, weight, c, out, out_stride);
  for (; c < m; c += fold_group) fold_groups<T, 1>(rows, taps, area, m, shift, weight, c, out, out_stride);
}

template <class T>
[[gnu::always_inline]] inline T sum_of_lanes(Vec<T> v) {
  T sum = 0;
  for (std::size_t k = 0; k < lanes<T>; ++k) sum += v[k];
  return sum;
}

// z <- u, all projections of a row.
template <class T>
[[gnu::always_inline]] inline void normalise_projections(const PixelFeatures<T>& f, std::size_t m, T mean, T* z) {
  for (std::size_t j = 0; j < f.degree; ++j) {
    T* const u = z + j * m;
    Vec<T> squares = {};
    for (std::size_t c = 0; c < m; c += lanes<T>) {
      Vec<T> value = load(u + c);
      if (f.offset) {
        value += mean * load(f.offset + j * m + c);
        store(u + c, value);
      }
      squares += value * value;
    }
    const T square = sum_of_lanes<T>(squares);
    const auto size = static_cast<T>(m);
    const T factor = square >= size * least_mean_square<T> ? static_cast<T>(__builtin_sqrt(size / square)) : T(0);
    for (std::size_t c = 0; c < m; c += lanes<T>) store(u + c, factor * load(u + c));
  }
}

template <class T>
void pixel_features(const PixelFeatures<T>& f, std::size_t rows, std::size_t m, T* z, std::size_t z_stride, const T* mean,
                    const T* norm, T scale_1, T scale_0, T* phi, std::size_t phi_stride, T* gate, std::size_t gate_stride) {
  constexpr T root_two = T(1.41421356237309504880), inverse_root_pi = T(0.56418958354775628695);
  for (std::size_t r = 0; r < rows; ++r) {
    T* const u = z + r * z_stride;
    normalise_projections(f, m, mean ? mean[r] : T(0), u);
    T* const to_phi = phi ? phi + r * phi_stride : nullptr;
    T* const to_gate = gate ? gate + r * gate_stride : nullptr;
    const T scale = norm[r] * scale_1;
    for (std::size_t c = 0; c < m; c += lanes<T>) {
      Vec<T> f_1 = {}, f_0 = {};
      if (f.relu) {
        const Vec<T> x = load(u + c);
        const Vec<T> zero = {}, one = splat(T(1) / root_two);
        f_1 = root_two * (x > 0 ? x : zero) - inverse_root_pi;
        f_0 = (x > 0 ? one : zero) - (x < 0 ? one : zero);
      } else {
        Vec<T> power = splat(T(1));
        for (std::size_t j = 0; j < f.degree; ++j) {
          power *= load(u + j * m + c);
          f_1 += load(f.kappa_1 + j * m + c) * power;
          f_0 += load(f.kappa_0 + j * m + c) * power;
        }
      }
      if (to_phi) store<T>(to_phi + c, scale * (f_1 + load(f.constant + c)));
      if (to_gate) store<T>(to_gate + c, scale_0 * f_0);
    }
  }
}

template <class T>
void add_combinations(std::size_t rows, std::size_t terms, const T* coefficient, std::size_t coefficient_stride,
                      const T* vector, T* io, std::size_t stride, std::size_t m) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T* const x = coefficient + r * coefficient_stride;
    T* const row = io + r * stride;
    std::size_t c = 0;
    for (; c + lanes<T> <= m; c += lanes<T>) {
      Vec<T> sum = load(row + c);
      for (std::size_t j = 0; j < terms; ++j) sum += x[j] * load(vector + j * m + c);
      store(row + c, sum);
    }
    for (; c < m; ++c)
      for (std::size_t j = 0; j < terms; ++j) row[c] += x[j] * vector[j * m + c];
  }
}

template <class T>
void mix_features(std::size_t rows, std::size_t m, const T* psi, std::size_t psi_stride, const T* phi,
                  std::size_t phi_stride, const T* gate, std::size_t gate_stride, T scale, const T* sign_phi,
                  const T* sign_product, T* out, std::size_t out_stride) {
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < m; c += lanes<T>) {
      const Vec<T> p = load(psi + r * psi_stride + c);
      store<T>(out + r * out_stride + c, scale * p + load(sign_phi + c) * load(phi + r * phi_stride + c) +
                                             load(sign_product + c) * p * load(gate + r * gate_stride + c));
    }
}

// The groups from column `col` on, entries c on of a block with `shift`, of one image's columns.
template <class T, std::size_t groups>
[[gnu::always_inline]] inline void pool_groups(const PoolColumns<T>& f, std::size_t first_pixel, std::size_t pixels,
                                               std::size_t m, const T* psi, std::size_t psi_stride, const T* phi,
                                               std::size_t phi_stride, const T* gate, std::size_t gate_stride,
                                               std::size_t shift, std::size_t c, std::size_t col, T* out) {
  constexpr std::size_t vectors = group_vectors<T>;
  constexpr std::size_t all = groups * vectors;
  Vec<T> linear[all], product[all], last[all], psi_sum[all] = {}, product_sum[all] = {}, phi_sum[all] = {};
  for (std::size_t v = 0; v < all; ++v) {
    linear[v] = load(f.linear + col + v * lanes<T>);
    product[v] = load(f.product + col + v * lanes<T>);
    last[v] = load(f.last + col + v * lanes<T>);
  }
  for (std::size_t p = 0; p < pixels; ++p) {
    const T* const x = psi ? psi + p * psi_stride : nullptr;
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t at = c + g * fold_group;
      const std::size_t turned = rotated_entry(at, shift, m);
      for (std::size_t v = 0; v < vectors; ++v) {
        const std::size_t i = g * vectors + v, entry = at + v * lanes<T>;
        Vec<T> a = {}, b = {}, d = {};
        if (psi) {
          a = load(x + entry);
          b = load(x + turned + v * lanes<T>) * load(gate + p * gate_stride + entry);
        }
        if (phi) d = load(phi + p * phi_stride + entry);
        if (f.signs) {
          const std::uint32_t* const signs = f.signs + (first_pixel + p) * f.words;
          psi_sum[i] += flip_signs<T>(linear[i] * a + product[i] * b + last[i] * d, signs, col + i * lanes<T>);
        } else {
          psi_sum[i] += a;
          product_sum[i] += b;
          phi_sum[i] += d;
        }
      }
    }
  }
  for (std::size_t v = 0; v < all; ++v) {
    T* const to = out + col + v * lanes<T>;
    const Vec<T> sum = f.signs ? psi_sum[v] : linear[v] * psi_sum[v] + product[v] * product_sum[v] + last[v] * phi_sum[v];
    store<T>(to, load(to) + sum);
  }
}

template <class T>
void pool_columns(const PoolColumns<T>& f, std::size_t first_pixel, std::size_t pixels, std::size_t m, const T* psi,
                  std::size_t psi_stride, const T* phi, std::size_t phi_stride, const T* gate, std::size_t gate_stride,
                  T* out, std::size_t cols) {
  // Two groups' sums and their inputs fit into the registers.
  constexpr std::size_t groups = group_vectors<T> < 2 ? 2 : 1;
  for (std::size_t block = 0; block * m < cols; ++block) {
    const std::size_t first = block * m;
    const std::size_t end = cols - first < m ? cols - first : m;
    const std::size_t shift = f.shift[block];
    std::size_t c = 0;
    for (; c + groups * fold_group <= end; c += groups * fold_group)
      pool_groups<T, groups>(f, first_pixel, pixels, m, psi, psi_stride, phi, phi_stride, gate, gate_stride, shift, c,
                             first + c, out);
    for (; c < end; c += fold_group)
      pool_groups<T, 1>(f, first_pixel, pixels, m, psi, psi_stride, phi, phi_stride, gate, gate_stride, shift, c, first + c,
                        out);
  }
}
