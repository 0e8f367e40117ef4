/// The door to libcurl: one GET over HTTP or HTTPS, its head and then its body, pulled piece by piece. Every error is
/// a value.
///
/// No call waits longer than `wait_ms`, so that the caller can be interrupted between two calls. What arrives while
/// nobody reads stays in the kernel: at most one piece of libcurl's (64 KiB) is held here. Redirects are told and not
/// followed; server certificates are verified. A transfer belongs to one thread at a time; many may run side by side.
///
/// Where a status is `CASCADE_CURL_BROKEN` or `CASCADE_CURL_REFUSED`, a sentence stands in `error` (cut to
/// `error_size`, always terminated); it never holds the address, which may hold a secret.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CASCADE_CURL_OK = 0,
    CASCADE_CURL_WAITING = 1,  ///< nothing yet: call again
    CASCADE_CURL_END = 2,      ///< the body is whole, as far as the server said how long it is
    CASCADE_CURL_BROKEN = 3,   ///< the connection failed or broke off: another attempt may do better
    CASCADE_CURL_REFUSED = 4,  ///< what another attempt will not change: a bad address, an untrusted certificate
} CascadeCurlStatus;

typedef struct CascadeCurl CascadeCurl;

/// What is asked for. All of it is copied; it stays the caller's.
typedef struct {
    const char *url;             ///< `http:` or `https:`
    const char *const *headers;  ///< lines `Name: value`
    size_t header_count;
    int64_t first_byte;  ///< where the range begins; negative for no range
    int64_t last_byte;   ///< the last byte of it; negative for the rest
    long connect_timeout_ms;
} CascadeCurlRequest;

/// The head of a response; everything in it is lent until the transfer is closed.
typedef struct {
    long status;           ///< 200, 206, 404 …
    const char *headers;   ///< the header lines as they came, without the status line
    const char *redirect;  ///< the absolute address a redirect points to, else NULL
} CascadeCurlHead;

/// Begins a transfer. On success `*transfer` belongs to the caller, who gives it to `cascade_curl_close`.
CascadeCurlStatus cascade_curl_open(
    const CascadeCurlRequest *request, CascadeCurl **transfer, char *error, size_t error_size);

/// Waits for the head of the response.
CascadeCurlStatus cascade_curl_head(
    CascadeCurl *transfer, int wait_ms, CascadeCurlHead *head, char *error, size_t error_size);

/// Reads up to `size` (at least 1) bytes of the body; `*got` is how many, above 0 only with `CASCADE_CURL_OK`.
CascadeCurlStatus cascade_curl_read(
    CascadeCurl *transfer, int wait_ms, uint8_t *buffer, size_t size, size_t *got, char *error, size_t error_size);

/// Breaks the transfer off, finished or not, and frees it; NULL is fine.
void cascade_curl_close(CascadeCurl *transfer);
