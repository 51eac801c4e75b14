// A layer of the convolutional NTK at one pair of positions, or a vector of them: included after relu_recursion.hpp, in the
// same namespace.
//
// Of c = mean/r it takes the gap e = 1 - |c|, from a difference in float64, so that its digits are there where c is near 1;
// kappa_1(c) = [c > 0] + kappa_1_change.

/// (r - |mean|)/r. Below a few float64 roundings of the sums it is 0: what is left of equal neighbourhoods.
template <class T, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline V cntk_gap(V difference, V r) {
  constexpr T rounding = static_cast<T>(16 * 2.220446049250313e-16);
  constexpr T smallest = sizeof(T) == 4 ? T(1.17549435e-38) : T(2.2250738585072014e-308);
  const V e = difference / (r + smallest);  // where r = 0, the difference is not positive
  return e > rounding ? e : V{};
}

template <class T, class V, class Mask>
[[gnu::always_inline]] FASTNTK_FORMULA inline V kappa_1_change(V w, V e, Mask negative) {
  const V t = arc<T>(w, e);
  return negative ? t : t - e;
}
