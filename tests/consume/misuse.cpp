// Mistakes that the types catch. Compiled once per mistake, which must fail, and once without any, which must not.
#include <fastntk/srht.hpp>

using fastntk::Cuda;

void use(const fastntk::Srht<float>& srht, const fastntk::Srht<float, Cuda>& device_srht, float* in, float* out) {
  const fastntk::View<const float> x(in, 1, 8);
  const fastntk::View<float> z(out, 1, 8);
  const fastntk::View<const float, Cuda> device_x(in, 1, 8);
  const fastntk::View<float, Cuda> device_z(out, 1, 8);
#if defined(MISUSE_RIGHT)
  srht(x, z);
  srht({in, 1, 8}, {out, 1, 8});
  device_srht(device_x, device_z);
#elif defined(MISUSE_HOST_VIEW_ON_DEVICE)
  device_srht(x, device_z);
#elif defined(MISUSE_HOST_BRACES_ON_DEVICE)
  device_srht({in, 1, 8}, {out, 1, 8});
#elif defined(MISUSE_DEVICE_VIEW_ON_HOST)
  srht(x, device_z);
#elif defined(MISUSE_HOST_BACKEND_ON_DEVICE)
  device_srht.on(fastntk::Cpu{});
#elif defined(MISUSE_CONST_OUTPUT)
  srht(z, x);
#elif defined(MISUSE_OTHER_ELEMENT_TYPE)
  srht(x, fastntk::View<double>(nullptr, 1, 8));
#else
#error "name the case"
#endif
}
