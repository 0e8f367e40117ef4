#define _GNU_SOURCE
#include "COpenBLAS.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Fortran's calling convention: every argument by address, then the lengths of the texts.
typedef void (*sgemm_function)(
    const char *transa, const char *transb, const int *m, const int *n, const int *k, const float *alpha,
    const float *a, const int *lda, const float *b, const int *ldb, const float *beta, float *c, const int *ldc,
    size_t, size_t);
typedef void (*sgesdd_function)(
    const char *job, const int *m, const int *n, float *a, const int *lda, float *s, float *u, const int *ldu,
    float *vt, const int *ldvt, float *work, const int *lwork, int *iwork, int *info, size_t);
typedef void (*sgelqf_function)(
    const int *m, const int *n, float *a, const int *lda, float *tau, float *work, const int *lwork, int *info);
typedef void (*sorglq_function)(
    const int *m, const int *n, const int *k, float *a, const int *lda, const float *tau, float *work,
    const int *lwork, int *info);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char reason[512];
static sgemm_function sgemm;
static sgesdd_function sgesdd;
static sgelqf_function sgelqf;
static sorglq_function sorglq;
static void (*set_threads)(int);
static const char *(*get_config)(void);
static char *(*get_core)(void);

static void *find(void *library, const char *name) {
    void *symbol = dlsym(library, name);
    if (!symbol && !reason[0]) snprintf(reason, sizeof reason, "libopenblas.so.0 has no %s", name);
    return symbol;
}

static void load(void) {
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!library) {
        const char *error = dlerror();
        snprintf(reason, sizeof reason, "%s", error ? error : "libopenblas.so.0 cannot be loaded");
        return;
    }
    sgemm = (sgemm_function)find(library, "sgemm_");
    sgesdd = (sgesdd_function)find(library, "sgesdd_");
    sgelqf = (sgelqf_function)find(library, "sgelqf_");
    sorglq = (sorglq_function)find(library, "sorglq_");
    set_threads = (void (*)(int))find(library, "openblas_set_num_threads");
    get_core = (char *(*)(void))find(library, "openblas_get_corename");
    get_config = (const char *(*)(void))find(library, "openblas_get_config");
}

static int fail(char *message, size_t size, const char *text) {
    if (message && size) snprintf(message, size, "%s", text);
    return 1;
}

int copenblas_load(char *message, size_t size) {
    pthread_once(&once, load);
    return reason[0] ? fail(message, size, reason) : 0;
}

const char *copenblas_config(void) {
    return copenblas_load(NULL, 0) ? NULL : get_config();
}

const char *copenblas_better_core(void) {
    if (copenblas_load(NULL, 0) || strcmp(get_core(), "Prescott")) return NULL;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        return "SkylakeX";
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
    return NULL;
}

const char *copenblas_path(const char *symbol) {
    if (copenblas_load(NULL, 0)) return NULL;
    void *address = !strcmp(symbol, "sgemm_") ? (void *)sgemm : !strcmp(symbol, "sgesdd_") ? (void *)sgesdd : NULL;
    Dl_info info;
    return address && dladdr(address, &info) ? info.dli_fname : NULL;
}

int copenblas_set_threads(int count, char *message, size_t size) {
    if (copenblas_load(message, size)) return 1;
    set_threads(count);
    return 0;
}

int copenblas_gemm(
    int m, int n, int k, float alpha, copenblas_factor a, copenblas_factor b, float beta, float *c, int c_stride,
    char *message, size_t size) {
    if (copenblas_load(message, size)) return 1;
    if (m < 1 || n < 1 || k < 1) return fail(message, size, "a matrix without rows or columns");
    // Column by column the same numbers are the transposes, and the transposed product is b' * a'.
    sgemm(
        b.transposed ? "T" : "N", a.transposed ? "T" : "N", &n, &m, &k, &alpha, b.values, &b.stride, a.values,
        &a.stride, &beta, c, &c_stride, 1, 1);
    return 0;
}

int copenblas_qr(int m, int n, float *a, float *r, char *message, size_t size) {
    if (copenblas_load(message, size)) return 1;
    if (n < 1 || m < n) return fail(message, size, "a matrix of fewer rows than columns, or without columns");
    // Column by column this is the transpose, a' = l * q': l is our r's transpose, q' the transpose of our q.
    int info = 0, query = -1;
    float lengths[2] = {0, 0};
    float *tau = malloc((size_t)n * sizeof *tau), *work = NULL;
    int status = 0;
    if (!tau) return fail(message, size, "out of memory");
    sgelqf(&n, &m, a, &n, tau, &lengths[0], &query, &info);
    sorglq(&n, &m, &n, a, &n, tau, &lengths[1], &query, &info);
    float best = lengths[0] > lengths[1] ? lengths[0] : lengths[1];
    if (!(best >= 1 && best < 2e9f)) {
        status = fail(message, size, "the matrix is too large to decompose");
        goto done;
    }
    // A float rounds large counts, possibly down.
    int length = (int)(best * 1.0001f) + 1;
    work = malloc((size_t)length * sizeof *work);
    if (!work) {
        status = fail(message, size, "out of memory");
        goto done;
    }
    sgelqf(&n, &m, a, &n, tau, work, &length, &info);
    for (int row = 0; row < n; row++) {
        for (int column = 0; column < n; column++) {
            r[row * (size_t)n + column] = column < row ? 0 : a[row * (size_t)n + column];
        }
    }
    sorglq(&n, &m, &n, a, &n, tau, work, &length, &info);
done:
    free(work);
    free(tau);
    return status;
}

int copenblas_svd(
    int m, int n, const float *a, float *u, float *s, float *vt, char *message, size_t size) {
    if (copenblas_load(message, size)) return 1;
    if (m < 1 || n < 1) return fail(message, size, "a matrix without rows or columns");
    int rank = m < n ? m : n, info = 0, query = -1;
    float best = 0;
    float *copy = malloc((size_t)m * (size_t)n * sizeof *copy);
    int *indices = malloc(8 * (size_t)rank * sizeof *indices);
    float *work = NULL;
    int status = 0;
    if (!copy || !indices) {
        status = fail(message, size, "out of memory");
        goto done;
    }
    memcpy(copy, a, (size_t)m * (size_t)n * sizeof *copy);
    // Column by column this is the transpose, whose u is our vt and whose vt is our u.
    sgesdd("S", &n, &m, copy, &n, s, vt, &n, u, &rank, &best, &query, indices, &info, 1);
    if (!(best >= 1 && best < 2e9f)) {
        status = fail(message, size, "the matrix is too large to decompose");
        goto done;
    }
    // A float rounds large counts, possibly down.
    int length = (int)(best * 1.0001f) + 1;
    work = malloc((size_t)length * sizeof *work);
    if (!work) {
        status = fail(message, size, "out of memory");
        goto done;
    }
    sgesdd("S", &n, &m, copy, &n, s, vt, &n, u, &rank, work, &length, indices, &info, 1);
    if (info < 0) status = fail(message, size, "the matrix holds numbers that are not finite");
    if (info > 0) status = fail(message, size, "the singular values did not converge");
done:
    free(work);
    free(indices);
    free(copy);
    return status;
}
