/* The parts of the launcher: what each file offers the others. */
#ifndef HAWSER_LAUNCHER_H
#define HAWSER_LAUNCHER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define RUNTIME "io.containerd.runc.v2"

/* What stands before the place in built-in.c's slot. */
#define BUILT_IN_MARK "hawser's library: "

/* built-in.c: false where none was built in. */
bool built_in_library(char place[PATH_MAX]);

/* library.c: the directory of the bundle, without links; false where there is none, and then why has been said. */
bool find_library(char library[PATH_MAX]);

/* node.c: its path; NULL where there is none, and then that has been said. */
const char *find_node(const char *library, bool *is_linked);

/* run.c */
int fail(const char *what, const char *subject);
int run_node(const char *library, char **argv, int argc);
int forward_reply(int from);
void show_as(char **argv, char *const *words);

/* map.c: NULL for a file that is empty, or can't be read; `flags` are more of mmap's. */
const char *map_file(const char *path, int flags, size_t *size);

/* input.c */
bool keep_input(void);

/* words.c */
struct words {
  const char *id, *namespace, *address, *action;
};
bool parse_words(char **argv, int argc, struct words *words);
/* containerd's names: no path, no flag, nothing to quote (identifier.ts). */
bool is_identifier(const char *text);

/* group.c: of a container, by its spec; false when only a real parser could tell. */
bool group_of(const char *file, const char *id, char *group, size_t size);

/* sha256.c */
void sha256(const char *text, char hex[65]);

/* daemon.c */
bool is_containerd_2(pid_t pid);

/* place.c */
struct place {
  int listener;
  char socket[108], answer[256];
  bool is_debug;
};
enum placed {
  /* Node is to look at it; nothing has been done. */
  UNCLEAR,
  /* We listen: whoever becomes the shim is to be given the listener. */
  PLACED,
  /* By a shim that runs already. */
  SERVED,
};
enum placed find_place(char **argv, int argc, int input, pid_t daemon, struct place *place);

/* surroundings.c: the socket on which a zygote of these very surroundings waits; false when there may be none. */
/* surroundings.c: where zygotes' sockets are. */
void run_directory(char directory[PATH_MAX]);
bool zygote_socket(const char *library, const char *name, char *path, size_t size);

/* monitor.c: the two ends of what is between a monitor and its worker (handover.h); of the pipe, the monitor writes to its end. */
struct monitor_ends {
  int control, bell;
};
bool open_ends(struct monitor_ends *ours, struct monitor_ends *theirs);
void close_ends(struct monitor_ends ends);
/*
 * Stays for as long as the shim lives; gives the exit status. `worker` is the pid of one that is a child of ours, or 0. `wake` makes
 * another: it gives its pid, 0 where it is none of our children, or -1; and our ends.
 */
int monitor(struct monitor_ends ours, pid_t worker, pid_t (*wake)(struct monitor_ends *ours));

/* Another program's monitor, in this process, has left this (replace.c). False when it can't be gone on with, and then this process is of no use. */
struct table;
bool monitor_take(const struct table *table);
/* Stays like the other, with what has been taken. */
int monitor_again(pid_t (*wake)(struct monitor_ends *ours));

/* zygote.c: true when a worker has begun. With a listener, it is one that has been bound to the container's place. */
bool start_with_zygote(const char *socket_path, char **argv, int listener, int reply, struct monitor_ends ends);
void leave_zygote(const char *library, const char *socket_path, char **argv, void (*restore_signals)(void));

/* authored.c: this program was executed to be the monitor of an author's shim; it is that from then on, and gives the exit status. */
bool is_authored(void);
int watch_over_authored(void);

/* rehearsed.c: the same for what a zygote rehearses. */
bool is_rehearsed(void);
int watch_over_rehearsal(void);

/* dismiss.c: those of this process's service; gives the exit status. */
int end_zygotes(void);

/* deleted.c: nothing is left to clean up, as the shim did it all; what it left to print has been printed. */
bool was_deleted(char **argv, int argc);

#endif
