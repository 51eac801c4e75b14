#include "../src/config.hpp"

#include "blas.hpp"
#include "dispatch.hpp"
#include "thread_pool.hpp"

namespace fastntk {

void describe_cpu(Config& config) {
  config.instruction_set = cpu::instruction_set();
  config.available_instruction_sets = cpu::available_instruction_sets();
  config.blas = cpu::blas::description();
  config.threads = cpu::available_threads();
}

}  // namespace fastntk
