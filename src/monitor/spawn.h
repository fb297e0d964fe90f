/* Starting a program, with exactly the descriptors that it is to have: for the monitor, and for the addon where there is none. */
#ifndef HAWSER_SPAWN_H
#define HAWSER_SPAWN_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#define SPAWN_DESCRIPTORS 64

struct program {
  const char *file;
  char *const *argv, *const *envp;
  const char *cwd; /* NULL: ours. */
  bool die_with_parent, own_group;
};

/* The soft limit of open files to give to children: Node raises its own as far as it may. 0: leave it as it is. */
extern rlim_t children_nofile;

/* The pid, or -errno, also when exec itself fails. descriptors[i] becomes the child's i; everything else is closed. */
pid_t spawn_program(const struct program *program, const int *descriptors, int nfds);

/* Makes this process the program; an errno, if it returns. Signals have been reset then. sources[i] becomes i; with nfds -1 it has 0, 1 and 2 as here. */
int become_program(const struct program *program, const int *sources, int nfds);

#endif
