// The door to libyaml: one document stream, read event by event.
//
// No function exits, prints or throws; what goes wrong comes back as a value.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct cyaml_reader cyaml_reader;

typedef enum {
    CYAML_DOCUMENT_START,
    CYAML_DOCUMENT_END,
    CYAML_SCALAR,
    CYAML_SEQUENCE_START,
    CYAML_SEQUENCE_END,
    CYAML_MAPPING_START,
    CYAML_MAPPING_END,
    CYAML_ALIAS,
    CYAML_STREAM_END
} cyaml_kind;

// An event; its texts belong to the reader and live until the next call.
typedef struct {
    cyaml_kind kind;
    size_t line;         // from 1
    size_t column;       // from 1, in characters
    const char *text;    // a scalar's UTF-8 content, not closed by a zero byte; otherwise null
    size_t length;       // bytes in text
    int quoted;          // a scalar that does not stand bare
    const char *tag;     // null where none is written
    const char *anchor;  // the name after & or *; null where there is none
} cyaml_event;

// Why the stream cannot be read on; the texts are constants of libyaml, context may be null.
typedef struct {
    const char *problem;
    const char *context;
    size_t line;    // from 1
    size_t column;  // from 1, in characters
} cyaml_error;

// A reader over UTF-8 bytes, which must outlive it; null where memory is short. Close it with cyaml_close.
cyaml_reader *cyaml_open(const uint8_t *bytes, size_t count);

// Steps to the next event. Returns 0, or 1 with the error filled in, after which only cyaml_close may be called.
int cyaml_next(cyaml_reader *reader, cyaml_event *event, cyaml_error *error);

void cyaml_close(cyaml_reader *reader);
