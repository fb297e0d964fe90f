/* What kind of daemon runs us: its program says which modules went into it (daemon.ts, build-info.ts). */
#define _GNU_SOURCE
#include "launcher.h"
#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static bool is_within(size_t size, size_t from, size_t length) { return from <= size && length <= size - from; }

static bool names_containerd_2(const char *text, size_t length) {
  static const char word[] = "\tgithub.com/containerd/containerd/v2";
  const char *end = text + length;
  for (const char *at = text; (at = memmem(at, (size_t)(end - at), word, sizeof word - 1)); at++) {
    const char *after = at + sizeof word - 1;
    if (after < end && (*after == '/' || *after == '\t')) return true;
  }
  return false;
}

static bool look(const char *bytes, size_t size) {
  const Elf64_Ehdr *header = (const void *)bytes;
  if (size < sizeof *header || memcmp(header->e_ident, ELFMAG "\2\1", SELFMAG + 2) != 0) return false;
  if (header->e_shoff % _Alignof(Elf64_Shdr) != 0 || !is_within(size, header->e_shoff, header->e_shnum * sizeof(Elf64_Shdr))) return false;
  const Elf64_Shdr *sections = (const void *)(bytes + header->e_shoff);
  if (header->e_shstrndx >= header->e_shnum) return false;
  const Elf64_Shdr *names = sections + header->e_shstrndx;
  if (!is_within(size, names->sh_offset, names->sh_size)) return false;
  for (const Elf64_Shdr *one = sections; one < sections + header->e_shnum; one++) {
    static const char wanted[] = ".go.buildinfo";
    if (!is_within(names->sh_size, one->sh_name, sizeof wanted) || memcmp(bytes + names->sh_offset + one->sh_name, wanted, sizeof wanted) != 0) continue;
    return is_within(size, one->sh_offset, one->sh_size) && names_containerd_2(bytes + one->sh_offset, one->sh_size);
  }
  return false;
}

bool is_containerd_2(pid_t pid) {
  char path[32];
  size_t size;
  snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
  const char *bytes = map_file(path, 0, &size);
  if (!bytes) return false;
  bool found = look(bytes, size);
  munmap((void *)bytes, size);
  return found;
}
