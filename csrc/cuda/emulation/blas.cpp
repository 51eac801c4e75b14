#include "runtime.hpp"
