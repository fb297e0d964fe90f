/*
 * The zygote's side of a handover (monitor/zygote.c): it forks a process for each launcher that connects, which checks who
 * gives it a job, and takes on the identity that a process started for this job would have. A part of the addon.
 */
#define _GNU_SOURCE
#include "../monitor/clock.h"
#include "../monitor/handover.h"
#include "addon.h"
#include "arguments.h"
#include "policy.h"
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a launcher may take between two words: it does nothing else meanwhile. */
#define WORD_MS 2000
#define MAX_JOB (16u << 20)
/* Milliseconds. */
#define SETTLE_TRIES 100

/* Of libuv, which has no header of its own here. */
typedef struct uv_loop_s uv_loop_t;
extern int uv_loop_fork(uv_loop_t *loop);

struct job {
  uint32_t length, words, settings;
  char *text; /* words, then settings, each with its NUL */
  int descriptors[JOB_DESCRIPTORS];
  int listener; /* Or -1. */
};

static bool is_ready(int fd, int timeout) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};
  int n;
  do n = poll(&ready, 1, timeout);
  while (n == -1 && errno == EINTR);
  return n == 1;
}

static ssize_t read_path(const char *path, char *to, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return -1;
  ssize_t length = read(fd, to, size);
  close(fd);
  return length;
}

/* The one thing about a waiting process that others may change: somebody may have moved either to another cgroup. */
static bool same_cgroup(pid_t pid) {
  char path[64], ours[4096], theirs[4096];
  snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
  ssize_t a = read_path("/proc/self/cgroup", ours, sizeof ours), b = read_path(path, theirs, sizeof theirs);
  return a > 0 && a == b && a < (ssize_t)sizeof ours && memcmp(ours, theirs, (size_t)a) == 0;
}

static bool receive(int fd, struct job *job) {
  uint32_t header[3];
  if (!is_ready(fd, WORD_MS)) return false;
  size_t came = JOB_DESCRIPTORS;
  ssize_t n = receive_with(fd, header, sizeof header, job->descriptors, &came);
  if (n != sizeof header || came != JOB_DESCRIPTORS) return false;
  job->length = header[0] - (uint32_t)sizeof header;
  job->words = header[1];
  job->settings = header[2];
  if (header[0] < sizeof header || job->length == 0 || job->length > MAX_JOB || !(job->text = malloc(job->length))) return false;
  for (size_t have = 0; have < job->length; have += (size_t)n) {
    if (!is_ready(fd, WORD_MS)) return false;
    n = read(fd, job->text + have, job->length - have);
    if (n <= 0) return false;
  }
  uint32_t texts = 0;
  for (uint32_t i = 0; i < job->length; i++) texts += job->text[i] == '\0';
  return job->text[job->length - 1] == '\0' && texts == job->words + job->settings;
}

/* A job that was given by somebody who may, and who still wants it done. */
static bool negotiate(int fd, struct job *job) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  char word;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == -1 || peer.uid != geteuid()) return false;
  if (!same_cgroup(peer.pid) || !receive(fd, job)) return false;
  if (send(fd, "A", 1, MSG_NOSIGNAL) != 1 || !is_ready(fd, WORD_MS)) return false;
  size_t listeners = 1;
  return receive_with(fd, &word, 1, &job->listener, &listeners) == 1 && word == 'G';
}

static napi_value texts(napi_env env, const char **text, uint32_t count) {
  napi_value list, value;
  napi_create_array_with_length(env, count, &list);
  for (uint32_t i = 0; i < count; i++) {
    size_t length = strlen(*text);
    napi_create_string_utf8(env, *text, length, &value);
    napi_set_element(env, list, i, value);
    *text += length + 1;
  }
  return list;
}

/*
 * V8 marks its heap MADV_DONTFORK, and a child would die at its first look at an object. All of the memory map is marked
 * anew, but for the kernel's own.
 */
static bool let_memory_be_forked(void) {
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[PATH_MAX + 128];
  if (!maps) return false;
  while (fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    if (!strchr(line, '\n')) break;
    if (strstr(line, " [v") || sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
    madvise((void *)from, to - from, MADV_DOFORK);
  }
  bool is_all = feof(maps);
  fclose(maps);
  return is_all;
}

/* What worker threads of Node's wait at while there is nothing to do. */
#define MAX_CONDITIONS 16
struct condition {
  unsigned char *at;
  unsigned waiters;
};

/*
 * How glibc lays out a condition variable, on all that Node runs on: counted from its beginning. Up to 2.40 it has references of
 * two groups; from 2.41 on it has none, what follows is nearer to the beginning, and the last two words are unused.
 */
enum { CONDITION_SIZE = 48, GROUP_REFS = 16 };
struct layout {
  unsigned wrefs, signals;
  bool has_refs;
};

static struct layout condition_layout(void) {
  unsigned major = 0, minor = 0;
  sscanf(gnu_get_libc_version(), "%u.%u", &major, &minor);
  bool is_new = major > 2 || (major == 2 && minor >= 41);
  return is_new ? (struct layout){.wrefs = 28, .signals = 32} : (struct layout){.wrefs = 36, .signals = 40, .has_refs = true};
}

static uint32_t word_at(const unsigned char *at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

/* Where another thread of ours waits for a futex; NULL where it does something else. */
static unsigned char *futex_of(const char *task) {
  char path[300], text[256];
  unsigned long number, address;
  snprintf(path, sizeof path, "/proc/self/task/%s/syscall", task);
  ssize_t length = read_path(path, text, sizeof text - 1);
  if (length <= 0) return NULL;
  text[length] = '\0';
  return sscanf(text, "%lu %lx", &number, &address) == 2 && number == SYS_futex ? (unsigned char *)address : NULL;
}

static bool is_as_laid_out(const unsigned char *content, struct layout layout, unsigned waiters) {
  if (layout.has_refs) return (word_at(content + GROUP_REFS) >> 1) + (word_at(content + GROUP_REFS + 4) >> 1) == waiters;
  return word_at(content + CONDITION_SIZE - 8) == 0 && word_at(content + CONDITION_SIZE - 4) == 0;
}

/*
 * A condition variable counts who waits at it. In a forked process they are not there, and whoever signals it again and again
 * would in the end wait for them, for good: V8 does so when it collects garbage. So those conditions are found, by what the
 * threads wait for, and made anew in what is forked. 0 when none was found that can be understood.
 */
static size_t find_conditions(struct condition found[MAX_CONDITIONS]) {
  const struct layout layout = condition_layout();
  size_t count = 0, understood = 0;
  char own[16];
  snprintf(own, sizeof own, "%d", (int)syscall(SYS_gettid));
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return 0;
  for (struct dirent *entry; (entry = readdir(tasks));) {
    unsigned char *futex = *entry->d_name == '.' || strcmp(entry->d_name, own) == 0 ? NULL : futex_of(entry->d_name);
    if (!futex) continue;
    unsigned char *at = (unsigned char *)((uintptr_t)futex & ~(uintptr_t)7) - layout.signals;
    size_t i = 0;
    while (i < count && found[i].at != at) i++;
    if (i == MAX_CONDITIONS) break;
    if (i == count) found[count++] = (struct condition){.at = at};
    found[i].waiters++;
  }
  closedir(tasks);
  /* Other things are waited for by a futex, too, and before those there may be no memory. */
  int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  for (size_t i = 0; i < count; i++) {
    unsigned char content[CONDITION_SIZE];
    if (pread(memory, content, sizeof content, (off_t)(uintptr_t)found[i].at) != sizeof content) continue;
    if (word_at(content + layout.wrefs) >> 3 == found[i].waiters && is_as_laid_out(content, layout, found[i].waiters)) found[understood++] = found[i];
  }
  if (memory != -1) close(memory);
  return understood;
}

/* As if nobody had ever waited; which clock it goes by stays. */
static void renew_condition(unsigned char *at) {
  const unsigned wrefs = condition_layout().wrefs;
  uint32_t flags = word_at(at + wrefs) & 7;
  memset(at, 0, CONDITION_SIZE);
  memcpy(at + wrefs, &flags, sizeof flags);
}

/*
 * A process of the parent's parent, as the zygote must not have zombies: 0 in the new one. The one in the middle shares our
 * memory, so that the page tables are copied once. By fork() and not by clone(), as the C library and libuv prepare for it.
 */
static __attribute__((noinline)) pid_t fork_away(void) {
  volatile pid_t child = -1;
  pid_t middle = vfork();
  if (middle == 0) {
    child = fork();
    if (child == 0) return 0;
    _exit(0);
  }
  if (middle == -1) return -1;
  while (waitpid(middle, NULL, 0) == -1 && errno == EINTR) continue;
  return child;
}

static napi_value job_object(napi_env env, struct job *job) {
  static const char *const names[JOB_DESCRIPTORS] = {"input", "directory", "reply", "control", "bell"};
  const char *text = job->text;
  napi_value object;
  napi_create_object(env, &object);
  napi_set_named_property(env, object, "words", texts(env, &text, job->words));
  napi_set_named_property(env, object, "settings", texts(env, &text, job->settings));
  for (int i = 0; i < JOB_DESCRIPTORS; i++) set_number(env, object, names[i], job->descriptors[i]);
  set_number(env, object, "listener", job->listener);
  set_number(env, object, "pid", getpid());
  free(job->text);
  return object;
}

/* In the forked process: it is to have the job, or to end. */
static napi_value take_on(napi_env env, int fd) {
  struct job job = {.descriptors = {-1, -1, -1, -1, -1}, .listener = -1};
  if (!negotiate(fd, &job)) _exit(1);
  close(fd);
  return job_object(env, &job);
}

static napi_value outcome(napi_env env, napi_value job, uint32_t forked, bool is_over) {
  napi_value object, value;
  napi_create_object(env, &object);
  if (job) napi_set_named_property(env, object, "job", job);
  set_number(env, object, "forked", forked);
  napi_get_boolean(env, is_over, &value);
  napi_set_named_property(env, object, "isOver", value);
  return object;
}

/*
 * Has the kernel show other words as this process's command line and environment. All of the memory map is told anew, as
 * telling single fields takes a privilege (prctl(2), PR_SET_MM_MAP); the rest stays what /proc/self/stat says.
 */
static bool show(const char *words, const char *settings, const char *end) {
  char text[2048], *field;
  unsigned long value[53] = {0};
  ssize_t length = read_path("/proc/self/stat", text, sizeof text - 1);
  if (length <= 0) return false;
  text[length] = '\0';
  /* proc(5) counts from 1; the second field, in brackets, may hold anything. */
  field = strrchr(text, ')');
  for (int i = 3; field && i <= 52; i++) {
    field = strchr(field + 1, ' ');
    if (field) value[i] = strtoul(field + 1, NULL, 10);
  }
  struct prctl_mm_map map = {
      .start_code = value[26], .end_code = value[27], .start_stack = value[28], .start_data = value[45], .end_data = value[46],
      .start_brk = value[47], .brk = (uint64_t)syscall(SYS_brk, 0), .exe_fd = (uint32_t)-1,
      .arg_start = (uintptr_t)words, .arg_end = (uintptr_t)settings, .env_start = (uintptr_t)settings, .env_end = (uintptr_t)end,
  };
  return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0;
}

/* The length of all texts with their NULs; copies them where there is room. */
static size_t lay_out(napi_env env, napi_value list, char *to, size_t room) {
  uint32_t count;
  size_t total = 0;
  napi_get_array_length(env, list, &count);
  for (uint32_t i = 0; i < count; i++) {
    napi_value value;
    size_t length;
    napi_get_element(env, list, i, &value);
    napi_get_value_string_utf8(env, value, NULL, 0, &length);
    if (to) napi_get_value_string_utf8(env, value, to + total, room - total, &length);
    total += length + 1;
  }
  return total;
}

/*
 * One that is forked before there is a launcher, so that none has to wait for that: it takes the next one itself. This is its zygote's
 * side of what they hear of each other by, or -1. The other one says TAKEN when it has a launcher; it ends when its zygote does.
 */
static int ahead = -1;
#define TAKEN 'T'
/*
 * What the first that was taken has written to soon afterwards, every other one will write to as well: each such page costs it a fault in which
 * the kernel copies it. It reports which pages those are, in the same way as TAKEN, and whoever is forked ahead from then on has them copied
 * while it has nothing else to do. `reporter` is its own end of that way, `report` its zygote's, or -1.
 */
static int reporter = -1, report = -1;
struct pages {
  uint64_t from, length; /* In bytes. */
};
#define MOST_RANGES 4000
static struct pages *written;
static size_t written_count;
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
/* Of an entry in /proc/PID/pagemap: the page is there, it is of a file or shared, and nobody else has it. */
#define PAGE_PRESENT (1ULL << 63)
#define PAGE_OF_FILE (1ULL << 61)
#define PAGE_EXCLUSIVE (1ULL << 56)
/* Who has just been taken has the processors to itself for so long, and somebody else may come. */
#define HEAD_START_MS 20

/* The first that a forked process does; what it can do before there is a job for it. */
static void settle(uv_loop_t *loop, const struct condition *conditions, size_t count) {
  /* The zygote's, who hears of others by it. */
  if (report != -1) close(report);
  report = -1;
  for (size_t i = 0; i < count; i++) renew_condition(conditions[i].at);
  int status = uv_loop_fork(loop);
  setpgid(0, 0);
  end_idle_class(getpid());
  if (status != 0) _exit(1);
}

/* In the one that was forked ahead: the connection to its launcher. */
static int await_launcher(int listener, int zygote) {
  for (;;) {
    struct pollfd ready[] = {{.fd = listener, .events = POLLIN}, {.fd = zygote, .events = POLLIN}};
    if (poll(ready, 2, -1) == -1) continue;
    int fd = ready[0].revents ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
    /* Where nothing can be opened the zygote tries by itself, and not as often as it can. */
    if (ready[0].revents && fd == -1 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) _exit(1);
    if (fd != -1) {
      send(zygote, (char[]){TAKEN}, 1, MSG_NOSIGNAL);
      reporter = zygote;
      return fd;
    }
    if (ready[1].revents) _exit(0);
  }
}

/* Adds what this process alone has of a part of its memory. */
static size_t add_own(int pagemap, unsigned long from, unsigned long to, struct pages *own, size_t count) {
  static uint64_t entries[512];
  const unsigned long size = (unsigned long)sysconf(_SC_PAGESIZE);
  for (unsigned long at = from; at < to;) {
    size_t wanted = (to - at) / size < 512 ? (to - at) / size : 512;
    ssize_t n = pread(pagemap, entries, wanted * sizeof *entries, (off_t)(at / size * sizeof *entries));
    if (n <= 0) break;
    for (size_t i = 0; i < (size_t)n / sizeof *entries; i++, at += size) {
      if ((entries[i] & (PAGE_PRESENT | PAGE_OF_FILE | PAGE_EXCLUSIVE)) != (PAGE_PRESENT | PAGE_EXCLUSIVE)) continue;
      if (count > 0 && own[count - 1].from + own[count - 1].length == at) own[count - 1].length += size;
      else if (count < MOST_RANGES) own[count++] = (struct pages){.from = at, .length = size};
    }
  }
  return count;
}

/* reportWritten(): tells the zygote, if that wants to know, which pages this process has written to. */
static napi_value report_written(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  if (reporter == -1) return NULL;
  char line[PATH_MAX + 128];
  unsigned long from, to;
  /* The other end is closed where it knows already. */
  struct pollfd end = {.fd = reporter, .events = POLLIN};
  bool is_wanted = poll(&end, 1, 0) == 0;
  struct pages *own = is_wanted ? malloc(MOST_RANGES * sizeof *own) : NULL;
  FILE *maps = own ? fopen("/proc/self/maps", "re") : NULL;
  int pagemap = own ? open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC) : -1;
  size_t count = 0;
  while (maps && pagemap != -1 && fgets(line, sizeof line, maps))
    if (sscanf(line, "%lx-%lx", &from, &to) == 2 && strstr(line, " rw-p ") && !strstr(line, "[stack]")) count = add_own(pagemap, from, to, own, count);
  if (count > 0 && count < MOST_RANGES) send(reporter, own, count * sizeof *own, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (maps) fclose(maps);
  if (pagemap != -1) close(pagemap);
  free(own);
  close(reporter);
  reporter = -1;
  return NULL;
}

static void take_report(void) {
  struct pages *pages = malloc(MOST_RANGES * sizeof *pages);
  ssize_t n = pages ? recv(report, pages, MOST_RANGES * sizeof *pages, MSG_DONTWAIT) : -1;
  close(report);
  report = -1;
  if (n <= 0) {
    free(pages);
    return;
  }
  written = pages;
  written_count = (size_t)n / sizeof *pages;
}

/* `shown`: what it shows as its command line while it waits. In it: the connection to its launcher. In the zygote: -1, and `ahead` is set unless that failed. */
static int fork_ahead(int listener, uv_loop_t *loop, const struct condition *conditions, size_t count, const char *shown, size_t length) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1) return -1;
  pid_t child = fork_away();
  if (child == 0) {
    close(ends[0]);
    settle(loop, conditions, count);
    for (size_t i = 0; i < written_count; i++) madvise((void *)(uintptr_t)written[i].from, written[i].length, MADV_POPULATE_WRITE);
    show(shown, shown + length, shown + length);
    return await_launcher(listener, ends[1]);
  }
  close(ends[1]);
  if (child != -1) ahead = ends[0];
  else close(ends[0]);
  return -1;
}

/* Whether the one that was forked ahead has a launcher; else it has ended. */
static bool is_taken(void) {
  char word;
  ssize_t n = recv(ahead, &word, 1, MSG_DONTWAIT);
  bool is_there = n == 1 && word == TAKEN;
  if (is_there && !written && report == -1) report = ahead;
  else close(ahead);
  ahead = -1;
  return is_there;
}

/*
 * forkForJobs(listener, watched, waitMs, shown): {job, forked, isOver}, or -errno when it cannot fork. For each launcher that comes,
 * forks a process, in which this returns with a job; with `shown`, words, there is one ahead, which shows itself as these. In the zygote it
 * returns after that long, also where somebody has come, so that it can look whether it is still of use, or when `watched`, a descriptor or -1, is
 * readable; the one ahead stays for the next call. It blocks: a zygote has nothing else to do.
 */
static napi_value fork_for_jobs(napi_env env, napi_callback_info info) {
  /* Memory of no file: of another the kernel would not show it. */
  static char *shown;
  const size_t most_shown = 4096;
  size_t shown_length = 0;
  ARGS(4);
  int listener = (int)integer(env, arg[0]), watched = (int)integer(env, arg[1]), wait = (int)integer(env, arg[2]);
  bool is_list = false;
  if (!shown && (shown = mmap(NULL, most_shown, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) == MAP_FAILED) shown = NULL;
  if (shown && napi_is_array(env, arg[3], &is_list) == napi_ok && is_list && lay_out(env, arg[3], NULL, 0) < most_shown)
    shown_length = lay_out(env, arg[3], shown, most_shown);
  bool forks_ahead = shown_length > 0;
  uint32_t forked = 0;
  uv_loop_t *loop;
  int why = napi_get_uv_event_loop(env, (struct uv_loop_s **)&loop) != napi_ok || !let_memory_be_forked() ? EIO : 0;
  struct condition conditions[MAX_CONDITIONS];
  size_t found = 0;
  /* A thread that still does something comes to rest. */
  for (int tries = 0; !why && !(found = find_conditions(conditions)); tries++) {
    if (tries == SETTLE_TRIES) why = ENOTSUP;
    poll(NULL, 0, 1);
  }
  /* What it forks shall not be adopted by it again. */
  if (!why && prctl(PR_SET_CHILD_SUBREAPER, 0) == -1) why = errno;
  /* Who comes for a launcher that has gone must not wait for the next. */
  if (!why && fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK) == -1) why = errno;
  const int64_t until = milliseconds() + wait;
  while (!why) {
    /* Somebody who is there already is served at once. */
    if (forks_ahead && ahead == -1 && !is_ready(listener, 0)) {
      int fd = fork_ahead(listener, loop, conditions, found, shown, shown_length);
      if (fd != -1) return outcome(env, take_on(env, fd), 0, false);
      forks_ahead = ahead != -1;
    }
    struct pollfd ready[] = {{.fd = ahead != -1 ? ahead : listener, .events = POLLIN}, {.fd = watched, .events = POLLIN}, {.fd = report, .events = POLLIN}};
    const int64_t left = until - milliseconds();
    int n = poll(ready, 3, left > 0 ? (int)left : 0);
    if (n == -1 && errno == EINTR) continue;
    if (n > 0 && ready[2].revents) {
      take_report();
      continue;
    }
    if (n <= 0 || !ready[0].revents) return outcome(env, NULL, forked, n > 0);
    if (ahead != -1) {
      /* One that ends by itself would do so again. */
      if (is_taken()) forked++;
      else forks_ahead = false;
      if (forks_ahead) is_ready(listener, HEAD_START_MS);
      continue;
    }
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd == -1) {
      if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) poll(NULL, 0, 10);
      continue;
    }
    pid_t child = fork_away();
    if (child == 0) {
      settle(loop, conditions, found);
      return outcome(env, take_on(env, fd), 0, false);
    }
    if (child == -1) why = errno;
    forked++;
    close(fd);
  }
  return number(env, -why);
}

/* exitNow(status): without what a process does at its end that has threads: a forked one has them not, and would wait for them. */
static napi_value exit_now(napi_env env, napi_callback_info info) {
  ARGS(1);
  _exit((int)integer(env, arg[0]));
}

/*
 * setIdentity(words, settings): what /proc/PID/cmdline and environ show, and so ps and pgrep -f. 0 or -errno.
 */
static napi_value set_identity(napi_env env, napi_callback_info info) {
  static char *former;
  static size_t former_size;
  size_t count = 2;
  napi_value arg[2], result;
  napi_get_cb_info(env, info, &count, arg, NULL, NULL);
  size_t words = lay_out(env, arg[0], NULL, 0), size = words + lay_out(env, arg[1], NULL, 0) + 1;
  char *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int32_t status = 0;
  if (area == MAP_FAILED) status = -errno;
  else {
    lay_out(env, arg[0], area, size);
    lay_out(env, arg[1], area + words, size - words);
    if (show(area, area + words, area + size - 1)) {
      if (former) munmap(former, former_size);
      former = area;
      former_size = size;
    } else {
      status = -errno;
      munmap(area, size);
    }
  }
  napi_create_int32(env, status, &result);
  return result;
}

/* setName(name): /proc/PID/comm of the calling thread, cut to 15 bytes. */
static napi_value set_name(napi_env env, napi_callback_info info) {
  size_t count = 1, length;
  napi_value arg[1];
  char name[16];
  napi_get_cb_info(env, info, &count, arg, NULL, NULL);
  if (napi_get_value_string_utf8(env, arg[0], name, sizeof name, &length) == napi_ok) prctl(PR_SET_NAME, name, 0, 0, 0);
  return NULL;
}

void register_job(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"forkForJobs", fork_for_jobs},
      {"reportWritten", report_written},
      {"exitNow", exit_now},
      {"setIdentity", set_identity},
      {"setName", set_name},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
