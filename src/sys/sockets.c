/* Unix sockets. */
#define _GNU_SOURCE
#include "addon.h"
#include "arguments.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* peerCredentials(fd): {pid, uid, gid} or -errno. */
static napi_value peer_credentials(napi_env env, napi_callback_info info) {
  ARGS(1);
  struct ucred cred;
  socklen_t length = sizeof cred;
  if (getsockopt((int)integer(env, arg[0]), SOL_SOCKET, SO_PEERCRED, &cred, &length) == -1) return number(env, -errno);
  napi_value result;
  napi_create_object(env, &result);
  set_number(env, result, "pid", cred.pid);
  set_number(env, result, "uid", cred.uid);
  set_number(env, result, "gid", cred.gid);
  return result;
}

struct named {
  struct sockaddr_un address;
  socklen_t size;
};

/* A path, or an abstract name, which begins with NUL. 0, or -errno. */
static int named_by(napi_env env, napi_value text, struct named *to) {
  *to = (struct named){.address = {.sun_family = AF_UNIX}};
  size_t length = 0;
  if (napi_get_value_string_utf8(env, text, NULL, 0, &length) != napi_ok || length == 0) return -EINVAL;
  if (length >= sizeof to->address.sun_path) return -ENAMETOOLONG;
  napi_get_value_string_utf8(env, text, to->address.sun_path, sizeof to->address.sun_path, &length);
  /* An abstract name is as long as the address says; a path ends with its NUL. */
  to->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (to->address.sun_path[0] ? 1 : 0));
  return 0;
}

/* A non-blocking stream socket with which something was done by its address, or -errno. */
static napi_value stream_socket(napi_env env, napi_value text, int (*act)(int fd, const struct named *named)) {
  struct named named;
  const int wrong = named_by(env, text, &named);
  if (wrong) return number(env, wrong);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1) return number(env, -errno);
  if (act(fd, &named) == 0) return number(env, fd);
  const int why = errno;
  close(fd);
  return number(env, -why);
}

static int listen_at(int fd, const struct named *named) {
  return bind(fd, (const struct sockaddr *)&named->address, named->size) == 0 ? listen(fd, SOMAXCONN) : -1;
}

static int connect_to(int fd, const struct named *named) { return connect(fd, (const struct sockaddr *)&named->address, named->size); }

/* listenUnix(path): a listening, non-blocking stream socket, or -errno. A path that begins with NUL is an abstract name. */
static napi_value listen_unix(napi_env env, napi_callback_info info) {
  ARGS(1);
  return stream_socket(env, arg[0], listen_at);
}

/* connectUnix(path): a connected, non-blocking stream socket, or -errno; EAGAIN where more wait already than the other has asked for. */
static napi_value connect_unix(napi_env env, napi_callback_info info) {
  ARGS(1);
  return stream_socket(env, arg[0], connect_to);
}

/* listenOn(fd): 0 or -errno. Who has bound it may have been another; whoever connects from now on sees this process at the other end. */
static napi_value listen_on(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, listen((int)integer(env, arg[0]), SOMAXCONN));
}

/* sendDatagram(path, text): one message to a unix datagram socket; a path that begins with NUL is an abstract name. */
static napi_value send_datagram(napi_env env, napi_callback_info info) {
  ARGS(2);
  struct named place;
  size_t size = 0;
  char text[1024];
  const int wrong = named_by(env, arg[0], &place);
  if (wrong) return number(env, wrong);
  if (napi_get_value_string_utf8(env, arg[1], text, sizeof text, &size) != napi_ok) return number(env, -EINVAL);
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1) return number(env, -errno);
  int why = sendto(fd, text, size, MSG_NOSIGNAL, (struct sockaddr *)&place.address, place.size) == -1 ? errno : 0;
  close(fd);
  return number(env, -why);
}

/* accept(fd): a connection (blocking mode as accepted, i.e. blocking), or -errno. */
static napi_value accept_one(napi_env env, napi_callback_info info) {
  ARGS(1);
  return result_of(env, accept4((int)integer(env, arg[0]), NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

/* peek(socket, buffer): how many bytes there are, up to the buffer's length; they stay there. 0 at the end, or -errno. */
static napi_value peek(napi_env env, napi_callback_info info) {
  ARGS(2);
  void *data;
  size_t length;
  napi_get_buffer_info(env, arg[1], &data, &length);
  ssize_t n;
  do n = recv((int)integer(env, arg[0]), data, length, MSG_PEEK | MSG_DONTWAIT);
  while (n == -1 && errno == EINTR);
  return result_of(env, n);
}

/* consume(socket, count): so many bytes, which are there, are no more; 0 or -errno. */
static napi_value consume(napi_env env, napi_callback_info info) {
  ARGS(2);
  char nowhere[16 << 10];
  int fd = (int)integer(env, arg[0]);
  for (int64_t left = integer(env, arg[1]); left > 0;) {
    ssize_t n = recv(fd, nowhere, left < (int64_t)sizeof nowhere ? (size_t)left : sizeof nowhere, MSG_DONTWAIT);
    if (n == -1 && errno == EINTR) continue;
    if (n <= 0) return number(env, n == 0 ? -EPIPE : -errno);
    left -= n;
  }
  return number(env, 0);
}

/* sendBytes(socket, buffer): how many were taken, or -errno. */
static napi_value send_bytes(napi_env env, napi_callback_info info) {
  ARGS(2);
  void *data;
  size_t length;
  napi_get_buffer_info(env, arg[1], &data, &length);
  ssize_t n;
  do n = send((int)integer(env, arg[0]), data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n == -1 && errno == EINTR);
  return result_of(env, n);
}

/* receiveDescriptor(socket): the one descriptor of the next message, or -errno; EBADMSG when it holds none or more. */
static napi_value receive_descriptor(napi_env env, napi_callback_info info) {
  ARGS(1);
  char name[4096];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(8 * sizeof(int))];
  } control;
  struct iovec part = {.iov_base = name, .iov_len = sizeof name};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do n = recvmsg((int)integer(env, arg[0]), &message, MSG_CMSG_CLOEXEC);
  while (n == -1 && errno == EINTR);
  if (n == -1) return number(env, -errno);
  int found = -1, count = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int many = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < many; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(c) + (size_t)i * sizeof fd, sizeof fd);
      if (count++ == 0) found = fd;
      else close(fd);
    }
  }
  if (count == 1) return number(env, found);
  if (found >= 0) close(found);
  return number(env, -EBADMSG);
}

void register_sockets(napi_env env, napi_value exports) {
  static const struct function table[] = {
      {"peerCredentials", peer_credentials},
      {"listenUnix", listen_unix},
      {"connectUnix", connect_unix},
      {"listenOn", listen_on},
      {"sendDatagram", send_datagram},
      {"accept", accept_one},
      {"peek", peek},
      {"consume", consume},
      {"sendBytes", send_bytes},
      {"receiveDescriptor", receive_descriptor},
  };
  register_functions(env, exports, table, sizeof table / sizeof *table);
}
