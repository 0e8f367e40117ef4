#include "CJPEG.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

/// More scans than any honest progressive file has; each costs a pass over the whole image.
enum { scan_limit = 200 };

/// libjpeg's error manager with the way back out; it comes first so that the pointers are interchangeable.
typedef struct {
    struct jpeg_error_mgr manager;
    jmp_buf way_out;
    char *error;
    size_t error_size;
} Session;

static void say(char *error, size_t error_size, const char *message) {
    if (error && error_size) snprintf(error, error_size, "%s", message);
}

static void on_error(j_common_ptr common) {
    Session *session = (Session *)common->err;
    char message[JMSG_LENGTH_MAX];
    session->manager.format_message(common, message);
    say(session->error, session->error_size, message);
    longjmp(session->way_out, 1);
}

/// Warnings that mean lost pixels are errors here; the others are nobody's business.
static void on_message(j_common_ptr common, int level) {
    if (level >= 0) return;
    switch (common->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        on_error(common);
    }
}

static void on_output(j_common_ptr common) { (void)common; }

static void on_progress(j_common_ptr common) {
    if (!common->is_decompressor || ((j_decompress_ptr)common)->input_scan_number <= scan_limit) return;
    Session *session = (Session *)common->err;
    say(session->error, session->error_size, "more scans than an honest JPEG file has");
    longjmp(session->way_out, 1);
}

static struct jpeg_error_mgr *manage(Session *session, char *error, size_t error_size) {
    jpeg_std_error(&session->manager);
    session->manager.error_exit = on_error;
    session->manager.emit_message = on_message;
    session->manager.output_message = on_output;
    session->error = error;
    session->error_size = error_size;
    return &session->manager;
}

CascadeJPEGStatus cascade_jpeg_size(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, size_t *width, size_t *height, char *error,
    size_t error_size) {
    Session session;
    struct jpeg_decompress_struct jpeg = {.err = manage(&session, error, error_size)};
    if (setjmp(session.way_out)) {
        jpeg_destroy_decompress(&jpeg);
        return CASCADE_JPEG_BROKEN;
    }
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, bytes, count);
    jpeg_read_header(&jpeg, TRUE);
    uint64_t columns = jpeg.image_width, rows = jpeg.image_height;
    jpeg_destroy_decompress(&jpeg);
    if (columns > pixel_limit / rows) {
        if (error && error_size)
            snprintf(
                error, error_size, "%llu x %llu pixels, more than the limit of %llu", (unsigned long long)columns,
                (unsigned long long)rows, (unsigned long long)pixel_limit);
        return CASCADE_JPEG_TOO_LARGE;
    }
    *width = columns;
    *height = rows;
    return CASCADE_JPEG_OK;
}

/// a * b / 255, rounded, for a and b in 0...255.
static uint8_t product(unsigned a, unsigned b) {
    unsigned value = a * b + 128;
    return (uint8_t)((value + (value >> 8)) >> 8);
}

CascadeJPEGStatus cascade_jpeg_decode(
    const uint8_t *bytes, size_t count, unsigned eighths, uint8_t *rgb, size_t capacity, char *error,
    size_t error_size) {
    Session session;
    struct jpeg_decompress_struct jpeg = {.err = manage(&session, error, error_size)};
    struct jpeg_progress_mgr progress = {.progress_monitor = on_progress};
    if (setjmp(session.way_out)) {
        jpeg_destroy_decompress(&jpeg);
        return CASCADE_JPEG_BROKEN;
    }
    jpeg_create_decompress(&jpeg);
    jpeg.progress = &progress;
    jpeg_mem_src(&jpeg, bytes, count);
    jpeg_read_header(&jpeg, TRUE);
    boolean four = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
    jpeg.out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg.scale_num = eighths;
    jpeg.scale_denom = 8;
    jpeg_start_decompress(&jpeg);
    size_t width = jpeg.output_width, height = jpeg.output_height, stride = width * 3;
    if (capacity / stride != height || capacity % stride) {
        say(error, error_size, "the buffer does not fit the image");
        jpeg_destroy_decompress(&jpeg);
        return CASCADE_JPEG_FAILED;
    }
    // libjpeg owns the scratch row, so it goes with the decompressor on every way out.
    JSAMPARRAY scratch =
        four ? jpeg.mem->alloc_sarray((j_common_ptr)&jpeg, JPOOL_IMAGE, (JDIMENSION)(width * 4), 1) : NULL;
    while (jpeg.output_scanline < height) {
        uint8_t *row = rgb + jpeg.output_scanline * stride;
        jpeg_read_scanlines(&jpeg, four ? scratch : &row, 1);
        if (!four) continue;
        const uint8_t *ink = scratch[0];
        for (size_t x = 0; x < width; x++)
            for (size_t channel = 0; channel < 3; channel++)
                row[x * 3 + channel] = product(ink[x * 4 + channel], ink[x * 4 + 3]);
    }
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);
    return CASCADE_JPEG_OK;
}

CascadeJPEGStatus cascade_jpeg_encode(
    const uint8_t *rgb, size_t width, size_t height, int quality, uint8_t **out, size_t *out_size, char *error,
    size_t error_size) {
    if (width == 0 || height == 0 || width > JPEG_MAX_DIMENSION || height > JPEG_MAX_DIMENSION) {
        say(error, error_size, "a JPEG file has 1 to 65500 pixels a side");
        return CASCADE_JPEG_FAILED;
    }
    Session session;
    // libjpeg writes through these two pointers; they must outlive a longjmp.
    unsigned char *volatile buffer = NULL;
    volatile unsigned long size = 0;
    struct jpeg_compress_struct jpeg = {.err = manage(&session, error, error_size)};
    if (setjmp(session.way_out)) {
        jpeg_destroy_compress(&jpeg);
        free(buffer);
        return CASCADE_JPEG_FAILED;
    }
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, (unsigned char **)&buffer, (unsigned long *)&size);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, quality, TRUE);
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(rgb + jpeg.next_scanline * width * 3);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    *out = buffer;
    *out_size = size;
    return CASCADE_JPEG_OK;
}

void cascade_jpeg_free(uint8_t *out) { free(out); }
