// The convolutional NTK of two images: the recursion of src/cntk.hpp, offset by offset.
//
// For one horizontal offset the columns that both images have are copied side by side, in rows of `stride` elements with as
// many zeros between them as a filter reaches over a row's end. A vertical offset then is a distance in memory, and so is a
// filter's tap: all loops run over whole vectors that pay no heed to where rows end. Between rows r = 0, which keeps the
// maps zero there.

/// The maps of one pair of images in scratch memory.
template <class T>
struct CntkMaps {
  double* columns;  // of both images' maps, at one horizontal offset
  double *kernel, *kernel_sums;
  T *gradient, *gradient_sums;  // Pi^(h-1) kappa_0 + Gamma^(h)
};

// Sizes of the maps of one pair: see CntkMaps.
struct CntkLayout {
  std::size_t plane;   // elements of a map's columns
  std::size_t before;  // zeros in front of the recursion's maps
  std::size_t map;     // elements of one of these, with what a filter may reach behind its rows
};

template <class T>
[[gnu::always_inline]] inline CntkLayout cntk_layout(const CntkPlan& plan) {
  constexpr std::size_t whole = 64 / sizeof(float);
  const auto rounded_up = [](std::size_t n) __attribute__((always_inline)) { return (n + whole - 1) / whole * whole; };
  const std::size_t stride = plan.width + plan.taps_before(plan.width);
  const std::size_t above = plan.taps_before(plan.height) * stride + plan.taps_before(plan.width);
  const std::size_t below = plan.same ? above : (plan.filter_size - 1) * (stride + 1);
  CntkLayout layout;
  layout.plane = rounded_up(plan.height * stride + whole);
  layout.before = rounded_up(above);
  layout.map = layout.before + rounded_up(plan.height * stride + below + 2 * whole);
  return layout;
}

/// Bytes of scratch memory, aligned to 64, that cntk_theta() takes.
template <class T>
std::size_t cntk_bytes(const CntkPlan& plan) {
  const CntkLayout layout = cntk_layout<T>(plan);
  return 2 * (plan.channels + plan.depth) * layout.plane * sizeof(double) + 2 * layout.map * (sizeof(double) + sizeof(T)) +
         2 * plan.height * sizeof(double);
}

template <class T>
[[gnu::always_inline]] inline void cntk_clear(std::size_t n, T* x) {
  __builtin_memset(x, 0, n * sizeof(T));
}

// The columns [first, first + width) of an image's maps, at `stride`.
template <class T>
void cntk_columns(const CntkPlan& plan, const CntkLayout& layout, const double* image, std::size_t first, std::size_t offset,
                  std::size_t stride, double* out) {
  const std::size_t maps = plan.channels + plan.depth;
  for (std::size_t m = 0; m < maps; ++m) {
    const std::size_t layer = m < plan.channels ? 0 : m - plan.channels + 1;
    const std::size_t width = plan.width_at(layer) - offset;
    double* const to = out + m * layout.plane;
    for (std::size_t i = 0; i < plan.height; ++i) {
      // Whole vectors: what they write too much the next ones overwrite.
      const double* const from = image + m * plan.pixels() + i * plan.width + first;
      double* const row = to + i * stride;
      for (std::size_t j = 0; j < width; j += lanes<double>) store<double>(row + j, load(from + j));
      for (std::size_t j = width; j < stride; j += lanes<double>) store<double>(row + j, Vec<double>{});
    }
    cntk_clear(layout.plane - plan.height * stride, to + plan.height * stride);
  }
}

/// An offset between positions of the right and of the left image.
struct CntkOffset {
  std::size_t rows, cols;           // its size
  std::size_t left_row, right_row;  // where the positions that have a partner start
};

// The sum of Pi^(L) over the pairs of positions at one offset.
template <class T>
double cntk_offset_sum(const CntkPlan& plan, const CntkLayout& layout, const CntkMaps<T>& maps, std::size_t stride,
                       const CntkOffset& offset) {
  constexpr std::size_t step = lanes<T>;
  const std::size_t rows = plan.height - offset.rows, cols = plan.width - offset.cols;
  const double share = 1 / (static_cast<double>(plan.filter_size) * static_cast<double>(plan.filter_size));
  const std::size_t all_maps = plan.channels + plan.depth;
  const double* const left = maps.columns + offset.left_row * stride;
  const double* const right = maps.columns + all_maps * layout.plane + offset.right_row * stride;
  const auto whole = [](std::size_t n) __attribute__((always_inline)) { return (n + step - 1) / step * step; };

  std::size_t n = whole(rows * stride);
  if (plan.channels == 3)
    cntk_products<3>(n, 3, layout.plane, left, right, maps.kernel);
  else
    cntk_products<0>(n, plan.channels, layout.plane, left, right, maps.kernel);

  const CntkTaps down{plan.taps(rows), plan.taps_before(rows), stride};
  const CntkTaps across{plan.taps(cols), plan.taps_before(cols), 1};
  if (plan.same) {
    // Zeros below the map, where the one of the offset before may have been; all layers leave them zero.
    const std::size_t reach = down.before * stride + across.before + step;
    cntk_clear(reach, maps.kernel + rows * stride);
    cntk_clear(reach, maps.gradient + rows * stride);
  }
  bool has_gradient = plan.train_first;
  bool own_gradient = false;
  for (std::size_t layer = 1; layer <= plan.depth; ++layer) {
    n = whole((plan.height_at(layer) - offset.rows) * stride);
    cntk_sums(n, down, maps.kernel, maps.kernel_sums);
    if (own_gradient) cntk_sums(n, down, maps.gradient, maps.gradient_sums);
    const std::size_t root = (plan.channels + layer - 1) * layout.plane;
    const CntkLayerMaps<T> now{left + root, right + root, maps.kernel_sums, maps.gradient_sums, maps.kernel, maps.gradient};
    const auto run = [&]<bool first, CntkGradient before>() __attribute__((always_inline)) {
      const auto of = [&]<std::size_t count>() __attribute__((always_inline)) {
        if (layer < plan.depth) return cntk_layer<T, count, first, before, false, true>(n, across, share, now);
        if (plan.train_last) return cntk_layer<T, count, first, before, true, true>(n, across, share, now);
        return cntk_layer<T, count, first, before, true, false>(n, across, share, now);
      };
      return across.count == 3 ? of.template operator()<3>() : of.template operator()<0>();
    };
    double sum;
    if (layer == 1)
      sum = has_gradient ? run.template operator()<true, CntkGradient::kernel>()
                         : run.template operator()<true, CntkGradient::none>();
    else
      sum = own_gradient ? run.template operator()<false, CntkGradient::own>()
                         : run.template operator()<false, CntkGradient::kernel>();
    if (layer == plan.depth) return sum;
    own_gradient = has_gradient;
    has_gradient = true;
  }
  return 0;
}

/// Theta of two images stored as CntkPlan says. Offsets are added with their opposites, which keeps Theta symmetric.
template <class T>
double cntk_theta(const CntkPlan& plan, const double* left, const double* right, void* work) {
  const CntkLayout layout = cntk_layout<T>(plan);
  CntkMaps<T> maps;
  maps.columns = static_cast<double*>(work);
  const std::size_t planes = (plan.channels + plan.depth) * layout.plane;
  double* const kernels = maps.columns + 2 * planes;
  T* const gradients = reinterpret_cast<T*>(kernels + 2 * layout.map);
  cntk_clear(2 * layout.map, kernels);
  cntk_clear(2 * layout.map, gradients);
  maps.kernel = kernels + layout.before;
  maps.kernel_sums = maps.kernel + layout.map;
  maps.gradient = gradients + layout.before;
  maps.gradient_sums = maps.gradient + layout.map;
  double* const sums = reinterpret_cast<double*>(gradients + 2 * layout.map);

  const std::size_t rows = plan.height_at(plan.depth), cols = plan.width_at(plan.depth);
  double total = 0;
  for (std::size_t dj = 0; dj < (plan.gap ? cols : 1); ++dj) {
    const std::size_t width = plan.width - dj;
    const std::size_t stride = width + plan.taps_before(width);
    const auto take_columns = [&](std::size_t left_first, std::size_t right_first) {
      cntk_columns<T>(plan, layout, left, left_first, dj, stride, maps.columns);
      cntk_columns<T>(plan, layout, right, right_first, dj, stride, maps.columns + planes);
    };
    const auto sum_at = [&](std::size_t left_row, std::size_t right_row) {
      return cntk_offset_sum(plan, layout, maps, stride, {left_row + right_row, dj, left_row, right_row});
    };
    // Vertical offsets 0, 1, ..., rows - 1 and, where these are not the opposites, -1, -2, ...
    const std::size_t count = !plan.gap ? 1 : dj == 0 ? rows : 2 * rows - 1;
    const auto down = [&](std::size_t k) { return k < rows ? k : 0; };
    const auto up = [&](std::size_t k) { return k < rows ? 0 : k - rows + 1; };
    take_columns(0, dj);
    for (std::size_t k = 0; k < count; ++k) sums[k] = sum_at(up(k), down(k));
    if (left != right && dj > 0) take_columns(dj, 0);
    for (std::size_t k = 0; k < count; ++k) {
      const bool own_opposite = dj == 0 && k == 0;
      if (!own_opposite) sums[k] += left == right ? sums[k] : sum_at(down(k), up(k));
      total += sums[k];
    }
  }
  const double positions = static_cast<double>(rows) * static_cast<double>(cols);
  return total * (1 / (plan.gap ? positions * positions : positions));
}
