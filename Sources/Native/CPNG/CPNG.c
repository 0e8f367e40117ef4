#include "CPNG.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// What libpng's callbacks need; one per call, on the stack of the door's function.
typedef struct {
    const uint8_t *bytes;
    size_t count, position;
    uint8_t *out;
    size_t out_size, out_capacity;
    char *error;
    size_t error_size;
} Session;

static void say(char *error, size_t error_size, const char *message) {
    if (error && error_size) snprintf(error, error_size, "%s", message);
}

static void on_error(png_structp png, png_const_charp message) {
    Session *session = png_get_error_ptr(png);
    say(session->error, session->error_size, message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png;
    (void)message;
}

static void on_read(png_structp png, png_bytep data, size_t length) {
    Session *session = png_get_io_ptr(png);
    if (length > session->count - session->position) png_error(png, "the file ends too early");
    memcpy(data, session->bytes + session->position, length);
    session->position += length;
}

static void on_write(png_structp png, png_bytep data, size_t length) {
    Session *session = png_get_io_ptr(png);
    if (length > SIZE_MAX / 4 - session->out_size) png_error(png, "the image is too large to encode");
    if (session->out_size + length > session->out_capacity) {
        size_t capacity = 2 * (session->out_size + length);
        uint8_t *grown = realloc(session->out, capacity);
        if (!grown) png_error(png, "no memory for the encoded image");
        session->out = grown;
        session->out_capacity = capacity;
    }
    memcpy(session->out + session->out_size, data, length);
    session->out_size += length;
}

static void on_flush(png_structp png) { (void)png; }

static png_structp open_reader(Session *session, png_infop *info) {
    if (session->count < 8 || png_sig_cmp(session->bytes, 0, 8) != 0) {
        say(session->error, session->error_size, "not a PNG file");
        return NULL;
    }
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, session, on_error, on_warning);
    *info = png ? png_create_info_struct(png) : NULL;
    if (!*info) {
        say(session->error, session->error_size, "no memory for the PNG reader");
        png_destroy_read_struct(&png, NULL, NULL);
        return NULL;
    }
    png_set_read_fn(png, session, on_read);
    return png;
}

CascadePNGStatus cascade_png_size(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, size_t *width, size_t *height, char *error,
    size_t error_size) {
    Session session = {.bytes = bytes, .count = count, .error = error, .error_size = error_size};
    png_infop info = NULL;
    png_structp png = open_reader(&session, &info);
    if (!png) return CASCADE_PNG_BROKEN;
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return CASCADE_PNG_BROKEN;
    }
    png_read_info(png, info);
    uint64_t columns = png_get_image_width(png, info), rows = png_get_image_height(png, info);
    png_destroy_read_struct(&png, &info, NULL);
    if (columns > pixel_limit / rows) {
        if (error && error_size)
            snprintf(
                error, error_size, "%llu x %llu pixels, more than the limit of %llu", (unsigned long long)columns,
                (unsigned long long)rows, (unsigned long long)pixel_limit);
        return CASCADE_PNG_TOO_LARGE;
    }
    *width = columns;
    *height = rows;
    return CASCADE_PNG_OK;
}

CascadePNGStatus cascade_png_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgba, size_t capacity, char *error, size_t error_size) {
    Session session = {.bytes = bytes, .count = count, .error = error, .error_size = error_size};
    png_infop info = NULL;
    png_structp png = open_reader(&session, &info);
    if (!png) return CASCADE_PNG_BROKEN;
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return CASCADE_PNG_BROKEN;
    }
    png_read_info(png, info);
    png_set_scale_16(png);
    png_set_expand(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xFF, PNG_FILLER_AFTER);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    size_t stride = png_get_rowbytes(png, info), rows = png_get_image_height(png, info);
    if (stride != (size_t)png_get_image_width(png, info) * 4 || capacity / stride != rows || capacity % stride) {
        say(error, error_size, "the buffer does not fit the image");
        png_destroy_read_struct(&png, &info, NULL);
        return CASCADE_PNG_FAILED;
    }
    // libpng fills in the pixels of one interlace pass and leaves those of the others as they are.
    for (int pass = 0; pass < passes; pass++)
        for (size_t row = 0; row < rows; row++) png_read_row(png, rgba + row * stride, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    return CASCADE_PNG_OK;
}

CascadePNGStatus cascade_png_encode(
    const uint8_t *rgb, size_t width, size_t height, uint8_t **out, size_t *out_size, char *error,
    size_t error_size) {
    Session session = {.error = error, .error_size = error_size};
    if (width == 0 || height == 0 || width > PNG_UINT_31_MAX / 4 || height > PNG_UINT_31_MAX / 4) {
        say(error, error_size, "a PNG file can't have this size");
        return CASCADE_PNG_FAILED;
    }
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &session, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        say(error, error_size, "no memory for the PNG writer");
        return CASCADE_PNG_FAILED;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        free(session.out);
        return CASCADE_PNG_FAILED;
    }
    png_set_write_fn(png, &session, on_write, on_flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(
        png, info, (png_uint_32)width, (png_uint_32)height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
        PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (size_t row = 0; row < height; row++) png_write_row(png, rgb + row * width * 3);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    *out = session.out;
    *out_size = session.out_size;
    return CASCADE_PNG_OK;
}

void cascade_png_free(uint8_t *out) { free(out); }
