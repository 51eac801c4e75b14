// Mistakes that the types catch. Compiled once per mistake, which must fail, and once without any, which must not.
#include <fastntk/srht.hpp>

struct ElsewhereInMemory {};

void use(const fastntk::Srht<float>& srht, float* in, float* out) {
  const fastntk::View<const float> x(in, 1, 8);
  const fastntk::View<float> z(out, 1, 8);
#if defined(MISUSE_RIGHT)
  srht(x, z);
#elif defined(MISUSE_OTHER_MEMORY_SPACE)
  srht(x, fastntk::View<float, ElsewhereInMemory>(out, 1, 8));
#elif defined(MISUSE_CONST_OUTPUT)
  srht(z, x);
#elif defined(MISUSE_OTHER_ELEMENT_TYPE)
  srht(x, fastntk::View<double>(nullptr, 1, 8));
#else
#error "name the case"
#endif
}
