/* Terminals: their size, their slave end; and one of our own making, for processes that no OCI runtime makes one for. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "addon.h"
#include "arguments.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* setWindowSize(fd, columns, rows) */
static napi_value set_window_size(napi_env env, napi_callback_info info) {
  ARGS(3);
  struct winsize size = {.ws_col = (unsigned short)integer(env, arg[1]), .ws_row = (unsigned short)integer(env, arg[2])};
  return result_of(env, ioctl((int)integer(env, arg[0]), TIOCSWINSZ, &size));
}

/* openTerminalPeer(master): the slave end, without becoming its session. */
static napi_value open_terminal_peer(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, ioctl((int)integer(env, arg[0]), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
}

/* Sends one descriptor through the socket that listens at a path: 0 or -1. */
static int send_to(const char *path, int fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(address.sun_path, path, length);
  int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sock == -1) return -1;
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control = {0};
  char name[] = "ptmx";
  struct iovec part = {.iov_base = name, .iov_len = sizeof name};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  int failed = connect(sock, (struct sockaddr *)&address, sizeof address) == -1 || sendmsg(sock, &message, MSG_NOSIGNAL) == -1;
  int why = errno;
  close(sock);
  errno = why;
  return failed ? -1 : 0;
}

/* sendTerminal(path): makes a terminal, sends its master as OCI runtimes do, and keeps its slave: that, or -errno. */
static napi_value send_terminal(napi_env env, napi_callback_info info) {
  ARGS(1);
  char *path = string(env, arg[0]);
  if (!path) return throw_type(env, "the path of a socket is missing");
  int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave = -1, why = 0;
  if (master == -1 || unlockpt(master) == -1) why = errno;
  if (!why && (slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) == -1) why = errno;
  if (!why && send_to(path, master) == -1) why = errno;
  if (master != -1) close(master);
  if (why && slave != -1) close(slave);
  free(path);
  return number(env, why ? -why : slave);
}

void register_terminal(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"setWindowSize", set_window_size},
      {"openTerminalPeer", open_terminal_peer},
      {"sendTerminal", send_terminal},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
