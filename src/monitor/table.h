/*
 * All that a monitor knows, as it passes from one program to the next that takes its place in the same process (replace.c): a
 * sealed file in memory. Descriptors and children stay the process's, so their numbers do.
 */
#ifndef HAWSER_TABLE_H
#define HAWSER_TABLE_H

#include "copy.h"
#include "handover.h"
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Of the file, struct resting included. Whoever changes it so that an older program cannot go on with it makes it one more; the newer
 * program reads the older ones.
 */
#define TABLE_FORMAT_MARK "hawser's table: "
#define OLDEST_TABLE_FORMAT 1

/* How a child has ended; its pid is 0 where there is none. */
struct ended {
  pid_t pid;
  int status;
  bool is_heard; /* By the worker that there is now, which writes it down before it hands over its record. */
};
#define TOLD 64

struct table {
  /* As ASK_REST has them, see handover.h; count is that of the descriptors. NULL where there is none. */
  const char *bytes;
  uint32_t length, count;
  const int *descriptors;
  int32_t record_format;
  /* Of each copy: how many bytes are in its sink, and what it has read and not written. */
  struct table_copy {
    uint64_t copied;
    const char *held;
    uint32_t length;
  } copies[COPIES_AT_ONCE];
  uint32_t copied;
  /* What has been noticed and no worker has heard of; a signal wants the shim's end. */
  char waiting[8];
  bool is_to_end;
  /* The worker has left its record to end; else it has died. */
  bool is_asleep;
  /* See GIVE_RECORD. */
  int32_t woken_by;
  /* What the worker was told, and may not have written down. */
  struct ended told[TOLD];
  /* One that is ending, or 0. */
  pid_t own_worker;
  /* Bits: which of main.c's signals are ignored in what the shim starts. */
  uint32_t ignored;
  /* The connection of whoever has asked for it, or -1. */
  int asker;
  /* Of the program that goes. */
  char library[PATH_MAX], build[128];
  /* Where it has been read from. */
  void *mapped;
  size_t mapped_size;
};

/* What this program writes, and the newest that it reads. */
int table_format(void);

/* The descriptor of a new file, close-on-exec, or -1. */
int table_write(const struct table *table);

/* The table points into the file, which is mapped until table_close. NULL, or what is wrong with it. */
const char *table_read(int fd, struct table *table);
void table_close(struct table *table);

/* NULL, or what is wrong with a worker's record and its descriptors. */
const char *table_doubt(const char *bytes, uint32_t length, uint32_t count);

#endif
