#include "CArchive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { block_size = 1 << 16 };

struct CascadeArchiveReader {
    struct archive *archive;
    CascadeArchiveSource source;
    void *context;
};

struct CascadeArchiveWriter {
    struct archive *archive;
    int descriptor;
    int error_number;  ///< `errno` of the first write that failed, else 0
    int is_abandoned;
};

static void say(char *error, size_t error_size, const char *message) {
    if (error && error_size) snprintf(error, error_size, "%s", message);
}

/// libarchive's code as a status, its sentence in `error`.
static CascadeArchiveStatus judge(struct archive *archive, long code, char *error, size_t error_size) {
    if (code >= ARCHIVE_OK || code == ARCHIVE_WARN) return CASCADE_ARCHIVE_OK;
    const char *message = archive_error_string(archive);
    say(error, error_size, message ? message : "libarchive gave no reason");
    return code == ARCHIVE_RETRY || code == ARCHIVE_FAILED ? CASCADE_ARCHIVE_DAMAGED : CASCADE_ARCHIVE_BROKEN;
}

/// Makes a reader of tars, and of zip files too where asked for, that is not open yet.
static CascadeArchiveStatus make_reader(
    CascadeArchiveReader **reader, int takes_zip, char *error, size_t error_size) {
    CascadeArchiveReader *opened = calloc(1, sizeof *opened);
    if (opened) opened->archive = archive_read_new();
    if (!opened || !opened->archive) {
        free(opened);
        say(error, error_size, "no memory for the archive reader");
        return CASCADE_ARCHIVE_BROKEN;
    }
    struct archive *archive = opened->archive;
    // A filter that libarchive lacks would be run as an outside program; its warning keeps it out.
    if (archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_support_filter_gzip(archive) != ARCHIVE_OK ||
        archive_read_support_filter_bzip2(archive) != ARCHIVE_OK ||
        archive_read_support_filter_xz(archive) != ARCHIVE_OK ||
        archive_read_support_filter_zstd(archive) != ARCHIVE_OK ||
        (takes_zip && archive_read_support_format_zip(archive) != ARCHIVE_OK)) {
        say(error, error_size, "this libarchive lacks tar, zip, gzip, bzip2, xz or zstd");
        cascade_archive_reader_close(opened);
        return CASCADE_ARCHIVE_BROKEN;
    }
    *reader = opened;
    return CASCADE_ARCHIVE_OK;
}

/// Hands out a reader that opened with `code`, or frees it.
static CascadeArchiveStatus finish_opening(
    CascadeArchiveReader *opened, int code, CascadeArchiveReader **reader, char *error, size_t error_size) {
    CascadeArchiveStatus status = judge(opened->archive, code, error, error_size);
    if (status != CASCADE_ARCHIVE_OK) {
        cascade_archive_reader_close(opened);
        return CASCADE_ARCHIVE_BROKEN;
    }
    *reader = opened;
    return CASCADE_ARCHIVE_OK;
}

static CascadeArchiveStatus open_descriptor(
    int descriptor, int takes_zip, CascadeArchiveReader **reader, char *error, size_t error_size) {
    CascadeArchiveReader *opened = NULL;
    CascadeArchiveStatus status = make_reader(&opened, takes_zip, error, error_size);
    if (status != CASCADE_ARCHIVE_OK) return status;
    int code = archive_read_open_fd(opened->archive, descriptor, block_size);
    return finish_opening(opened, code, reader, error, error_size);
}

CascadeArchiveStatus cascade_archive_reader_open(
    int descriptor, CascadeArchiveReader **reader, char *error, size_t error_size) {
    return open_descriptor(descriptor, 0, reader, error, error_size);
}

CascadeArchiveStatus cascade_archive_reader_open_package(
    int descriptor, CascadeArchiveReader **reader, char *error, size_t error_size) {
    return open_descriptor(descriptor, 1, reader, error, error_size);
}

static la_ssize_t on_read(struct archive *archive, void *context, const void **bytes) {
    CascadeArchiveReader *reader = context;
    ptrdiff_t count = reader->source(reader->context, bytes);
    if (count < 0) archive_set_error(archive, EIO, "the stream ended early");
    return count < 0 ? ARCHIVE_FATAL : (la_ssize_t)count;
}

CascadeArchiveStatus cascade_archive_reader_open_source(
    CascadeArchiveSource source, void *context, CascadeArchiveReader **reader, char *error, size_t error_size) {
    CascadeArchiveReader *opened = NULL;
    CascadeArchiveStatus status = make_reader(&opened, 0, error, error_size);
    if (status != CASCADE_ARCHIVE_OK) return status;
    opened->source = source;
    opened->context = context;
    int code = archive_read_open(opened->archive, opened, NULL, on_read, NULL);
    return finish_opening(opened, code, reader, error, error_size);
}

CascadeArchiveStatus cascade_archive_reader_next(
    CascadeArchiveReader *reader, const char **name, int64_t *size, char *error, size_t error_size) {
    for (;;) {
        struct archive_entry *entry = NULL;
        int code = archive_read_next_header(reader->archive, &entry);
        if (code == ARCHIVE_EOF) return CASCADE_ARCHIVE_END;
        CascadeArchiveStatus status = judge(reader->archive, code, error, error_size);
        if (status != CASCADE_ARCHIVE_OK) return status;
        if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) continue;
        if (archive_entry_sparse_count(entry) > 0) {
            say(error, error_size, "a file with holes");
            return CASCADE_ARCHIVE_DAMAGED;
        }
        *size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
        // In the C locale a pax name beyond ASCII exists as UTF-8 alone.
        *name = archive_entry_pathname(entry);
        if (!*name) *name = archive_entry_pathname_utf8(entry);
        if (*name) return CASCADE_ARCHIVE_OK;
        say(error, error_size, "a member without a readable name");
        return CASCADE_ARCHIVE_DAMAGED;
    }
}

CascadeArchiveStatus cascade_archive_reader_read(
    CascadeArchiveReader *reader, uint8_t *buffer, size_t size, size_t *got, char *error, size_t error_size) {
    *got = 0;
    la_ssize_t count = archive_read_data(reader->archive, buffer, size);
    if (count == 0) return CASCADE_ARCHIVE_END;
    if (count < 0) {
        CascadeArchiveStatus status = judge(reader->archive, count, error, error_size);
        // A warning in the midst of data leaves no way to know what was lost.
        return status == CASCADE_ARCHIVE_OK ? CASCADE_ARCHIVE_DAMAGED : status;
    }
    *got = (size_t)count;
    return CASCADE_ARCHIVE_OK;
}

void cascade_archive_reader_close(CascadeArchiveReader *reader) {
    if (!reader) return;
    archive_read_free(reader->archive);
    free(reader);
}

/// libarchive is never told of a write that failed, because it then frees only a part of itself; `verdict` tells.
static la_ssize_t on_write(struct archive *archive, void *context, const void *bytes, size_t count) {
    (void)archive;
    CascadeArchiveWriter *writer = context;
    size_t done = 0;
    while (done < count && !writer->error_number && !writer->is_abandoned) {
        ssize_t written = write(writer->descriptor, (const uint8_t *)bytes + done, count - done);
        if (written > 0)
            done += (size_t)written;
        else if (written == 0 || errno != EINTR)
            writer->error_number = written == 0 ? EIO : errno;
    }
    return (la_ssize_t)count;
}

/// What became of the writes so far.
static CascadeArchiveStatus verdict(CascadeArchiveWriter *writer, char *error, size_t error_size) {
    if (!writer->error_number) return CASCADE_ARCHIVE_OK;
    say(error, error_size, strerror(writer->error_number));
    return CASCADE_ARCHIVE_BROKEN;
}

CascadeArchiveStatus cascade_archive_writer_open(
    int descriptor, CascadeArchiveWriter **writer, char *error, size_t error_size) {
    CascadeArchiveWriter *opened = calloc(1, sizeof *opened);
    if (opened) opened->archive = archive_write_new();
    if (!opened || !opened->archive) {
        free(opened);
        say(error, error_size, "no memory for the archive writer");
        return CASCADE_ARCHIVE_BROKEN;
    }
    opened->descriptor = descriptor;
    struct archive *archive = opened->archive;
    if (archive_write_set_format_ustar(archive) != ARCHIVE_OK ||
        archive_write_open(archive, opened, NULL, on_write, NULL) != ARCHIVE_OK) {
        judge(archive, ARCHIVE_FATAL, error, error_size);
        cascade_archive_writer_close(opened);
        return CASCADE_ARCHIVE_BROKEN;
    }
    *writer = opened;
    return CASCADE_ARCHIVE_OK;
}

CascadeArchiveStatus cascade_archive_writer_add(
    CascadeArchiveWriter *writer, const char *name, const uint8_t *bytes, size_t count, char *error,
    size_t error_size) {
    struct archive_entry *entry = archive_entry_new();
    if (!entry) {
        say(error, error_size, "no memory for the member");
        return CASCADE_ARCHIVE_BROKEN;
    }
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)count);
    archive_entry_set_mtime(entry, 0, 0);
    archive_entry_set_uid(entry, 0);
    archive_entry_set_gid(entry, 0);
    int code = archive_write_header(writer->archive, entry);
    archive_entry_free(entry);
    CascadeArchiveStatus status = judge(writer->archive, code, error, error_size);
    if (status != CASCADE_ARCHIVE_OK) return status;
    if (archive_write_data(writer->archive, bytes, count) != (la_ssize_t)count) {
        judge(writer->archive, ARCHIVE_FATAL, error, error_size);
        return CASCADE_ARCHIVE_BROKEN;
    }
    return verdict(writer, error, error_size);
}

CascadeArchiveStatus cascade_archive_writer_finish(CascadeArchiveWriter *writer, char *error, size_t error_size) {
    CascadeArchiveStatus status = judge(writer->archive, archive_write_close(writer->archive), error, error_size);
    return status == CASCADE_ARCHIVE_OK ? verdict(writer, error, error_size) : status;
}

void cascade_archive_writer_close(CascadeArchiveWriter *writer) {
    if (!writer) return;
    // An unfinished archive is flushed as it is freed, to a descriptor that may be another file's by now.
    writer->is_abandoned = 1;
    archive_write_free(writer->archive);
    free(writer);
}
