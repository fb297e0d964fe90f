/* The parts of the launcher: what each file offers the others. */
#ifndef HAWSER_LAUNCHER_H
#define HAWSER_LAUNCHER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define RUNTIME "io.containerd.runc.v2"

/* run.c */
int fail(const char *what, const char *subject);
int run_node(const char *library, char **argv, int argc);
int forward_reply(int from);

/* surroundings.c: the socket on which a spare of these very surroundings waits; false when there may be none. */
bool spare_socket(const char *library, const char *name, char *path, size_t size);

/* spare.c */
#define NO_SPARE (-1)
int start_with_spare(const char *socket_path, char **argv);
void leave_spare(const char *library, const char *socket_path, char **argv, void (*restore_signals)(void));

/* deleted.c: nothing is left to clean up, as the shim did it all; what it left to print has been printed. */
bool was_deleted(char **argv, int argc);

#endif
