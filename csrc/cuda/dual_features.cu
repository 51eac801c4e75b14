// The dual activation of projections, and whole rows of features with structured directions in one pass.
//
// A row of D features is 32 bytes of arithmetic and 4 bytes of memory a feature, so that dual_rows() is bound by what a
// multiprocessor can issue. What one block of n = 1024 directions, a warp's chunk, costs in float32 (wavefronts are cycles
// of the path to shared memory and the first-level cache, of which a multiprocessor has one; instructions are issued to four
// schedulers):
//                            instructions   wavefronts
//   input, 784 of 1024            32            25
//   3 rotations and transforms  3 x 360       3 x 96 + coefficients 3 x 64... see below
