#define FASTNTK_ISA x86_64_v4
#include "isa.hpp"
