/// The door to libarchive: tar files (plain, gzip, bzip2, xz, zstd) read member by member from a file descriptor or
/// from whatever a function of the caller's brings, zip files from a descriptor, and ustar files written to one. Every
/// error is a value.
///
/// Descriptors handed in stay the caller's and outlive the reader or writer. Where a status is not `CASCADE_ARCHIVE_OK`
/// or `CASCADE_ARCHIVE_END`, a sentence stands in `error` (cut to `error_size`, always terminated).
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef enum {
    CASCADE_ARCHIVE_OK = 0,
    CASCADE_ARCHIVE_END = 1,      ///< no more members, or no more data in this one
    CASCADE_ARCHIVE_DAMAGED = 2,  ///< a damaged stretch; the reader may go on to the next member
    CASCADE_ARCHIVE_BROKEN = 3,   ///< nothing more can be read or written
} CascadeArchiveStatus;

typedef struct CascadeArchiveReader CascadeArchiveReader;
typedef struct CascadeArchiveWriter CascadeArchiveWriter;

/// Opens a tar stream at the descriptor's position. On success `*reader` belongs to the caller, who gives it to
/// `cascade_archive_reader_close`.
CascadeArchiveStatus cascade_archive_reader_open(
    int descriptor, CascadeArchiveReader **reader, char *error, size_t error_size);

/// Opens a zip file or a tar, whichever it is, at the start of a descriptor that can seek.
CascadeArchiveStatus cascade_archive_reader_open_package(
    int descriptor, CascadeArchiveReader **reader, char *error, size_t error_size);

/// Brings the next bytes of a stream: lends them in `*bytes` until the next call and returns how many there are, 0 at
/// the end, a negative number where nothing more can be had.
typedef ptrdiff_t (*CascadeArchiveSource)(void *context, const void **bytes);

/// Opens a tar stream that a function of the caller's brings; `context` is handed to it and outlives the reader.
CascadeArchiveStatus cascade_archive_reader_open_source(
    CascadeArchiveSource source, void *context, CascadeArchiveReader **reader, char *error, size_t error_size);

/// Steps to the next regular file (folders, links and devices are passed over), lends its name until the next call and
/// tells the size it declares. The name is what the archive holds, in no certain encoding. A file with holes (sparse)
/// counts as damaged, for its size says nothing of what is there.
CascadeArchiveStatus cascade_archive_reader_next(
    CascadeArchiveReader *reader, const char **name, int64_t *size, char *error, size_t error_size);

/// Reads up to `size` bytes of the present member; `*got` is how many, 0 only with `CASCADE_ARCHIVE_END`.
CascadeArchiveStatus cascade_archive_reader_read(
    CascadeArchiveReader *reader, uint8_t *buffer, size_t size, size_t *got, char *error, size_t error_size);

/// Frees the reader; NULL is fine.
void cascade_archive_reader_close(CascadeArchiveReader *reader);

/// Starts a ustar file on the descriptor. On success `*writer` belongs to the caller, who gives it to
/// `cascade_archive_writer_close`.
CascadeArchiveStatus cascade_archive_writer_open(
    int descriptor, CascadeArchiveWriter **writer, char *error, size_t error_size);

/// Adds a regular file of mode 0644 with time, user and group 0, so that equal content gives equal bytes.
CascadeArchiveStatus cascade_archive_writer_add(
    CascadeArchiveWriter *writer, const char *name, const uint8_t *bytes, size_t count, char *error,
    size_t error_size);

/// Writes the end of the archive; nothing can be added afterwards.
CascadeArchiveStatus cascade_archive_writer_finish(CascadeArchiveWriter *writer, char *error, size_t error_size);

/// Frees the writer, finished or not; NULL is fine.
void cascade_archive_writer_close(CascadeArchiveWriter *writer);
