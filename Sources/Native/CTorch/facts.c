// What is known of an engine library by its file alone.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "CTorch.h"

typedef struct {
    const uint8_t *bytes;
    size_t count;
} File;

/// A part of the file, NULL where it lies outside.
static const void *part(File file, uint64_t offset, uint64_t count) {
    return offset <= file.count && count <= file.count - offset ? file.bytes + offset : NULL;
}

/// Copies a text that ends within the file; what does not fit is no text.
static void copy_text(File file, uint64_t offset, char *out, size_t capacity) {
    if (offset >= file.count) return;
    size_t length = strnlen((const char *)file.bytes + offset, file.count - offset);
    if (length < capacity && length < file.count - offset) memcpy(out, file.bytes + offset, length + 1);
}

/// Where in the file lies what is loaded at an address; past its end where nothing is.
static uint64_t offset_of(File file, const Elf64_Phdr *segments, size_t count, uint64_t address) {
    for (size_t i = 0; i < count; i++) {
        const Elf64_Phdr *s = &segments[i];
        if (s->p_type == PT_LOAD && address >= s->p_vaddr && address - s->p_vaddr < s->p_filesz)
            return s->p_offset + (address - s->p_vaddr);
    }
    return file.count;
}

/// The path that the library's own dependencies are looked for in.
static void find_search_path(File file, char *out, size_t capacity) {
    const Elf64_Ehdr *head = part(file, 0, sizeof *head);
    if (head == NULL || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64) return;
    const Elf64_Phdr *segments = part(file, head->e_phoff, (uint64_t)head->e_phnum * sizeof *segments);
    if (segments == NULL || head->e_phoff % _Alignof(Elf64_Phdr) != 0) return;
    for (size_t i = 0; i < head->e_phnum; i++) {
        if (segments[i].p_type != PT_DYNAMIC || segments[i].p_offset % _Alignof(Elf64_Dyn) != 0) continue;
        const Elf64_Dyn *entries = part(file, segments[i].p_offset, segments[i].p_filesz);
        if (entries == NULL) return;
        uint64_t texts = file.count, path = 0;
        bool has_path = false;
        for (size_t e = 0; e < segments[i].p_filesz / sizeof *entries && entries[e].d_tag != DT_NULL; e++) {
            if (entries[e].d_tag == DT_STRTAB) texts = offset_of(file, segments, head->e_phnum, entries[e].d_un.d_ptr);
            if (entries[e].d_tag == DT_RUNPATH || entries[e].d_tag == DT_RPATH) {
                path = entries[e].d_un.d_val;
                has_path = true;
            }
        }
        if (has_path && path < file.count && texts < file.count - path) copy_text(file, texts + path, out, capacity);
        return;
    }
}

void ctorch_engine_facts(const char *path, CTorchEngineFacts *out) {
    memset(out, 0, sizeof *out);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        size_t count = (size_t)status.st_size;
        void *bytes = mmap(NULL, count, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (bytes != MAP_FAILED) {
            static const char words[] = "cascade-adapt engine for libtorch ";
            File file = {bytes, count};
            const uint8_t *found = memmem(bytes, count, words, sizeof words - 1);
            if (found != NULL)
                copy_text(
                    file, (uint64_t)(found - file.bytes) + sizeof words - 1, out->built_with, sizeof out->built_with);
            find_search_path(file, out->search_path, sizeof out->search_path);
            munmap(bytes, count);
        }
    }
    close(descriptor);
}
