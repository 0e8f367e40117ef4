#include "CWebP.h"

#include <stdio.h>
#include <webp/decode.h>
#include <webp/encode.h>

static void say(char *error, size_t error_size, const char *message) {
    if (error && error_size) snprintf(error, error_size, "%s", message);
}

static const char *meaning(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY: return "no memory for the image";
    case VP8_STATUS_BITSTREAM_ERROR: return "the data is damaged";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "a feature that libwebp can't read";
    case VP8_STATUS_NOT_ENOUGH_DATA: return "the file ends too early";
    default: return "not a WebP image";
    }
}

static CascadeWebPStatus features(
    const uint8_t *bytes, size_t count, WebPBitstreamFeatures *found, char *error, size_t error_size) {
    VP8StatusCode code = WebPGetFeatures(bytes, count, found);
    if (code != VP8_STATUS_OK) {
        say(error, error_size, meaning(code));
        return CASCADE_WEBP_BROKEN;
    }
    if (found->has_animation) {
        say(error, error_size, "an animation without a frame");
        return CASCADE_WEBP_BROKEN;
    }
    if (found->width <= 0 || found->height <= 0) {
        say(error, error_size, "an image without pixels");
        return CASCADE_WEBP_BROKEN;
    }
    return CASCADE_WEBP_OK;
}

CascadeWebPStatus cascade_webp_size(
    const uint8_t *bytes, size_t count, uint64_t pixel_limit, size_t *width, size_t *height, char *error,
    size_t error_size) {
    WebPBitstreamFeatures found;
    CascadeWebPStatus status = features(bytes, count, &found, error, error_size);
    if (status != CASCADE_WEBP_OK) return status;
    if ((uint64_t)found.width > pixel_limit / (uint64_t)found.height) {
        if (error && error_size)
            snprintf(
                error, error_size, "%d x %d pixels, more than the limit of %llu", found.width, found.height,
                (unsigned long long)pixel_limit);
        return CASCADE_WEBP_TOO_LARGE;
    }
    *width = (size_t)found.width;
    *height = (size_t)found.height;
    return CASCADE_WEBP_OK;
}

CascadeWebPStatus cascade_webp_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgba, size_t capacity, char *error, size_t error_size) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) {
        say(error, error_size, "libwebp is of another version than its header");
        return CASCADE_WEBP_FAILED;
    }
    CascadeWebPStatus status = features(bytes, count, &config.input, error, error_size);
    if (status != CASCADE_WEBP_OK) return status;
    size_t stride = (size_t)config.input.width * 4;
    if (capacity / stride != (size_t)config.input.height || capacity % stride) {
        say(error, error_size, "the buffer does not fit the image");
        return CASCADE_WEBP_FAILED;
    }
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = rgba;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = capacity;
    VP8StatusCode code = WebPDecode(bytes, count, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OK) return CASCADE_WEBP_OK;
    say(error, error_size, meaning(code));
    return code == VP8_STATUS_OUT_OF_MEMORY ? CASCADE_WEBP_FAILED : CASCADE_WEBP_BROKEN;
}

CascadeWebPStatus cascade_webp_encode(
    const uint8_t *rgb, size_t width, size_t height, int quality, uint8_t **out, size_t *size, char *error,
    size_t error_size) {
    if (width > WEBP_MAX_DIMENSION || height > WEBP_MAX_DIMENSION) {
        if (error && error_size)
            snprintf(error, error_size, "a side over %d pixels", WEBP_MAX_DIMENSION);
        return CASCADE_WEBP_TOO_LARGE;
    }
    *size = WebPEncodeRGB(rgb, (int)width, (int)height, (int)width * 3, (float)quality, out);
    if (*size == 0) {
        say(error, error_size, "libwebp can't encode it");
        return CASCADE_WEBP_FAILED;
    }
    return CASCADE_WEBP_OK;
}

void cascade_webp_free(uint8_t *bytes) { WebPFree(bytes); }
