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

// The value of OPENBLAS_CORETYPE with which the library would be faster: it takes processors newer than itself for old
// ones. Null where it knows the processor, or could not be loaded. It reads the variable when it is loaded.
const char *copenblas_better_core(void);

// The file that "sgemm_" or "sgesdd_" was taken from; null where the library could not be loaded, and for other names.
// The text belongs to the loader.
const char *copenblas_path(const char *symbol);

// How many threads one call may use.
int copenblas_set_threads(int count, char *message, size_t size);

// A factor of a product: its rows lie `stride` numbers apart. Transposed, it is stored as the transpose of what the
// product takes.
typedef struct {
    const float *values;
    int stride;
    int transposed;
} copenblas_factor;

// c [m, n] = alpha * a [m, k] * b [k, n] + beta * c, the rows of c `c_stride` numbers apart. With beta 0 c is only
// written.
int copenblas_gemm(
    int m, int n, int k, float alpha, copenblas_factor a, copenblas_factor b, float beta, float *c, int c_stride,
    char *message, size_t size);

// a [m, n] = q [m, n] * r [n, n], r upper triangular, m at least n; a becomes q.
int copenblas_qr(int m, int n, float *a, float *r, char *message, size_t size);

// a [m, n] = u [m, r] * diag(s [r], falling) * vt [r, n], r being the smaller of m and n; a is left as it is.
int copenblas_svd(
    int m, int n, const float *a, float *u, float *s, float *vt, char *message, size_t size);
