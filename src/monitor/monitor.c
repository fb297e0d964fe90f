/*
 * The monitor: what `start` leaves behind, one for each shim. It is the parent of the container's init and of every command of
 * the runtime, and keeps how each has ended until somebody asks. What the contract says a worker does, which is Node; it has no
 * children, and asks here for those that it needs (handover.h). While there is nothing to do there is no worker, and the
 * monitor has its descriptors and its record, copies what the container writes, and sees to it that there is a worker again.
 */
#define _GNU_SOURCE
#include "answers.h"
#include "clock.h"
#include "copy.h"
#include "handover.h"
#include "launcher.h"
#include "replace.h"
#include "spawn.h"
#include "wait.h"
#include "watched.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* As much as a command's arguments and settings may be (execve(2)), and more than any record is. */
#define MOST_BYTES (64u << 20)
/*
 * How soon a worker is tried for again where none was to be had, or one has not even got as far as to take the record; twice as long
 * each time. It is never given up, as the container lives: its program may be installed again; unless a signal wants its end.
 */
#define RETRY_MS 500
#define LONGEST_RETRY_MS 30000
/* A worker that has lived so long has died of something new; of others so many are replaced at once. */
#define LONG_LIFE_MS 2000
#define DEATHS_AT_ONCE 3
#define LONGEST_PAUSE_MS 1000

/* What a worker is told of; the signals that stop or question a shim are handed on as they are. */
static const int noticed[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, REPLACE_SIGNAL};

/* What a worker has left here until there is another, or for the case that it dies. */
struct rest {
  char *bytes; /* A struct resting for each descriptor, then the record. */
  uint32_t length, count;
  int32_t format; /* The worker's business, but for whoever replaces this program. */
  int descriptors[HANDOVER_DESCRIPTORS];
  struct copy copies[COPIES_AT_ONCE];
  uint32_t copied;
  bool are_copies_begun;
};

static struct monitor_ends here = {-1, -1};
static int signals = -1;
/* A worker that is a child of ours, as there was no zygote. */
static pid_t own_worker;
static int own_status = -1;
static struct rest *rest;
static bool is_taken = true;
/* It has left its rest to end, and not for the case that it dies. */
static bool is_asleep;
/* The place of the descriptor that has woken it, or WOKEN_BY_*. */
static int woken_by;
/* How children have ended of which a worker was told: it may die before it has written that down. */
static struct ended told[TOLD];
static unsigned told_next;
/* A signal wants its end, of which no worker has heard yet. */
static bool is_to_end;

static void notice(char what) {
  /* A full pipe says it already. */
  if (here.bell != -1 && write(here.bell, &what, 1) == -1 && errno != EAGAIN) return;
}

static char notice_of(int signal) {
  return signal == SIGTERM ? 'T' : signal == SIGINT ? 'I' : signal == SIGUSR1 ? 'U' : NOTICED_CHILD;
}

/* ---- what a worker asks ------------------------------------------------------------------------------------------- */

/* `count` texts out of the body, as execve wants them; NULL when there are fewer. */
static char **texts(char **at, const char *end, uint32_t count) {
  char **list = calloc((size_t)count + 1, sizeof *list);
  for (uint32_t i = 0; list && i < count; i++) {
    char *nul = memchr(*at, '\0', (size_t)(end - *at));
    if (!nul) {
      free(list);
      return NULL;
    }
    list[i] = *at;
    *at = nul + 1;
  }
  return list;
}

static void forget_told(pid_t pid) {
  for (unsigned i = 0; i < TOLD; i++)
    if (told[i].pid == pid) told[i].pid = 0;
}

static struct answer spawn_for(const struct head *head, char *body, const int *descriptors, size_t count) {
  char *at = body;
  const char *end = body + head->length;
  char **place = texts(&at, end, 2);
  char **argv = place ? texts(&at, end, (uint32_t)head->number[0]) : NULL;
  char **envp = argv ? texts(&at, end, (uint32_t)head->number[1]) : NULL;
  struct answer answer = {{-EINVAL, 0}};
  if (envp) {
    const struct program program = {
        .file = place[0],
        .argv = argv,
        .envp = envp,
        .cwd = *place[1] ? place[1] : NULL,
        .die_with_parent = head->number[2] & SPAWN_DIES_WITH_PARENT,
        .own_group = head->number[2] & SPAWN_OWN_GROUP,
    };
    answer.number[0] = spawn_program(&program, descriptors, (int)count);
    forget_told(answer.number[0]);
    if (head->number[2] & SPAWN_WATCHED && answer.number[0] > 0) answer.number[1] = watched_add(answer.number[0]);
  }
  free(envp);
  free(argv);
  free(place);
  return answer;
}

static struct answer wait_for(pid_t pid, bool keep) {
  struct answer answer = {{-ECHILD, 0}};
  if (pid != own_worker || pid == 0) answer.number[0] = wait_for_child(pid, keep, &answer.number[1]);
  if (answer.number[0] > 0 && !keep) {
    forget_told(pid);
    told[told_next].pid = pid;
    told[told_next].status = answer.number[1];
    told[told_next].is_heard = true;
    told_next = (told_next + 1) % TOLD;
  }
  for (unsigned i = 0; answer.number[0] == -ECHILD && pid != 0 && i < TOLD; i++) {
    if (told[i].pid != pid) continue;
    answer = (struct answer){{pid, told[i].status}};
    told[i].is_heard = !keep;
  }
  return answer;
}

static struct answer watch(pid_t pid) {
  struct answer answer = wait_for(pid, true);
  if (answer.number[0] == 0 && !watched_add(pid)) answer.number[0] = -ENOMEM;
  return answer;
}

static void forget_rest(void) {
  if (!rest) return;
  for (uint32_t i = 0; i < rest->count; i++) close(rest->descriptors[i]);
  for (uint32_t i = 0; i < rest->copied; i++) copy_end(&rest->copies[i]);
  free(rest->bytes);
  free(rest);
  rest = NULL;
}

/* Accepted or opened for a worker since the last record. */
static int shared[HANDOVER_DESCRIPTORS / 2];
static size_t shared_count;

static void forget_shared(void) {
  for (size_t i = 0; i < shared_count; i++) close(shared[i]);
  shared_count = 0;
}

static bool can_share(void) {
  errno = EMFILE;
  return shared_count < sizeof shared / sizeof *shared;
}

static bool share(int fd) {
  if (fd != -1) shared[shared_count++] = fd;
  return fd != -1;
}

/* How many are opened: the last of those that are shared, which go with the answer. */
static size_t open_for(const char *path) { return can_share() && share(open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)); }

static size_t accept_for(int listener, size_t most) {
  size_t count = 0;
  while (count < most && can_share() && share(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK))) count++;
  return count;
}

static void release_copies(void) {
  for (uint32_t i = 0; rest && i < rest->copied; i++) copy_end(&rest->copies[i]);
  if (!rest) return;
  rest->copied = 0;
  rest->are_copies_begun = false;
}

static struct answer rest_from(const struct head *head, char **body, int *descriptors, size_t count) {
  struct rest *next = NULL;
  bool is_good = head->number[0] >= 0 && count == (size_t)head->number[0] && !table_doubt(*body, head->length, (uint32_t)count);
  if (!is_good || !(next = calloc(1, sizeof *next))) return (struct answer){{is_good ? -ENOMEM : -EINVAL, 0}};
  forget_rest();
  rest = next;
  *rest = (struct rest){.bytes = *body, .length = head->length, .count = (uint32_t)count, .format = head->number[1]};
  memcpy(rest->descriptors, descriptors, count * sizeof *descriptors);
  *body = NULL;
  return (struct answer){{0, 0}};
}

/* One question. False when there is no worker any more. */
static bool serve_question(void) {
  struct head head;
  int descriptors[HANDOVER_DESCRIPTORS];
  size_t count = HANDOVER_DESCRIPTORS;
  if (receive_with(here.control, &head, sizeof head, descriptors, &count) != sizeof head || head.length > MOST_BYTES) return false;
  char *body = malloc((size_t)head.length + 1);
  if (!body || !receive_all(here.control, body, head.length)) {
    for (size_t i = 0; i < count; i++) close(descriptors[i]);
    free(body);
    return false;
  }
  struct answer answer = {{-ENOSYS, 0}};
  bool is_kept = false;
  size_t given = 0;
  switch (head.kind) {
    case ASK_SPAWN:
      answer = spawn_for(&head, body, descriptors, count);
      break;
    case ASK_WAIT:
      answer = wait_for(head.number[0], head.number[1] != 0);
      break;
    case ASK_WATCH:
      answer = watch(head.number[0]);
      break;
    case ASK_COLLECT:
      wait_for(head.number[0], false);
      /* There may be room now for what did not fit. */
      watched_tell(here.bell);
      break;
    case ASK_REST:
    case ASK_KEEP:
      answer = rest_from(&head, &body, descriptors, count);
      is_kept = answer.number[0] == 0;
      is_asleep = is_kept && head.kind == ASK_REST;
      if (is_kept) forget_shared();
      for (unsigned i = 0; is_kept && i < TOLD; i++)
        if (told[i].is_heard) told[i].pid = 0;
      break;
    case ASK_TAKEN:
      is_taken = true;
      is_asleep = false;
      is_to_end = false;
      release_copies();
      answers_forget();
      answer = (struct answer){{0, answers_given()}};
      break;
    case ASK_ACCEPT:
      /* One for a worker that does not know of more. */
      if (count != 1) break;
      given = accept_for(descriptors[0], head.number[0] > 1 ? (size_t)head.number[0] : 1);
      answer.number[0] = given > 0 ? 0 : -errno;
      break;
    case ASK_OPEN:
      body[head.length] = '\0';
      given = open_for(body);
      answer.number[0] = given > 0 ? 0 : -errno;
      break;
    case ASK_ANSWERS:
      answer.number[0] = answers_keep(body, head.length, head.number[0]) ? 0 : -EINVAL;
      if (answer.number[0] == 0) body = NULL;
      break;
    case ASK_RECIPES:
      answer.number[0] = answers_keep_recipes(body, head.length) ? 0 : -EINVAL;
      if (answer.number[0] == 0) body = NULL;
      break;
    case ASK_FORGET:
      forget_shared();
      forget_rest();
      answer.number[0] = 0;
      break;
    case ASK_SUCCESSOR:
      answer = replacement_for_worker();
      break;
    case ASK_STAYS:
      body[head.length] = '\0';
      replacement_stays(body);
      answer.number[0] = 0;
      break;
  }
  free(body);
  for (size_t i = 0; !is_kept && i < count; i++) close(descriptors[i]);
  return head.kind == ASK_KEEP || head.kind == ASK_COLLECT || send_all(here.control, &answer, sizeof answer, shared + shared_count - given, given);
}

/* ---- signals ------------------------------------------------------------------------------------------------------ */

static void look_at_own_worker(void) {
  if (own_worker != 0 && wait_for_child(own_worker, false, &own_status) == own_worker) own_worker = 0;
}

/* The letters of what has come, each once. */
static void take_signals(void (*with)(char what)) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGCHLD) {
      look_at_own_worker();
      if (here.bell != -1) watched_tell(here.bell);
    }
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) is_to_end = true;
    if (info.ssi_signo == REPLACE_SIGNAL) {
      replacement_signalled((pid_t)info.ssi_pid, info.ssi_uid, here.control != -1, rest ? rest->format : 0);
      continue;
    }
    with(notice_of((int)info.ssi_signo));
  }
}

/* ---- with a worker ------------------------------------------------------------------------------------------------ */

static void drop_ends(void) {
  if (here.control != -1) close(here.control);
  if (here.bell != -1) close(here.bell);
  here = (struct monitor_ends){-1, -1};
  watched_forget();
}

/* Until it is gone. */
static void with_worker(void) {
  struct pollfd ready[] = {{.fd = here.control, .events = POLLIN}, {.fd = signals, .events = POLLIN}, {.events = POLLIN}};
  for (;;) {
    ready[2].fd = replacement_descriptor();
    if (poll(ready, 3, -1) == -1) continue;
    if (ready[1].revents) take_signals(notice);
    if (ready[2].revents && replacement_heard()) notice(NOTICED_REPLACEMENT);
    if (ready[0].revents && !serve_question()) break;
  }
  drop_ends();
}

/* ---- without ------------------------------------------------------------------------------------------------------ */

/* While there is no worker, signals wait for it. */
static char waiting[8];

static bool is_somebody_over(void) {
  int status;
  return wait_for_child(0, true, &status) > 0;
}

static void keep_notice(char what) {
  /* A worker of ours ends, too. */
  if (what == NOTICED_CHILD && !is_somebody_over()) return;
  if (!strchr(waiting, what) && strlen(waiting) < sizeof waiting - 1) waiting[strlen(waiting)] = what;
}

static const struct resting *resting(uint32_t i) { return (const struct resting *)(void *)rest->bytes + i; }

/* A copy's source or its sink, whatever it waits for. */
static struct pollfd wanted_by(const struct copy *copy) {
  return copy->state == COPY_WANTS_SINK ? (struct pollfd){.fd = copy->sink, .events = POLLOUT} : (struct pollfd){.fd = copy->source, .events = POLLIN};
}

static void step(struct copy *copy, bool *is_wanted) {
  char buffer[4096];
  if (copy_step(copy, buffer, sizeof buffer) >= COPY_ENDED) *is_wanted = true;
}

static void begin_copies(void) {
  rest->copied = 0;
  for (uint32_t i = 0; i < rest->count; i++) {
    if (!is_copied(resting(i))) continue;
    struct copy *copy = &rest->copies[rest->copied++];
    copy_begin(copy, rest->descriptors[i], rest->descriptors[resting(i)->into & INTO_PLACE]);
    copy->most = resting(i)->bytes;
    if (stream_of(resting(i)) != STREAM_NONE) copy_logs(copy, stream_of(resting(i)));
  }
  rest->are_copies_begun = true;
}

/* What is said of a log to be written is how much more it may take: the next program counts from nothing. */
static void count_logs_anew(void) {
  for (uint32_t i = 0, copied = 0; i < rest->count && copied < rest->copied; i++) {
    if (!is_copied(resting(i))) continue;
    struct copy *copy = &rest->copies[copied++];
    if (copy->kind != COPY_LOG || copy->most == UINT64_MAX) continue;
    copy->most = ((struct resting *)(void *)rest->bytes)[i].bytes -= copy->logged;
    copy->logged = 0;
  }
}

/* Somebody wants another program here; only comes back when there is none. */
static void try_replacement(void) {
  count_logs_anew();
  struct table table = {
      .bytes = rest->bytes,
      .length = rest->length,
      .count = rest->count,
      .descriptors = rest->descriptors,
      .record_format = rest->format,
      .copied = rest->copied,
      .is_to_end = is_to_end,
      .own_worker = own_worker,
      .is_asleep = is_asleep,
      .woken_by = woken_by,
  };
  memcpy(table.told, told, sizeof told);
  for (uint32_t i = 0; i < rest->copied; i++) {
    const struct copy *copy = &rest->copies[i];
    table.copies[i] = (struct table_copy){.copied = copy->copied, .held = copy->held ? copy->held + copy->from : "", .length = (uint32_t)copy_holds(copy)};
  }
  memcpy(table.waiting, waiting, sizeof table.waiting);
  replacement_try(&table);
}

static void without_worker(void) {
  struct pollfd ready[HANDOVER_DESCRIPTORS + 2];
  struct copy *by_place[HANDOVER_DESCRIPTORS + 2] = {0};
  int places[HANDOVER_DESCRIPTORS + 2];
  nfds_t count = 2, copies = 0;
  /* What its worker was noticed of, and has not heard any more; or came while another program took this one's place. */
  look_at_own_worker();
  keep_notice(NOTICED_CHILD);
  if (is_to_end) keep_notice('T');
  if (!rest->are_copies_begun) begin_copies();
  if (replacement_is_due()) try_replacement();
  ready[0] = (struct pollfd){.fd = signals, .events = POLLIN};
  ready[1] = (struct pollfd){.events = POLLIN};
  for (uint32_t i = 0; i < rest->count; i++) {
    places[count] = (int)i;
    if (resting(i)->how == REST_WAKES && !is_copied(resting(i))) ready[count++] = (struct pollfd){.fd = rest->descriptors[i], .events = POLLIN};
    if (resting(i)->how == REST_CHANGES) ready[count++] = (struct pollfd){.fd = rest->descriptors[i], .events = POLLPRI};
    if (!is_copied(resting(i))) continue;
    struct copy *copy = &rest->copies[copies++];
    by_place[count] = copy;
    ready[count++] = wanted_by(copy);
  }
  woken_by = WOKEN_BY_SIGNAL;
  for (bool is_wanted = *waiting != '\0'; !is_wanted;) {
    ready[1].fd = replacement_descriptor();
    if (poll(ready, count, -1) == -1) continue;
    if (ready[0].revents) take_signals(keep_notice);
    if (ready[1].revents && replacement_heard()) try_replacement();
    is_wanted = *waiting != '\0';
    for (nfds_t i = 2; i < count; i++) {
      if (!ready[i].revents) continue;
      bool is_over = true;
      if (by_place[i]) {
        is_over = false;
        step(by_place[i], &is_over);
        ready[i] = wanted_by(by_place[i]);
      } else if (!is_wanted) {
        /* Else what has ended meanwhile comes first. */
        uint32_t *asker = answers_asker((uint32_t)places[i]);
        is_over = !asker || !answers_give(ready[i].fd, asker);
      }
      if (!is_over) continue;
      woken_by = places[i];
      is_wanted = true;
    }
  }
}

static bool give_record(void) {
  struct resting *how = (struct resting *)(void *)rest->bytes;
  struct head head = {.length = rest->length, .kind = GIVE_RECORD, .count = rest->count, .number = {(int32_t)rest->count, (int32_t)(rest->length - rest->count * sizeof *how), woken_by}};
  for (uint32_t i = 0, copied = 0; i < rest->count; i++) {
    /* Before anything was copied, and of what is none, there is nothing to be told. */
    const struct copy *copy = is_copied(&how[i]) && copied < rest->copied ? &rest->copies[copied++] : NULL;
    head.length += how[i].held = copy ? (uint32_t)copy_holds(copy) : 0;
    how[i].bytes = copy ? copy->copied : 0;
  }
  int descriptors[HANDOVER_DESCRIPTORS];
  size_t more = shared_count < HANDOVER_DESCRIPTORS - rest->count ? shared_count : HANDOVER_DESCRIPTORS - rest->count;
  memcpy(descriptors, rest->descriptors, rest->count * sizeof *descriptors);
  memcpy(descriptors + rest->count, shared, more * sizeof *descriptors);
  head.count += (uint32_t)more;
  bool is_sent = send_all(here.control, &head, sizeof head, descriptors, head.count) && send_all(here.control, rest->bytes, rest->length, NULL, 0);
  for (uint32_t i = 0; is_sent && i < rest->copied; i++) {
    const struct copy *copy = &rest->copies[i];
    is_sent = send_all(here.control, copy->held + copy->from, copy_holds(copy), NULL, 0);
  }
  return is_sent;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------- */

bool open_ends(struct monitor_ends *ours, struct monitor_ends *theirs) {
  int control[2], bell[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == -1) return false;
  if (pipe2(bell, O_CLOEXEC | O_NONBLOCK) == -1) {
    close(control[0]);
    close(control[1]);
    return false;
  }
  *ours = (struct monitor_ends){control[0], bell[1]};
  *theirs = (struct monitor_ends){control[1], bell[0]};
  return true;
}

void close_ends(struct monitor_ends ends) {
  close(ends.control);
  close(ends.bell);
}

static bool watch_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof noticed / sizeof *noticed; i++) sigaddset(&set, noticed[i]);
  sigprocmask(SIG_BLOCK, &set, NULL);
  /* What is ignored does not come this way either. */
  for (size_t i = 0; i < sizeof noticed / sizeof *noticed; i++) signal(noticed[i], SIG_DFL);
  /* A log file that is as large as its writer may make it is an error, to be heeded, and no end. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return signals != -1;
}

static void end_own_worker(void) {
  if (own_worker <= 0) return;
  kill(own_worker, SIGKILL);
  while (waitpid(own_worker, NULL, 0) == -1 && errno == EINTR) continue;
  own_worker = 0;
}

static void wait_longer(int *pause) {
  int64_t until = milliseconds() + *pause;
  for (int64_t left = *pause; left > 0 && !is_to_end; left = until - milliseconds()) {
    struct pollfd ready[] = {{.fd = signals, .events = POLLIN}, {.fd = replacement_descriptor(), .events = POLLIN}};
    if (poll(ready, 2, (int)left) <= 0) continue;
    if (ready[0].revents) take_signals(keep_notice);
    /* Another program may have a worker. What no worker has taken is not in the table: the next one is to have it first. */
    if (ready[1].revents && replacement_heard() && shared_count == 0) try_replacement();
  }
  *pause = *pause * 2 < LONGEST_RETRY_MS ? *pause * 2 : LONGEST_RETRY_MS;
}

/* False when none was to be had, and a signal wants the shim's end. */
static bool wake_until_there(pid_t (*wake)(struct monitor_ends *ours)) {
  for (int pause = RETRY_MS;; wait_longer(&pause)) {
    own_worker = wake(&here);
    if (own_worker != -1 && give_record()) break;
    drop_ends();
    end_own_worker();
    if (is_to_end) return false;
  }
  own_status = -1;
  for (const char *what = waiting; *what; what++) notice(*what);
  memset(waiting, 0, sizeof waiting);
  /* The one that was to leave has died. */
  if (replacement_is_due()) notice(NOTICED_REPLACEMENT);
  return true;
}

/* For as long as there is something to do; begins with a worker, or with what one has left. */
static int stay(pid_t (*wake)(struct monitor_ends *ours)) {
  int pause = RETRY_MS;
  unsigned deaths = 0;
  int64_t since = milliseconds();
  /* From now on who has lost its parent is ours: what a zygote forks must not be, so not before. */
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1 || !watch_signals()) return fail("watch over processes", NULL);
  for (;;) {
    if (here.control != -1) with_worker();
    /* It is over; or it has died, and nobody could go on: then the daemon is to see that nobody serves here any more. */
    if (!rest) break;
    deaths = is_asleep || milliseconds() - since >= LONG_LIFE_MS ? 0 : deaths + 1;
    if (is_asleep && is_taken) {
      pause = RETRY_MS;
      without_worker();
    } else {
      /* Of somebody who is no child of ours the end of the socket is all that is known. */
      end_own_worker();
      if (!is_asleep) woken_by = WOKEN_BY_DEATH;
      /* Unless the last one has not even got as far as to take the record. */
      if (!is_taken && is_to_end) break;
      if (is_taken && deaths == 0) pause = RETRY_MS;
      /* One that has served for a moment may do so again: somebody waits for an answer. */
      if (is_taken && pause > LONGEST_PAUSE_MS) pause = LONGEST_PAUSE_MS;
      if (!is_taken || deaths > DEATHS_AT_ONCE) wait_longer(&pause);
      if (is_to_end) keep_notice('T');
    }
    is_taken = false;
    for (unsigned i = 0; i < TOLD; i++) told[i].is_heard = false;
    if (!wake_until_there(wake)) break;
    since = milliseconds();
  }
  replacement_over();
  if (own_worker > 0) {
    int how;
    while (waitpid(own_worker, &how, 0) == -1 && errno == EINTR) continue;
    own_status = shell_status(how);
  }
  return own_status == -1 ? 0 : own_status;
}

int monitor(struct monitor_ends ours, pid_t worker, pid_t (*wake)(struct monitor_ends *ours)) {
  here = ours;
  own_worker = worker;
  return stay(wake);
}

bool monitor_take(const struct table *table) {
  if (!table->bytes || !(rest = calloc(1, sizeof *rest)) || !(rest->bytes = malloc(table->length + 1))) return false;
  memcpy(rest->bytes, table->bytes, table->length);
  rest->length = table->length;
  rest->count = table->count;
  rest->format = table->record_format;
  for (uint32_t i = 0; i < table->count; i++) {
    if (fcntl(table->descriptors[i], F_SETFD, FD_CLOEXEC) == -1) return false;
    rest->descriptors[i] = table->descriptors[i];
  }
  is_asleep = table->is_asleep;
  woken_by = table->woken_by;
  memcpy(told, table->told, sizeof told);
  if (is_asleep) begin_copies();
  for (uint32_t i = 0; i < table->copied; i++) {
    if (i >= rest->copied || !copy_first(&rest->copies[i], table->copies[i].held, table->copies[i].length)) return false;
    rest->copies[i].copied = table->copies[i].copied;
    if (copy_holds(&rest->copies[i])) rest->copies[i].state = COPY_WANTS_SINK;
  }
  memcpy(waiting, table->waiting, sizeof waiting);
  is_to_end = table->is_to_end;
  own_worker = table->own_worker;
  return true;
}

int monitor_again(pid_t (*wake)(struct monitor_ends *ours)) { return stay(wake); }
