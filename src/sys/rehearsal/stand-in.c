/*
 * What a spare has for an OCI runtime when it rehearses (shim/rehearsal.ts): it makes processes, but no containers.
 *
 *   stand-in --root DIR … create|start|exec|delete … [--pid-file FILE] … ID
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Should its spare end in the midst of a rehearsal. */
#define LIFETIME_S 5

static int write_pid(const char *file, pid_t pid) {
  char text[16];
  int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), length = snprintf(text, sizeof text, "%d", (int)pid);
  if (fd == -1 || write(fd, text, (size_t)length) != length) return 1;
  return close(fd) == 0 ? 0 : 1;
}

static pid_t read_pid(const char *file) {
  char text[16] = "";
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd == -1 || read(fd, text, sizeof text - 1) <= 0) return 0;
  close(fd);
  return atoi(text);
}

int main(int argc, char **argv) {
  static const char *const commands[] = {"create", "start", "exec", "delete"};
  const char *command = "", *pid_file = NULL;
  char init[4096] = "";
  for (int i = 1; i < argc; i++) {
    for (size_t j = 0; j < sizeof commands / sizeof *commands && !*command; j++)
      if (strcmp(argv[i], commands[j]) == 0) command = argv[i];
    if (i + 1 == argc) break;
    if (strcmp(argv[i], "--pid-file") == 0) pid_file = argv[i + 1];
    if (strcmp(argv[i], "--root") == 0 && snprintf(init, sizeof init, "%s/init", argv[i + 1]) >= (int)sizeof init) return 1;
  }
  if (strcmp(command, "start") == 0) {
    pid_t pid = read_pid(init);
    return pid > 0 && kill(pid, SIGKILL) == 0 ? 0 : 1;
  }
  if (strcmp(command, "delete") == 0) return unlink(init) == 0 ? 0 : 1;
  int create = strcmp(command, "create") == 0;
  if ((!create && strcmp(command, "exec") != 0) || !pid_file) return 1;
  pid_t child = fork();
  if (child == -1) return 1;
  if (child == 0) {
    if (!create) return 0;
    alarm(LIFETIME_S);
    pause();
    return 0;
  }
  return write_pid(pid_file, child) || (create && write_pid(init, child));
}
