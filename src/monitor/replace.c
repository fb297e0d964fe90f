/*
 * Another program in the monitor's place, in the same process: its children stay its children, and what it has open stays open.
 * Who wants that sends a signal, and is asked what exactly (src/shim/program/upgrade.ts), in lines of words with tabs between them:
 *
 *   monitor: shim  TABLE FORMAT  RECORD FORMAT or -1  awake or asleep  BUILD  LIBRARY  DEVICE:INODE of its program
 *   asker:   replace or try  NEWEST RECORD FORMAT THAT IS READ  PATIENCE in seconds  PROGRAM
 *   monitor: no WHY | could | runs BUILD LIBRARY | over, when the shim ends, as its container has
 *
 * The other program is first run to say whether it could go on with the table. Should it fail nevertheless when it has taken over,
 * it executes the former one, which goes on as if nothing had been.
 */
#define _GNU_SOURCE
#include "replace.h"
#include "clock.h"
#include "launcher.h"
#include "peer.h"
#include "spawn.h"
#include "wait.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the other program may take to say that it could. It does little more than to read the table. */
#define CHECK_MS 5000

extern char **environ;

static struct running running;

/* Who has asked, and what has come of an order so far. */
static struct {
  int fd;
  char line[PATH_MAX + 64];
  size_t length;
  enum { NOTHING, TRIED, WANTED } what;
  int32_t readable, patience;
  const char *program;
} asker = {.fd = -1};

void replacement_prepare(const struct running *what) { running = *what; }

int replacement_descriptor(void) { return asker.fd; }

bool replacement_is_due(void) { return asker.what != NOTHING; }

/* ---- answers ------------------------------------------------------------------------------------------------------ */

/* Nobody may read it any more. What is longer than the buffer is cut off. */
static void __attribute__((format(printf, 2, 3))) say(int fd, const char *format, ...) {
  char text[2 * PATH_MAX];
  va_list values;
  va_start(values, format);
  int length = vsnprintf(text, sizeof text - 1, format, values);
  va_end(values);
  if (length < 0) return;
  if (length > (int)sizeof text - 2) length = (int)sizeof text - 2;
  /* One line it is. */
  for (int i = 0; i < length; i++)
    if (text[i] == '\n') text[i] = ' ';
  text[length++] = '\n';
  if (send(fd, text, (size_t)length, MSG_NOSIGNAL) == -1) return;
}

static void forget_asker(void) {
  if (asker.fd != -1) close(asker.fd);
  asker.fd = -1;
  asker.length = 0;
  asker.what = NOTHING;
}

static void refuse(const char *why) {
  say(asker.fd, "no\t%s", why);
  forget_asker();
}

void replacement_stays(const char *why) {
  if (asker.what == NOTHING) return;
  if (*why) refuse(why);
  else {
    say(asker.fd, "could");
    forget_asker();
  }
}

void replacement_over(void) {
  if (asker.fd == -1) return;
  say(asker.fd, "over");
  forget_asker();
}

void replacement_done(int fd) {
  say(fd, "runs\t%s\t%s", running.build, running.library);
  close(fd);
}

void replacement_failed(int fd, const char *why) {
  say(fd, "no\tthe new program began, and failed: %s", why);
  close(fd);
}

/* ---- who asks ----------------------------------------------------------------------------------------------------- */

/* In the directory of the process that has sent the signal, which must be this user's or root's, as must what it runs as. */
static int connect_back(pid_t pid, uid_t uid) {
  char path[48];
  struct ucred peer;
  if (pid <= 0 || (uid != 0 && uid != geteuid())) return -1;
  snprintf(path, sizeof path, "/proc/%d/cwd/upgrade", (int)pid);
  int fd = connect_to_peer(path, SOCK_NONBLOCK, NULL, &peer);
  if (fd == -1 || (peer.pid == pid && (peer.uid == 0 || peer.uid == geteuid()))) return fd;
  close(fd);
  return -1;
}

void replacement_signalled(pid_t pid, uid_t uid, bool is_awake, int32_t record_format) {
  struct stat program = {0};
  int fd = connect_back(pid, uid);
  if (fd == -1) return;
  if (asker.fd != -1) {
    say(fd, "no\tsomebody else is about to replace it");
    close(fd);
    return;
  }
  asker.fd = fd;
  if (stat("/proc/self/exe", &program) == -1) program.st_ino = 0;
  say(fd, "shim\t%d\t%d\t%s\t%s\t%s\t%llu:%llu", table_format(), is_awake ? -1 : record_format, is_awake ? "awake" : "asleep", running.build, running.library,
      (unsigned long long)program.st_dev, (unsigned long long)program.st_ino);
}

/* ---- whether it would do ------------------------------------------------------------------------------------------ */

static bool is_setting(const char *setting, const char *name) { return strncmp(setting, name, strlen(name)) == 0 && setting[strlen(name)] == '='; }

/* The environment, and these settings, of which the last is NULL. To be freed. */
static char **environment_with(char *const *more) {
  size_t count = 0, n = 0;
  while (environ[count]) count++;
  for (size_t i = 0; more[i]; i++) count++;
  char **all = calloc(count + 1, sizeof *all);
  for (char **setting = environ; all && *setting; setting++)
    if (!is_setting(*setting, TAKE_OVER) && !is_setting(*setting, COULD_TAKE_OVER) && !is_setting(*setting, TAKE_OVER_FAILED)) all[n++] = *setting;
  for (size_t i = 0; all && more[i]; i++) all[n++] = more[i];
  return all;
}

/* What it says until its end, or until its time is over. False for the latter. */
static bool listen_to(int from, char *to, size_t size) {
  int64_t until = milliseconds() + CHECK_MS;
  size_t length = 0;
  for (;;) {
    int64_t left = until - milliseconds();
    to[length] = '\0';
    if (left <= 0 || poll(&(struct pollfd){.fd = from, .events = POLLIN}, 1, (int)left) == 0) return false;
    char byte;
    ssize_t n = length < size - 1 ? read(from, to + length, size - 1 - length) : read(from, &byte, 1);
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0) return true;
    if (length < size - 1) length += (size_t)n;
  }
}

/*
 * Runs the other program, to say whether it could go on with this table; NULL if so. Its words are none of a shim's, as one that does
 * not know of this would begin to be one.
 */
static const char *doubt_of(const char *path, int table) {
  static char said[512];
  int ends[2], how = 0;
  if (pipe2(ends, O_CLOEXEC) == -1) return "no pipe is to be had";
  char *const setting[] = {(char *)COULD_TAKE_OVER "=3", NULL};
  char **envp = environment_with(setting);
  char *argv[] = {running.argv[0], (char *)"take-over", NULL};
  const struct program program = {.file = path, .argv = argv, .envp = envp, .die_with_parent = true};
  pid_t pid = envp ? spawn_program(&program, (int[]){STDIN_FILENO, ends[1], ends[1], table}, 4) : -ENOMEM;
  close(ends[1]);
  free(envp);
  bool is_over = pid > 0 && listen_to(ends[0], said, sizeof said);
  close(ends[0]);
  if (pid < 0) {
    snprintf(said, sizeof said, "%s cannot be executed: %s", path, strerror(-pid));
    return said;
  }
  if (!is_over) kill(pid, SIGKILL);
  while (waitpid(pid, &how, 0) == -1 && errno == EINTR) continue;
  if (!is_over) return "the new program does not say whether it could go on";
  if (how == 0 && strcmp(said, CAN_TAKE_OVER) == 0) return NULL;
  for (char *end = strchr(said, '\0'); end > said && end[-1] == '\n';) *--end = '\0';
  if (*said) return said;
  snprintf(said, sizeof said, "the new program ends with status %d", shell_status(how));
  return said;
}

static int write_table(struct table *table) {
  table->asker = asker.fd;
  table->ignored = running.ignored;
  snprintf(table->library, sizeof table->library, "%s", running.library);
  snprintf(table->build, sizeof table->build, "%s", running.build);
  return table_write(table);
}

/* Without what is in the table yet, which is looked at again when it is. */
static const char *first_doubt(void) {
  int fd = write_table(&(struct table){.asker = -1});
  const char *why = fd == -1 ? "no file in memory is to be had" : doubt_of(asker.program, fd);
  if (fd != -1) close(fd);
  return why;
}

/* ---- the order ---------------------------------------------------------------------------------------------------- */

static bool take_order(void) {
  char *rest = asker.line, *words[4];
  for (int i = 0; i < 4; i++)
    if (!(words[i] = strsep(&rest, "\t"))) return false;
  bool is_wanted = strcmp(words[0], "replace") == 0;
  if (rest || *words[3] != '/' || (!is_wanted && strcmp(words[0], "try") != 0)) return false;
  asker.what = is_wanted ? WANTED : TRIED;
  asker.readable = atoi(words[1]);
  asker.patience = atoi(words[2]);
  asker.program = words[3];
  return true;
}

bool replacement_heard(void) {
  char more;
  ssize_t n = asker.what == NOTHING ? recv(asker.fd, asker.line + asker.length, sizeof asker.line - asker.length, 0) : recv(asker.fd, &more, 1, 0);
  if (n == -1 && (errno == EAGAIN || errno == EINTR)) return false;
  /* It has given up, or says what nobody understands. */
  if (n <= 0 || asker.what != NOTHING) {
    forget_asker();
    return false;
  }
  asker.length += (size_t)n;
  char *end = memchr(asker.line, '\n', asker.length);
  if (!end && asker.length < sizeof asker.line) return false;
  if (end) *end = '\0';
  if (!end || !take_order()) {
    refuse("the order is not understood");
    return false;
  }
  const char *why = first_doubt();
  if (why) refuse(why);
  return !why;
}

struct answer replacement_for_worker(void) {
  if (asker.what == NOTHING) return (struct answer){{-ENOENT, 0}};
  return (struct answer){{asker.readable, asker.what == TRIED ? -asker.patience : asker.patience}};
}

/* ---- doing it ----------------------------------------------------------------------------------------------------- */

static void keep_open(int fd, bool across_exec) {
  if (fd != -1) fcntl(fd, F_SETFD, across_exec ? 0 : FD_CLOEXEC);
}

static void keep_all_open(const struct table *table, int file, int former, bool across_exec) {
  for (uint32_t i = 0; i < table->count; i++) keep_open(table->descriptors[i], across_exec);
  keep_open(table->asker, across_exec);
  keep_open(file, across_exec);
  keep_open(former, across_exec);
}

/* Only comes back when that is impossible. */
static void execute(const struct table *table, int file, int former) {
  char setting[64];
  snprintf(setting, sizeof setting, TAKE_OVER "=%d,%d", file, former);
  char **envp = environment_with((char *const[]){setting, NULL});
  if (!envp) return;
  keep_all_open(table, file, former, true);
  execve(asker.program, running.argv, envp);
  int why = errno;
  keep_all_open(table, file, former, false);
  free(envp);
  errno = why;
}

void replacement_try(struct table *table) {
  bool is_wanted = asker.what == WANTED;
  int file = -1, former = -1;
  const char *why = NULL;
  if (table->bytes && table->record_format > asker.readable) why = "what its worker has left is in a newer format than the new program reads";
  else if ((file = write_table(table)) == -1) why = "no file in memory is to be had";
  else why = doubt_of(asker.program, file);
  if (!why && is_wanted) {
    former = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (former != -1) execute(table, file, former);
    why = strerror(errno);
  }
  if (file != -1) close(file);
  if (former != -1) close(former);
  replacement_stays(why ? why : "");
}

void replacement_fails(int table, int former, char **argv, const char *why) {
  char setting[32], reason[600];
  snprintf(setting, sizeof setting, TAKE_OVER "=%d,-1", table);
  snprintf(reason, sizeof reason, TAKE_OVER_FAILED "=%s", why);
  char **envp = environment_with((char *const[]){setting, reason, NULL});
  if (envp && former != -1) fexecve(former, argv, envp);
  _exit(fail("go back to the former program", NULL));
}
