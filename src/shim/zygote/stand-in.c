/*
 * What a zygote has for an OCI runtime when it rehearses (shim/zygote/rehearsal.ts): it makes processes, but no containers. It says
 * of itself that it is runc, and leaves behind what runc would, so that what the shim does in runc's place is rehearsed too.
 *
 *   stand-in --root DIR … create|start|exec|delete … [--pid-file FILE] … ID
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often an init looks whether its zygote has ended in the midst of a rehearsal, which takes as long as a busy machine lets it. */
#define LOOK_S 1
/* With a file of this name in the root an init ends when `start` has been answered, and nobody asks for anything. */
#define LATE "late"
#define LATE_US 3000
/* Should its zygote have given up the rehearsal. */
#define LOOKS 120

/* runc/exec-fifo.ts looks for this. */
__attribute__((used, section(".go.buildinfo"))) static const char build_info[] = "path\tgithub.com/opencontainers/runc\n";

static int write_file(const char *file, const char *text) {
  int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ssize_t length = (ssize_t)strlen(text);
  if (fd == -1 || write(fd, text, (size_t)length) != length) return 1;
  return close(fd) == 0 ? 0 : 1;
}

static int write_pid(const char *file, pid_t pid) {
  char text[16];
  snprintf(text, sizeof text, "%d", (int)pid);
  return write_file(file, text);
}

/* The init waits at a FIFO in the directory of its state, where all is written down that is to be taken away in the end. */
static int write_state(const char *state, pid_t pid) {
  char file[4200], text[8700];
  snprintf(file, sizeof file, "%s/cgroup", state);
  if (mkdir(file, 0700) == -1) return 1;
  snprintf(text, sizeof text,
           "{\"init_process_pid\":%d,\"rootless\":false,\"cgroup_paths\":{\"\":\"%s\"},"
           "\"config\":{\"namespaces\":[{\"type\":\"NEWPID\",\"path\":\"\"}],\"cgroups\":{\"Systemd\":false},\"Hooks\":{\"poststop\":null}}}",
           (int)pid, file);
  snprintf(file, sizeof file, "%s/state.json", state);
  return write_file(file, text);
}

static pid_t creator, monitor;

/* When what has created it is gone, its parent is who adopts orphans: the rehearsal's monitor, or the zygote where there is none. */
static void look(int signal) {
  static int looks;
  pid_t parent = getppid();
  (void)signal;
  if ((parent != creator && parent != monitor) || ++looks == LOOKS) _exit(1);
  alarm(LOOK_S);
}

static int be_init(const char *fifo, int is_late) {
  struct sigaction looking = {.sa_handler = look, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &looking, NULL);
  alarm(LOOK_S);
  int fd = open(fifo, O_WRONLY | O_CLOEXEC);
  if (fd == -1 || write(fd, "0", 1) != 1) return 1;
  if (is_late) usleep(LATE_US);
  return 0;
}

int main(int argc, char **argv) {
  static const char *const commands[] = {"create", "exec"};
  const char *command = "", *pid_file = NULL, *root = NULL, *id = argv[argc - 1];
  char state[4096], fifo[4200], late[4200];
  for (int i = 1; i + 1 < argc; i++) {
    for (size_t j = 0; j < sizeof commands / sizeof *commands && !*command; j++)
      if (strcmp(argv[i], commands[j]) == 0) command = argv[i];
    if (strcmp(argv[i], "--pid-file") == 0) pid_file = argv[i + 1];
    if (strcmp(argv[i], "--root") == 0) root = argv[i + 1];
  }
  int create = strcmp(command, "create") == 0;
  if (!*command || !pid_file || !root || snprintf(state, sizeof state, "%s/%s", root, id) >= (int)sizeof state) return 1;
  snprintf(fifo, sizeof fifo, "%s/exec.fifo", state);
  snprintf(late, sizeof late, "%s/" LATE, root);
  if (create && (mkdir(state, 0700) == -1 || mkfifo(fifo, 0600) == -1)) return 1;
  creator = getpid();
  monitor = getppid();
  pid_t child = fork();
  if (child == -1) return 1;
  if (child == 0) return create ? be_init(fifo, access(late, F_OK) == 0) : 0;
  return write_pid(pid_file, child) || (create && write_state(state, child));
}
