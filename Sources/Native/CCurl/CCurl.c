#include "CCurl.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { piece_size = 1 << 16, most_head = 1 << 18 };

struct CascadeCurl {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char *head;  ///< header lines of the response at hand, terminated
    size_t head_count;
    int has_head;
    int is_whole;    ///< libcurl has finished
    CURLcode result;  ///< how, once it has
    int is_paused;
    size_t start, end;  ///< the unread part of `piece`
    char reason[CURL_ERROR_SIZE];
    uint8_t piece[piece_size];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void start_libcurl(void) { global_result = curl_global_init(CURL_GLOBAL_DEFAULT); }

static void say(char *error, size_t error_size, const char *message) {
    if (error && error_size) snprintf(error, error_size, "%s", message);
}

/// A piece that finds no room is refused whole and comes again once the transfer goes on.
static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    CascadeCurl *transfer = context;
    size_t length = size * count;
    if (transfer->start == transfer->end) transfer->start = transfer->end = 0;
    if (length > piece_size - transfer->end) {
        transfer->is_paused = 1;
        return CURL_WRITEFUNC_PAUSE;
    }
    memcpy(transfer->piece + transfer->end, bytes, length);
    transfer->end += length;
    return length;
}

/// Keeps the lines of the last head: a 100 Continue has one of its own. What comes after the body is passed over.
static size_t on_header(char *bytes, size_t size, size_t count, void *context) {
    CascadeCurl *transfer = context;
    size_t length = size * count;
    if (transfer->has_head) return length;
    if (length >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        transfer->head_count = 0;
        transfer->head[0] = 0;
        return length;
    }
    if (length > 0 && (bytes[0] == '\r' || bytes[0] == '\n')) {
        long status = 0;
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        transfer->has_head = status >= 200;
        return length;
    }
    if (length > most_head - transfer->head_count) return 0;
    char *grown = realloc(transfer->head, transfer->head_count + length + 1);
    if (!grown) return 0;
    transfer->head = grown;
    memcpy(grown + transfer->head_count, bytes, length);
    transfer->head_count += length;
    grown[transfer->head_count] = 0;
    return length;
}

static CURLcode restrict_protocols(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static CURLcode set_range(CURL *easy, const CascadeCurlRequest *request) {
    if (request->first_byte < 0) return CURLE_OK;
    char range[64];
    if (request->last_byte < 0)
        snprintf(range, sizeof range, "%lld-", (long long)request->first_byte);
    else
        snprintf(range, sizeof range, "%lld-%lld", (long long)request->first_byte, (long long)request->last_byte);
    return curl_easy_setopt(easy, CURLOPT_RANGE, range);
}

static CURLcode configure(CascadeCurl *transfer, const CascadeCurlRequest *request) {
    CURL *easy = transfer->easy;
    CURLcode code = CURLE_OK;
#define SET(option, value) \
    if (code == CURLE_OK) code = curl_easy_setopt(easy, option, value)
    SET(CURLOPT_ERRORBUFFER, transfer->reason);
    SET(CURLOPT_URL, request->url);
    if (code == CURLE_OK) code = restrict_protocols(easy);
    if (code == CURLE_OK) code = set_range(easy, request);
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // a proxy's answer to CONNECT is no head of the response
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);  // HTTP/2 would read ahead by megabytes
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, request->connect_timeout_ms);
    SET(CURLOPT_BUFFERSIZE, (long)piece_size);
    SET(CURLOPT_USERAGENT, "cascade-adapt");
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, transfer);
#undef SET
    return code;
}

/// What a result of libcurl's means, its sentence in `error`.
static CascadeCurlStatus judge(const CascadeCurl *transfer, CURLcode code, char *error, size_t error_size) {
    if (code == CURLE_OK) return CASCADE_CURL_END;
    const char *known = curl_easy_strerror(code);
    say(error, error_size, transfer && transfer->reason[0] ? transfer->reason : known);
    switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_BAD_FUNCTION_ARGUMENT:
    case CURLE_WRITE_ERROR:  // a head without end
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ENGINE_INITFAILED:
        return CASCADE_CURL_REFUSED;
    default:
        return CASCADE_CURL_BROKEN;
    }
}

CascadeCurlStatus cascade_curl_open(
    const CascadeCurlRequest *request, CascadeCurl **transfer, char *error, size_t error_size) {
    pthread_once(&once, start_libcurl);
    CascadeCurl *opened = global_result == CURLE_OK ? calloc(1, sizeof *opened) : NULL;
    if (!opened) {
        say(error, error_size, "libcurl could not be started");
        return CASCADE_CURL_REFUSED;
    }
    opened->multi = curl_multi_init();
    opened->easy = curl_easy_init();
    opened->head = calloc(1, 1);
    int is_whole = opened->multi && opened->easy && opened->head;
    for (size_t i = 0; is_whole && i < request->header_count; i++) {
        struct curl_slist *longer = curl_slist_append(opened->headers, request->headers[i]);
        is_whole = longer != NULL;
        if (longer) opened->headers = longer;
    }
    CURLcode code = is_whole ? configure(opened, request) : CURLE_OUT_OF_MEMORY;
    if (code == CURLE_OK && curl_multi_add_handle(opened->multi, opened->easy) != CURLM_OK) code = CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        judge(opened, code, error, error_size);
        cascade_curl_close(opened);
        return CASCADE_CURL_REFUSED;
    }
    *transfer = opened;
    return CASCADE_CURL_OK;
}

/// Lets libcurl do what it can without waiting.
static CURLMcode perform(CascadeCurl *transfer) {
    int running = 0;
    CURLMcode code = curl_multi_perform(transfer->multi, &running);
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(transfer->multi, &left));) {
        if (message->msg != CURLMSG_DONE) continue;
        transfer->is_whole = 1;
        transfer->result = message->data.result;
    }
    return code;
}

/// Whether what the caller waits for is there, or will never be.
static int is_ready(const CascadeCurl *transfer, int for_body) {
    return transfer->is_whole || (for_body ? transfer->start < transfer->end : transfer->has_head);
}

/// Goes on until the head, or a piece of the body, is there; waits once at most.
static CascadeCurlStatus advance(CascadeCurl *transfer, int for_body, int wait_ms, char *error, size_t error_size) {
    if (is_ready(transfer, for_body)) return CASCADE_CURL_OK;
    if (for_body && transfer->is_paused) {
        transfer->is_paused = 0;
        curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    }
    CURLMcode code = perform(transfer);
    if (code == CURLM_OK && !is_ready(transfer, for_body)) {
        code = curl_multi_poll(transfer->multi, NULL, 0, wait_ms, NULL);
        if (code == CURLM_OK) code = perform(transfer);
    }
    if (code == CURLM_OK) return is_ready(transfer, for_body) ? CASCADE_CURL_OK : CASCADE_CURL_WAITING;
    say(error, error_size, curl_multi_strerror(code));
    return CASCADE_CURL_BROKEN;
}

CascadeCurlStatus cascade_curl_head(
    CascadeCurl *transfer, int wait_ms, CascadeCurlHead *head, char *error, size_t error_size) {
    CascadeCurlStatus status = advance(transfer, 0, wait_ms, error, error_size);
    if (status != CASCADE_CURL_OK) return status;
    if (!transfer->has_head) {
        if (transfer->result != CURLE_OK) return judge(transfer, transfer->result, error, error_size);
        say(error, error_size, "the server closed the connection without an answer");
        return CASCADE_CURL_BROKEN;
    }
    head->headers = transfer->head;
    head->redirect = NULL;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &head->status);
    char *redirect = NULL;
    if (curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &redirect) == CURLE_OK) head->redirect = redirect;
    return CASCADE_CURL_OK;
}

CascadeCurlStatus cascade_curl_read(
    CascadeCurl *transfer, int wait_ms, uint8_t *buffer, size_t size, size_t *got, char *error, size_t error_size) {
    *got = 0;
    CascadeCurlStatus status = advance(transfer, 1, wait_ms, error, error_size);
    if (status != CASCADE_CURL_OK) return status;
    size_t count = transfer->end - transfer->start;
    if (count == 0) return judge(transfer, transfer->result, error, error_size);
    if (count > size) count = size;
    memcpy(buffer, transfer->piece + transfer->start, count);
    transfer->start += count;
    *got = count;
    return CASCADE_CURL_OK;
}

void cascade_curl_close(CascadeCurl *transfer) {
    if (!transfer) return;
    if (transfer->multi && transfer->easy) curl_multi_remove_handle(transfer->multi, transfer->easy);
    if (transfer->easy) curl_easy_cleanup(transfer->easy);
    if (transfer->multi) curl_multi_cleanup(transfer->multi);
    curl_slist_free_all(transfer->headers);
    free(transfer->head);
    free(transfer);
}
