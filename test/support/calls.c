// Tries every system call and says what came of it: ABI, number, and an errno, 0, or how the process ended. Each is tried in a process of
// its own, with arguments that the kernel refuses before it does anything. A call that a filter forbids is known by its errno.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LAST = 475, NOTHING = -1000 };

static volatile long *result;

static long plain(long number, long first, long second, long rest) {
  long value = syscall(number, first, second, rest, rest, rest, rest);
  return value < 0 ? errno : 0;
}

#ifdef __x86_64__
// As a 32-bit program makes it.
static long compat(long number, long first, long second, long rest) {
  int value;
  __asm__ volatile("int $0x80"
                   : "=a"(value)
                   : "a"((int)number), "b"((int)first), "c"((int)second), "d"((int)rest), "S"((int)rest), "D"((int)rest)
                   : "memory", "r8", "r9", "r10", "r11");
  return value < 0 && value > -4096 ? -value : 0;
}
#endif

typedef long (*Try)(long number, long first, long second, long rest);

static void attempt(const char *abi, Try try, long number, long first, long second, long rest, const char *what) {
  *result = NOTHING;
  pid_t child = fork();
  if (child < 0) {
    perror("fork");
    exit(2);
  }
  if (child == 0) {
    long self = getpid();
    long value = try(number, first, second, rest);
    // A process that came of it has nothing to say.
    if (getpid() == self) *result = value;
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) != child) {
  }
  if (*result != NOTHING)
    printf("%s %ld%s %ld\n", abi, number & 0xffff, what, *result);
  else if (WIFSIGNALED(status))
    printf("%s %ld%s signal %d\n", abi, number & 0xffff, what, WTERMSIG(status));
  else
    printf("%s %ld%s ended\n", abi, number & 0xffff, what);
}

// Those that wait without end, return to nowhere, or write all of the machine's files out: pause, sigsuspend, (rt_)sigreturn, vfork, sync.
static const long LEFT_OUT[] = {
#ifdef SYS_pause
    SYS_pause, SYS_vfork,
#endif
    SYS_rt_sigreturn, SYS_sync, 0};
#ifdef __x86_64__
static const long LEFT_OUT_I386[] = {29, 36, 72, 119, 173, 190, 0};
#endif

static int isLeftOut(long number, const long *list) {
  for (; *list != 0; list++)
    if (*list == number) return 1;
  return 0;
}

static void with(const char *name, long number, long value) {
  char what[64];
  snprintf(what, sizeof what, ":%s(0x%lx)", name, value);
  attempt("native", plain, number, value, 0, 0, what);
}

int main(void) {
  setvbuf(stdout, NULL, _IOFBF, 1 << 16);
  signal(SIGPIPE, SIG_IGN);
  result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (long number = 0; number <= LAST; number++) {
    if (isLeftOut(number, LEFT_OUT)) continue;
    fflush(stdout);
    attempt("native", plain, number, -1, -1, -1, "");
#ifdef __x86_64__
    attempt("x32", plain, number | 0x40000000, -1, -1, -1, "");
#endif
  }
#ifdef __x86_64__
  for (long number = 0; number <= LAST; number++) {
    if (isLeftOut(number, LEFT_OUT_I386)) continue;
    fflush(stdout);
    attempt("i386", compat, number, -1, -1, -1, "");
  }
#endif
  fflush(stdout);
  for (long family = 0; family <= 46; family++) {
    char what[64];
    snprintf(what, sizeof what, ":socket(%ld)", family);
    fflush(stdout);
    attempt("native", plain, SYS_socket, family, 2 /* SOCK_DGRAM */, 0, what);
  }
  static const long personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff, 0x40000, 0x400000, 1};
  for (unsigned i = 0; i < sizeof personalities / sizeof *personalities; i++) {
    fflush(stdout);
    with("personality", SYS_personality, personalities[i]);
  }
  static const long flags[] = {0, CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET};
  for (unsigned i = 0; i < sizeof flags / sizeof *flags; i++) {
    fflush(stdout);
    with("clone", SYS_clone, flags[i] | SIGCHLD);
    fflush(stdout);
    with("unshare", SYS_unshare, flags[i]);
  }
  return 0;
}
