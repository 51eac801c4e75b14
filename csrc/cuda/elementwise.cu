#include "runtime.cuh"
