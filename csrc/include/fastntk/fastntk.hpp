// Everything: include this, or only the steps you need.
#pragma once

#include <fastntk/config.hpp>
#include <fastntk/convert.hpp>
#include <fastntk/count_sketch.hpp>
#include <fastntk/dot_product_features.hpp>
#include <fastntk/dot_product_sketch.hpp>
#include <fastntk/error.hpp>
#include <fastntk/exact.hpp>
#include <fastntk/fwht.hpp>
#include <fastntk/gradient_features.hpp>
#include <fastntk/half.hpp>
#include <fastntk/kernel_series.hpp>
#include <fastntk/linear.hpp>
#include <fastntk/memory.hpp>
#include <fastntk/modified_directions.hpp>
#include <fastntk/ntk_features.hpp>
#include <fastntk/ntk_sketch.hpp>
#include <fastntk/poly_sketch.hpp>
#include <fastntk/ridge.hpp>
#include <fastntk/rng.hpp>
#include <fastntk/srht.hpp>
#include <fastntk/tensor_srht.hpp>
#include <fastntk/upload.hpp>
#include <fastntk/view.hpp>
