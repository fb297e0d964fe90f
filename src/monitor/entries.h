/*
 * A log's entries, in the form that Kubernetes has for those of container runtimes (kubelet's CRI log format):
 *
 *   2026-11-29T19:43:32.123456789Z stdout F a line
 *
 * F ends a line; P is a piece of one, so that what doesn't end in a newline is written at once, and what was printed can be given back byte for
 * byte. Needs nothing but the kernel.
 */
#ifndef HAWSER_ENTRIES_H
#define HAWSER_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>

/* Which of a process's streams they are of; a copy that writes none has STREAM_NONE. */
enum stream { STREAM_NONE, STREAM_STDOUT, STREAM_STDERR };

/* What stands before an entry's content, whichever it is. */
#define ENTRY_HEAD 40u
/* Bytes of content, as containerd's CRI has them: longer lines are written in pieces. */
#define ENTRY_CONTENT (16u << 10)
/* With its head and its newline. */
#define ENTRY_MOST (ENTRY_HEAD + ENTRY_CONTENT + 1)

/* Of all that is written at one time. */
struct entry_heads {
  char whole[ENTRY_HEAD], piece[ENTRY_HEAD];
};

/* For bytes that were read just now. */
void entry_heads(struct entry_heads *heads, enum stream stream);

/* How many of these bytes, at least one, are the first entry's content; is_whole when a newline comes behind them. */
size_t entry_content(const char *bytes, size_t length, bool *is_whole);

/* As many entries as there is room for, made of the first of these bytes; gives how many bytes those are. */
size_t entries_put(const struct entry_heads *heads, const char *bytes, size_t length, char *to, size_t room, size_t *put);

/* How long all of them are together. */
size_t entries_length(const char *bytes, size_t length);

#endif
