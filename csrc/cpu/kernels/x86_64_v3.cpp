#define FASTNTK_ISA x86_64_v3
#include "isa.hpp"
