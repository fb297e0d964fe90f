#define _GNU_SOURCE
#include "table.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

static const char magic[8] = "hawser m";

/* Volatile: what the file has counts, not what the compiler saw. */
static const volatile char format_mark[] = TABLE_FORMAT_MARK "1";

struct start {
  char magic[sizeof magic];
  uint32_t format, length;
};

/* Each part of the file, with its bytes behind it. */
struct part {
  uint32_t kind, length;
};

enum kind { PART_RECORD = 1, PART_DESCRIPTORS, PART_COPY, PART_WAITING, PART_NUMBERS, PART_LIBRARY, PART_BUILD, PART_TOLD };

struct numbers {
  int32_t record_format, is_to_end, is_asleep, woken_by, own_worker, asker;
  uint32_t ignored;
};

int table_format(void) { return format_mark[sizeof TABLE_FORMAT_MARK - 1] - '0'; }

const char *table_doubt(const char *bytes, uint32_t length, uint32_t count) {
  uint32_t copied = 0;
  if (count > HANDOVER_DESCRIPTORS || length < count * sizeof(struct resting)) return "it is too short";
  for (uint32_t i = 0; i < count; i++) {
    struct resting how;
    memcpy(&how, bytes + i * sizeof how, sizeof how);
    if (is_copied(&how) && ((how.into & INTO_PLACE) >= count || ++copied > COPIES_AT_ONCE)) return "its copies are too many, or lead nowhere";
  }
  return NULL;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static bool put(int fd, const void *bytes, size_t length) {
  for (size_t done = 0; done < length;) {
    ssize_t n = write(fd, (const char *)bytes + done, length - done);
    if (n <= 0) return false;
    done += (size_t)n;
  }
  return true;
}

static bool put_part(int fd, enum kind kind, const void *bytes, size_t length) {
  const struct part part = {.kind = kind, .length = (uint32_t)length};
  return put(fd, &part, sizeof part) && put(fd, bytes, length);
}

/* In their order. */
static bool put_copies(int fd, const struct table *table) {
  for (uint32_t i = 0; i < table->copied; i++) {
    const struct table_copy *copy = &table->copies[i];
    const struct part part = {.kind = PART_COPY, .length = (uint32_t)sizeof copy->copied + copy->length};
    if (!put(fd, &part, sizeof part) || !put(fd, &copy->copied, sizeof copy->copied) || !put(fd, copy->held, copy->length)) return false;
  }
  return true;
}

static bool put_all(int fd, const struct table *table) {
  struct start start = {.format = (uint32_t)table_format()};
  const struct numbers numbers = {
      .record_format = table->record_format,
      .is_to_end = table->is_to_end,
      .is_asleep = table->is_asleep,
      .woken_by = table->woken_by,
      .own_worker = table->own_worker,
      .asker = table->asker,
      .ignored = table->ignored,
  };
  memcpy(start.magic, magic, sizeof magic);
  if (!put(fd, &start, sizeof start) || !put_part(fd, PART_NUMBERS, &numbers, sizeof numbers) || !put_part(fd, PART_WAITING, table->waiting, sizeof table->waiting) ||
      !put_part(fd, PART_LIBRARY, table->library, strlen(table->library) + 1) || !put_part(fd, PART_BUILD, table->build, strlen(table->build) + 1) ||
      !put_part(fd, PART_TOLD, table->told, sizeof table->told))
    return false;
  if (table->bytes && (!put_part(fd, PART_RECORD, table->bytes, table->length) || !put_part(fd, PART_DESCRIPTORS, table->descriptors, table->count * sizeof *table->descriptors) ||
                       !put_copies(fd, table)))
    return false;
  off_t length = lseek(fd, 0, SEEK_CUR);
  start.length = (uint32_t)length;
  return length > 0 && length <= UINT32_MAX && pwrite(fd, &start, sizeof start, 0) == sizeof start;
}

int table_write(const struct table *table) {
  int fd = memfd_create("monitor", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  /* Before Linux 6.3. */
  if (fd == -1) fd = memfd_create("monitor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd == -1) return -1;
  if (put_all(fd, table) && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0) return fd;
  close(fd);
  return -1;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static bool is_text(const char *bytes, uint32_t length, size_t room) { return length > 0 && length <= room && memchr(bytes, '\0', length) == bytes + length - 1; }

static bool take_copy(struct table *table, const char *bytes, uint32_t length) {
  if (table->copied == COPIES_AT_ONCE || length < sizeof(uint64_t)) return false;
  struct table_copy *copy = &table->copies[table->copied++];
  memcpy(&copy->copied, bytes, sizeof copy->copied);
  copy->held = bytes + sizeof copy->copied;
  copy->length = length - (uint32_t)sizeof copy->copied;
  return true;
}

static bool take_numbers(struct table *table, const char *bytes, uint32_t length) {
  struct numbers numbers;
  if (length != sizeof numbers) return false;
  memcpy(&numbers, bytes, sizeof numbers);
  table->record_format = numbers.record_format;
  table->is_to_end = numbers.is_to_end;
  table->is_asleep = numbers.is_asleep;
  table->woken_by = numbers.woken_by;
  table->own_worker = numbers.own_worker;
  table->asker = numbers.asker;
  table->ignored = numbers.ignored;
  return true;
}

/* Parts need not begin where an int may. */
static bool take_descriptors(struct table *table, const char *bytes, uint32_t length) {
  int *all = malloc(length + 1);
  if (!all || length % sizeof *all != 0) {
    free(all);
    return false;
  }
  memcpy(all, bytes, length);
  table->descriptors = all;
  table->count = length / (uint32_t)sizeof *all;
  return true;
}

static bool take_part(struct table *table, uint32_t kind, const char *bytes, uint32_t length) {
  switch (kind) {
    case PART_RECORD:
      table->bytes = bytes;
      table->length = length;
      return true;
    case PART_DESCRIPTORS: return take_descriptors(table, bytes, length);
    case PART_COPY: return take_copy(table, bytes, length);
    case PART_WAITING:
      if (!is_text(bytes, (uint32_t)strnlen(bytes, length) + 1, sizeof table->waiting) || length != sizeof table->waiting) return false;
      memcpy(table->waiting, bytes, length);
      return true;
    case PART_TOLD:
      if (length != sizeof table->told) return false;
      memcpy(table->told, bytes, length);
      return true;
    case PART_NUMBERS: return take_numbers(table, bytes, length);
    case PART_LIBRARY:
      if (!is_text(bytes, length, sizeof table->library)) return false;
      memcpy(table->library, bytes, length);
      return true;
    case PART_BUILD:
      if (!is_text(bytes, length, sizeof table->build)) return false;
      memcpy(table->build, bytes, length);
      return true;
    default: return false;
  }
}

void table_close(struct table *table) {
  free((void *)(uintptr_t)table->descriptors);
  if (table->mapped) munmap(table->mapped, table->mapped_size);
}

const char *table_read(int fd, struct table *table) {
  struct stat file;
  struct start start;
  *table = (struct table){.asker = -1};
  if (fstat(fd, &file) == -1 || file.st_size < (off_t)sizeof start) return "there is none";
  const char *bytes = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) return "it cannot be mapped";
  table->mapped = (void *)(uintptr_t)bytes;
  table->mapped_size = (size_t)file.st_size;
  memcpy(&start, bytes, sizeof start);
  if (memcmp(start.magic, magic, sizeof magic) != 0 || (off_t)start.length != file.st_size) return "it is none of a monitor's";
  if (start.format > (uint32_t)table_format() || start.format < OLDEST_TABLE_FORMAT) return "it is written in another format";
  for (size_t at = sizeof start; at < start.length;) {
    struct part part;
    if (start.length - at < sizeof part) return "it is cut off";
    memcpy(&part, bytes + at, sizeof part);
    at += sizeof part;
    if (start.length - at < part.length || !take_part(table, part.kind, bytes + at, part.length)) return "a part of it is damaged";
    at += part.length;
  }
  if (!table->bytes) return NULL;
  if (!table->descriptors) return "its descriptors are missing";
  return table_doubt(table->bytes, table->length, table->count);
}
