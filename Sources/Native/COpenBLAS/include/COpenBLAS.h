// The door to OpenBLAS, opened by name at run time and kept apart from every other BLAS in the process: its symbols are
// looked up in its own handle, and its own calls stay inside it.
//
// Matrices are float32 and row-major without gaps. Functions that can fail return 0, or 1 with a message; a message is
// cut to the size of its buffer and always closed by a zero byte.
#pragma once

#include <stddef.h>

// Opens libopenblas.so.0 and finds what is used of it. Later calls give the first one's answer; any thread may call.
int copenblas_load(char *message, size_t size);

// How the library was built and for which processor it chose its kernels; null where it could not be loaded. The text
// belongs to the library.
const char *copenblas_config(void);

// The file that "sgemm_" or "sgesdd_" was taken from; null where the library could not be loaded, and for other names.
// The text belongs to the loader.
const char *copenblas_path(const char *symbol);

// c [m, n] = a [m, k] * b [k, n].
int copenblas_gemm(
    int m, int n, int k, const float *a, const float *b, float *c, char *message, size_t size);

// a [m, n] = u [m, r] * diag(s [r], falling) * vt [r, n], r being the smaller of m and n; a is left as it is.
int copenblas_svd(
    int m, int n, const float *a, float *u, float *s, float *vt, char *message, size_t size);
