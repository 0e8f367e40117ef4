#include "CYAML.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct cyaml_reader {
    yaml_parser_t parser;
    yaml_event_t event;
    const uint8_t *bytes;
    size_t count;
};

cyaml_reader *cyaml_open(const uint8_t *bytes, size_t count) {
    cyaml_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    if (!yaml_parser_initialize(&reader->parser)) {
        free(reader);
        return NULL;
    }
    reader->bytes = bytes;
    reader->count = count;
    yaml_parser_set_input_string(&reader->parser, bytes, count);
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    return reader;
}

void cyaml_close(cyaml_reader *reader) {
    if (!reader) return;
    yaml_event_delete(&reader->event);
    yaml_parser_delete(&reader->parser);
    free(reader);
}

// The decoder tells a byte offset only, every later stage a mark.
static void describe(const cyaml_reader *reader, cyaml_error *error) {
    const yaml_parser_t *parser = &reader->parser;
    error->problem = parser->problem ? parser->problem : "out of memory";
    error->context = parser->context;
    error->line = parser->problem_mark.line + 1;
    error->column = parser->problem_mark.column + 1;
    if (parser->error != YAML_READER_ERROR) return;
    size_t end = parser->problem_offset < reader->count ? parser->problem_offset : reader->count;
    error->line = error->column = 1;
    for (size_t i = 0; i < end; i++) {
        if (reader->bytes[i] == '\n') {
            error->line++;
            error->column = 1;
        } else if ((reader->bytes[i] & 0xC0) != 0x80) {
            error->column++;
        }
    }
}

static void scalar(const yaml_event_t *source, cyaml_event *event) {
    event->kind = CYAML_SCALAR;
    event->text = (const char *)source->data.scalar.value;
    event->length = source->data.scalar.length;
    event->quoted = source->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    event->tag = (const char *)source->data.scalar.tag;
    event->anchor = (const char *)source->data.scalar.anchor;
}

int cyaml_next(cyaml_reader *reader, cyaml_event *event, cyaml_error *error) {
    yaml_event_t *source = &reader->event;
    do {
        yaml_event_delete(source);
        memset(source, 0, sizeof *source);
        if (!yaml_parser_parse(&reader->parser, source)) {
            describe(reader, error);
            return 1;
        }
    } while (source->type == YAML_STREAM_START_EVENT);

    memset(event, 0, sizeof *event);
    event->line = source->start_mark.line + 1;
    event->column = source->start_mark.column + 1;
    switch (source->type) {
    case YAML_DOCUMENT_START_EVENT: event->kind = CYAML_DOCUMENT_START; break;
    case YAML_DOCUMENT_END_EVENT: event->kind = CYAML_DOCUMENT_END; break;
    case YAML_SCALAR_EVENT: scalar(source, event); break;
    case YAML_SEQUENCE_START_EVENT:
        event->kind = CYAML_SEQUENCE_START;
        event->tag = (const char *)source->data.sequence_start.tag;
        event->anchor = (const char *)source->data.sequence_start.anchor;
        break;
    case YAML_SEQUENCE_END_EVENT: event->kind = CYAML_SEQUENCE_END; break;
    case YAML_MAPPING_START_EVENT:
        event->kind = CYAML_MAPPING_START;
        event->tag = (const char *)source->data.mapping_start.tag;
        event->anchor = (const char *)source->data.mapping_start.anchor;
        break;
    case YAML_MAPPING_END_EVENT: event->kind = CYAML_MAPPING_END; break;
    case YAML_ALIAS_EVENT:
        event->kind = CYAML_ALIAS;
        event->anchor = (const char *)source->data.alias.anchor;
        break;
    default: event->kind = CYAML_STREAM_END; break;
    }
    return 0;
}
