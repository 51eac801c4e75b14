// The features of all pixels of a tile of images, in bands of rows: each layer makes the rows that the next one needs.
#include <algorithm>
#include <cmath>

#include "gradient_primitives.hpp"
#include "pixel_layers.hpp"
#include "tiling.hpp"

namespace fastntk {
namespace {

// out[p][j] = the mean of in[.][j] over the patch of p, for whole images; in (images * height * width, k).
template <Real T, Backend B>
void patch_means(Tile<B>& tile, const PatchBand& band, View<const T, B> in, View<T, B> out) {
  const T share = T(1) / static_cast<T>(band.q * band.q);
  for_each(tile, out.rows * out.cols, [=] FASTNTK_FORMULA(std::size_t index) {
    const std::size_t row = index / out.cols, column = index % out.cols;
    const std::size_t j = row % band.width, i = row / band.width % band.count, b = row / band.width / band.count;
    T sum = 0;
    for (std::size_t k = 0; k < band.q; ++k) {
      const std::size_t y = i + k - band.pad;
      if (y >= band.in.height) continue;
      const std::size_t first = band.in.row(b, y, 0);
      for (std::size_t l = 0; l < band.q; ++l) {
        const std::size_t x = j + l - band.pad;
        if (x < band.in.width) sum += in(first + x, column);
      }
    }
    out(row, column) = share * sum;
  });
}

template <Real T, Backend B>
void squared_norms(Tile<B>& tile, View<const T, B> pixels, T scale, View<T, B> square) {
  for_each(tile, pixels.rows, [=] FASTNTK_FORMULA(std::size_t p) {
    T sum = 0;
    for (std::size_t c = 0; c < pixels.cols; ++c) sum += pixels(p, c) * pixels(p, c);
    square(p, 0) = scale * sum;
  });
}

// The numbers of eta: those of psi, the patch's means times q, times `scale`, then e.
template <Real T, Backend B>
void eta_numbers(Tile<B>& tile, View<const T, B> means, T scale, const T* norm, T e_scale, View<T, B> out) {
  for_each(tile, out.rows, [=] FASTNTK_FORMULA(std::size_t p) {
    for (std::size_t j = 0; j < means.cols; ++j) out(p, j) = scale * means(p, j);
    out(p, means.cols) = e_scale * norm[p];
  });
}

template <Real T, Backend B>
void square_roots(Tile<B>& tile, View<const T, B> square, T* root) {
  for_each(tile, square.rows, [=] FASTNTK_FORMULA(std::size_t p) { root[p] = std::sqrt(square(p, 0)); });
}

template <Real T, Backend B>
void scale_all(Tile<B>& tile, View<T, B> v, T scale) {
  for_each(tile, v.rows * v.cols, [=] FASTNTK_FORMULA(std::size_t i) { v(i / v.cols, i % v.cols) *= scale; });
}

// Rows without gaps, so that a block of them is a vector.
template <Real T, Backend B>
View<T, B> dense_scratch(Tile<B>& tile, std::size_t rows, std::size_t cols) {
  return View<T, B>(tile.template scratch<T>(1, rows * cols).data, rows, cols);
}

// The two fields of a layer, and how much of them is made.
template <Real T, Backend B>
struct LayerFields {
  Field field;
  View<T, B> phi, eta;
  std::size_t rows = 0;
};

template <Real T, Backend B>
class Bands {
 public:
  Bands(Tile<B>& tile, const PixelLayers<T, B>& layers, std::size_t images, View<const T, B> pixels,
        const PixelMaps<T, B>& maps)
      : tile_(tile),
        layers_(layers),
        pixels_(pixels.data, images, layers.image.features()),
        maps_(maps),
        band_(layers.band_rows(tile.backend())),
        depth_(layers.layers.size()),
        input_{images, layers.image.height, layers.image.width, layers.image.height} {
    const std::size_t held = layers.held_rows(tile.backend());
    for (std::size_t h = 0; h + 1 < depth_; ++h) {
      const PixelLayer<T, B>& layer = layers.layers[h];
      // A band's rows of several images, one image after another, are the field's if they are all that it has.
      const std::size_t rows =
          layer.height <= band_ ? layer.height : std::min(held, (layer.height + band_ - 1) / band_ * band_);
      const Field field{images, layer.height, layer.width, rows};
      const View<T, B> phi = dense_scratch<T>(tile, images * rows * layer.width, layers.m);
      // Without psi below, eta is phi.
      const View<T, B> eta = layer.has_psi ? dense_scratch<T>(tile, images * rows * layer.width, layers.m) : phi;
      fields_.push_back({field, phi, eta});
    }
    const std::size_t most = images * std::min(band_, layers.layers[0].height) * layers.layers[0].width;
    patch_ = dense_scratch<T>(tile, most, layers.q * layers.q * layers.image.channels);
    sum_ = dense_scratch<T>(tile, most, layers.m);
    projected_ = dense_scratch<T>(tile, most, layers.m * layers.degree);
    gate_ = dense_scratch<T>(tile, most, layers.m);
    if (layers.train_last) phi_ = dense_scratch<T>(tile, most, layers.m);
  }

  void run(FunctionRef<void(const PixelBand<T, B>&)> take) {
    const std::size_t height = layers_.last().height;
    for (std::size_t first = 0; first < height; first += band_) {
      const std::size_t rows = std::min(band_, height - first);
      take(make(depth_ - 1, first, rows));
    }
  }

 private:
  // At least the rows below `end` of layer h's fields.
  void ensure(std::size_t h, std::size_t end) {
    LayerFields<T, B>& fields = fields_[h];
    while (fields.rows < end) {
      const std::size_t rows = std::min(band_, fields.field.height - fields.rows);
      make(h, fields.rows, rows);
      fields.rows += rows;
    }
  }

  // The rows [first, first + count) of layer h (counted from 0), and of its fields, but for the last layer, which has none.
  // They are overwritten by the next.
  PixelBand<T, B> make(std::size_t h, std::size_t first, std::size_t count) {
    const PixelLayer<T, B>& layer = layers_.layers[h];
    const std::size_t q = layers_.q, pad = layers_.pad, m = layers_.m;
    const bool last = h + 1 == depth_;
    const Field& below = h > 0 ? fields_[h - 1].field : input_;
    if (h > 0) ensure(h - 1, std::min(below.height, first + count - 1 + q - pad));

    const PatchBand band{below, q, pad, first, count, layer.width};
    const std::size_t rows = band.rows();
    const std::size_t offset = first * layer.width;  // of the band's first pixel in the maps
    const View<T, B> sum = sum_.row_block(0, rows);
    const View<T, B> z = projected_.row_block(0, rows);
    const View<T, B> patch = patch_.row_block(0, rows);
    // The band's pixels follow each other, of several images because it is all that they have.
    if (h == 0)
      neighbourhoods<T, B>(tile_, {below.height, below.width, q, pad}, pixels_, layers_.image.channels, offset, patch);
    else
      fold_patches<T, B>(tile_, band, fields_[h - 1].phi, layer.phi_fold.fold(), sum);
    const View<const T, B> input = h == 0 ? patch : sum;
    for (std::size_t j = 0; j < layers_.degree; ++j)
      project_all<T, B>(tile_, layer.directions[j], input, z.col_block(j * m, m));

    const double filter = static_cast<double>(q);
    const PixelFeatures<T> features{layers_.relu,         layers_.degree,       layer.offset.data(),
                                    layer.kappa_1.data(), layer.kappa_0.data(), layer.constant.data()};
    const std::size_t slot = last ? 0 : first % fields_[h].field.held * layer.width;
    const View<T, B> phi =
        last ? (layers_.train_last ? phi_.row_block(0, rows) : View<T, B>()) : fields_[h].phi.row_block(slot, rows);
    const View<T, B> gate = layer.has_psi ? gate_.row_block(0, rows) : View<T, B>();
    pixel_features<T, B>(tile_, features, z, maps_.mean[h] ? maps_.mean[h] + offset : nullptr, maps_.norm[h] + offset,
                         static_cast<T>(1 / (filter * std::sqrt(static_cast<double>(m)))), static_cast<T>(1 / filter), phi,
                         gate);

    View<T, B> psi;
    if (layer.has_psi) {
      psi = sum;
      if (h == 0) {
        project_all<T, B>(tile_, *layers_.first_psi, patch, psi);
        scale_all<T, B>(tile_, psi, static_cast<T>(1 / std::sqrt(static_cast<double>(m))));
      } else {
        fold_patches<T, B>(tile_, band, fields_[h - 1].eta, layer.psi_fold.fold(), psi);
        add_combinations<T, B>(tile_, maps_.numbers[h].row_block(offset, rows), layer.correction.data(), psi);
      }
      if (!last)
        mix_features<T, B>(tile_, psi, phi, gate, static_cast<T>(layer.root_b0 / filter), layer.sign_phi.data(),
                           layer.sign_product.data(), fields_[h].eta.row_block(slot, rows));
    }
    return {first, count, psi, phi, gate};
  }

  Tile<B>& tile_;
  const PixelLayers<T, B>& layers_;
  View<const T, B> pixels_;
  const PixelMaps<T, B>& maps_;
  std::size_t band_, depth_;
  Field input_;
  std::vector<LayerFields<T, B>> fields_;
  View<T, B> patch_, sum_, projected_, gate_, phi_;
};

}  // namespace

template <Real T, Backend B>
PixelMaps<T, B> pixel_maps(Tile<B>& tile, const PixelLayers<T, B>& layers, std::size_t images, View<const T, B> pixels) {
  PixelMaps<T, B> maps;
  const double filter = static_cast<double>(layers.q);
  Field below{images, layers.image.height, layers.image.width, layers.image.height};
  View<T, B> square = dense_scratch<T>(tile, pixels.rows, 1);
  squared_norms<T, B>(tile, pixels, static_cast<T>(filter * filter), square);
  View<T, B> numbers;  // of eta below
  for (std::size_t h = 0; h < layers.layers.size(); ++h) {
    const PixelLayer<T, B>& layer = layers.layers[h];
    const PatchBand band{below, layers.q, layers.pad, 0, layer.height, layer.width};
    const std::size_t rows = band.rows();
    const View<T, B> next = dense_scratch<T>(tile, rows, 1);
    patch_means<T, B>(tile, band, square, next);
    square = next;
    T* const norm = tile.template scratch<T>(1, rows).data;
    square_roots<T, B>(tile, square, norm);
    maps.norm.push_back(norm);

    View<T, B> means(nullptr, rows, 0, 0);
    T* mean = nullptr;
    if (h > 0) {
      means = dense_scratch<T>(tile, rows, layer.numbers);
      patch_means<T, B>(tile, band, numbers, means);
      const View<T, B> of_e = dense_scratch<T>(tile, rows, 1);
      copy<T, B>(tile, means.col_block(layer.numbers - 1, 1), of_e);
      mean = of_e.data;
    }
    maps.mean.push_back(mean);
    maps.numbers.push_back(means);
    numbers = dense_scratch<T>(tile, rows, layer.numbers + 1);
    // psi's numbers are q times the means, and eta has them times sqrt(b_0)/q.
    eta_numbers<T, B>(tile, means, static_cast<T>(layer.root_b0), norm, static_cast<T>(layer.root_a0 / filter), numbers);
    below = {images, layer.height, layer.width, layer.height};
  }
  return maps;
}

template <Real T, Backend B>
void for_bands(Tile<B>& tile, const PixelLayers<T, B>& layers, std::size_t images, View<const T, B> pixels,
               const PixelMaps<T, B>& maps, FunctionRef<void(const PixelBand<T, B>&)> take) {
  const typename Tile<B>::Scope scope(tile);
  Bands<T, B>(tile, layers, images, pixels, maps).run(take);
}

#define FASTNTK_INSTANTIATE(T)                                                                                      \
  template PixelMaps<T, FASTNTK_BACKEND> pixel_maps(Tile<FASTNTK_BACKEND>&, const PixelLayers<T, FASTNTK_BACKEND>&, \
                                                    std::size_t, View<const T, FASTNTK_BACKEND>);                   \
  template void for_bands(Tile<FASTNTK_BACKEND>&, const PixelLayers<T, FASTNTK_BACKEND>&, std::size_t,              \
                          View<const T, FASTNTK_BACKEND>, const PixelMaps<T, FASTNTK_BACKEND>&,                     \
                          FunctionRef<void(const PixelBand<T, FASTNTK_BACKEND>&)>);
FASTNTK_INSTANTIATE(float)
FASTNTK_INSTANTIATE(double)
#undef FASTNTK_INSTANTIATE

}  // namespace fastntk
