#define FASTNTK_ISA baseline
#include "isa.hpp"
