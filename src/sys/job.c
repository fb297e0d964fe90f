/*
 * The spare's side of a handover (monitor/spare.c): it waits for a job, checks who gives it, and takes on the identity
 * that a process started for this job would have. A part of the addon.
 */
#define NAPI_VERSION 8
#define _GNU_SOURCE
#include "job.h"
#include "policy.h"
#include <errno.h>
#include <fcntl.h>
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
#include <unistd.h>

/* How long a launcher may take between two words: it does nothing else meanwhile. */
#define WORD_MS 2000
#define MAX_JOB (16u << 20)
/* Input, directory, the pipe for the reply. */
#define DESCRIPTORS 3

struct job {
  uint32_t length, words, settings;
  char *text; /* words, then settings, each with its NUL */
  int descriptors[DESCRIPTORS];
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

/* Bytes, and as many descriptors as are expected; they stay -1 where none came. */
static ssize_t receive_with(int fd, void *bytes, size_t length, int *descriptors, size_t count) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = length};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *rights = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (rights && rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(count * sizeof(int)))
    memcpy(descriptors, CMSG_DATA(rights), count * sizeof(int));
  return n;
}

static bool receive(int fd, struct job *job) {
  uint32_t header[3];
  if (!is_ready(fd, WORD_MS)) return false;
  ssize_t n = receive_with(fd, header, sizeof header, job->descriptors, DESCRIPTORS);
  if (n != sizeof header || job->descriptors[0] == -1) return false;
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
  return receive_with(fd, &word, 1, &job->listener, 1) == 1 && word == 'G';
}

static void forget(struct job *job) {
  free(job->text);
  for (int i = 0; i < DESCRIPTORS; i++)
    if (job->descriptors[i] != -1) close(job->descriptors[i]);
  if (job->listener != -1) close(job->listener);
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
 * awaitJob(listener, idleMs): {words, settings, input, directory, reply, listener}, or null when nobody came in time. It blocks:
 * a spare has nothing else to do.
 */
napi_value await_job(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arg[2], job_object, value;
  int32_t listener, idle;
  napi_get_cb_info(env, info, &count, arg, NULL, NULL);
  napi_get_value_int32(env, arg[0], &listener);
  napi_get_value_int32(env, arg[1], &idle);
  for (;;) {
    struct job job = {.descriptors = {-1, -1, -1}, .listener = -1};
    if (!is_ready(listener, idle)) {
      napi_get_null(env, &value);
      return value;
    }
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd == -1) continue;
    bool taken = negotiate(fd, &job);
    close(fd);
    if (!taken) {
      forget(&job);
      continue;
    }
    static const char *const names[DESCRIPTORS] = {"input", "directory", "reply"};
    const char *text = job.text;
    napi_create_object(env, &job_object);
    napi_set_named_property(env, job_object, "words", texts(env, &text, job.words));
    napi_set_named_property(env, job_object, "settings", texts(env, &text, job.settings));
    for (int i = 0; i < DESCRIPTORS; i++) {
      napi_create_int32(env, job.descriptors[i], &value);
      napi_set_named_property(env, job_object, names[i], value);
    }
    napi_create_int32(env, job.listener, &value);
    napi_set_named_property(env, job_object, "listener", value);
    free(job.text);
    end_idle_class(getpid());
    return job_object;
  }
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
 * setIdentity(words, settings): what /proc/PID/cmdline and environ show, and so ps and pgrep -f. 0 or -errno.
 */
napi_value set_identity(napi_env env, napi_callback_info info) {
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
napi_value set_name(napi_env env, napi_callback_info info) {
  size_t count = 1, length;
  napi_value arg[1];
  char name[16];
  napi_get_cb_info(env, info, &count, arg, NULL, NULL);
  if (napi_get_value_string_utf8(env, arg[0], name, sizeof name, &length) == napi_ok) prctl(PR_SET_NAME, name, 0, 0, 0);
  return NULL;
}
