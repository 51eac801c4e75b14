// The ReLU kernels as functions of the cosine of two rows (Cho and Saul 2009; Z21 Definition 1), for vectors of pairs and
// for single ones.
//
// Near |a| = 1 a rounded cosine a has lost the angle, so pairs are described by their signed gap: e = 1 - |a| with the sign
// of a. With w = sqrt(e) and two functions that are analytic in e,
//   acos(1 - e) = pi w Q(e),    t(e) = (sin acos(1 - e) - (1 - e) acos(1 - e))/pi = e w P(e),
// kappa_0(|a|) = 1 - w Q, kappa_0(-|a|) = w Q, kappa_1(|a|) = |a| + t and kappa_1(-|a|) = t: nothing cancels.
// A layer takes one square root and two polynomials.
//
// Each user includes this in an unnamed namespace of its own, after it has declared, for its values V of element type T,
// square_root<T>(V), magnitude<T>(V), with_sign<T>(V, V), and is_negative<T>(V), whose result may stand before a `?`.

// Minimax fits of Q and P on [0, 1], relative error 1.5e-8 (float) and 1e-16 (double).
template <class T>
struct AngleSeries {
  static constexpr int terms = 18;
  static FASTNTK_FORMULA constexpr T coefficient(int i) {
    constexpr T q[] = {0.450158158078552991,     0.0375131798399073057,     0.00844046546104785106,
                       0.00251204341429498893,   0.000854789854342116973,   0.0003147543030438249,
                       0.000121745668673012445,  0.000050996787891508315,   0.000012023257562313327,
                       0.0000354753320167142711, -0.0000614935672921548328, 0.000120223342700406839,
                       -0.000160805901295839582, 0.00016270792938750053,    -0.000117166503086423814,
                       0.000057893659446271267,  -0.0000175177308715396734, 2.5267736791036315e-6};
    return q[i];
  }
};
template <>
struct AngleSeries<float> {
  static constexpr int terms = 8;
  static FASTNTK_FORMULA constexpr float coefficient(int i) {
    constexpr float q[] = {0.450158152f,    0.0375139758f,  0.00842468189f,   0.00263012927f,
                           0.000428326709f, 0.00112549035f, -0.000679740349f, 0.000398977538f};
    return q[i];
  }
};

template <class T>
struct ArcSeries {
  static constexpr int terms = 17;
  static FASTNTK_FORMULA constexpr T coefficient(int i) {
    constexpr T p[] = {0.300105438719035368,    0.0150052719359452997,    0.0024115615617388167,    0.00055823182057412351,
                       0.000155417252017147656, 0.0000484132435159923156, 0.0000163130945440884944, 5.56863980705747288e-6,
                       2.93882203281339326e-6,  -1.41947743286637531e-6,  4.93102123091220126e-6,   -6.88343771542142516e-6,
                       7.84175056830165965e-6,  -6.14259329419401758e-6,  3.31822482222729747e-6,   -1.08611087052222002e-6,
                       1.71717271514907631e-7};
    return p[i];
  }
};
template <>
struct ArcSeries<float> {
  static constexpr int terms = 7;
  static FASTNTK_FORMULA constexpr float coefficient(int i) {
    constexpr float p[] = {0.300105443f,    0.0150048682f,   0.00241763391f, 0.000524403222f,
                           0.000242983529f, -6.21056411e-5f, 7.66552648e-5f};
    return p[i];
  }
};

/// The terms of a series from number i on, over x^i.
template <class Series, int i = 0, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline V polynomial(V x) {
  constexpr auto c = Series::coefficient(i);
  if constexpr (i + 1 == Series::terms)
    return V{} + c;
  else
    return polynomial<Series, i + 1>(x) * x + c;
}

/// w Q(e) = acos(1 - e)/pi.
template <class T, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline V angle(V w, V e) {
  return w * polynomial<AngleSeries<T>>(e);
}

/// e w P(e).
template <class T, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline V arc(V w, V e) {
  return e * (w * polynomial<ArcSeries<T>>(e));
}

/// The signed gap of a cosine, which may be beyond +-1 by rounding.
template <class T, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline V signed_gap(V cosine) {
  const V difference = 1 - magnitude<T>(cosine);
  return with_sign<T>(difference < 0 ? V{} : difference, cosine);
}

/// What the recursion carries from layer to layer: what is missing from the values at a = 1, and so keeps its digits there.
template <class V>
struct ReluPair {
  V gap;      // 1 - S_l
  V deficit;  // l + 1 - K_l
};

/// Layer 1, where the cosine may be negative.
template <class T, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline ReluPair<V> first_layer(V signed_gap) {
  const auto negative = is_negative<T>(signed_gap);
  const V e = magnitude<T>(signed_gap);
  const V w = square_root<T>(e);
  const V turn = angle<T>(w, e);
  const V t = arc<T>(w, e);
  const V closed = negative ? 1 - turn : turn;  // 1 - kappa_0
  const V open = negative ? turn : 1 - turn;
  const V gap = negative ? 1 - t : e - t;
  return {gap, (negative ? 2 - e : e) * open + closed + gap};
}

/// Layer l > 1: K_l = K_{l-1} kappa_0(S_{l-1}) + S_l becomes a sum of positive terms.
template <class T, bool with_deficit, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline ReluPair<V> next_layer(T l, ReluPair<V> pair) {
  const V e = pair.gap;
  const V w = square_root<T>(e);
  const V gap = e - arc<T>(w, e);
  if constexpr (with_deficit) {
    const V turn = angle<T>(w, e);
    return {gap, pair.deficit * (1 - turn) + l * turn + gap};
  } else {
    return {gap, pair.deficit};
  }
}

/// values[i] = the kernel of the signed gaps[i], for a few pairs side by side, whose latencies then hide each other.
template <class T, ReluKernel kind, std::size_t count, class V>
[[gnu::always_inline]] FASTNTK_FORMULA inline void relu_kernel_of(std::size_t depth, const V (&gaps)[count],
                                                                  V (&values)[count]) {
  if constexpr (kind == ReluKernel::arc_cosine_0) {
    FASTNTK_UNROLL
    for (std::size_t i = 0; i < count; ++i) {
      const V e = magnitude<T>(gaps[i]);
      const V turn = angle<T>(square_root<T>(e), e);
      values[i] = is_negative<T>(gaps[i]) ? turn : 1 - turn;
    }
  } else {
    constexpr bool ntk = kind == ReluKernel::ntk;
    ReluPair<V> pairs[count];
    FASTNTK_UNROLL
    for (std::size_t i = 0; i < count; ++i) pairs[i] = first_layer<T>(gaps[i]);
    for (std::size_t l = 2; l <= depth; ++l) {
      FASTNTK_UNROLL
      for (std::size_t i = 0; i < count; ++i) pairs[i] = next_layer<T, ntk>(static_cast<T>(l), pairs[i]);
    }
    const T top = ntk ? static_cast<T>(depth) + 1 : T(1);
    FASTNTK_UNROLL
    for (std::size_t i = 0; i < count; ++i) values[i] = top - (ntk ? pairs[i].deficit : pairs[i].gap);
  }
}
