/* Connecting to a unix socket, and knowing who is at its other end. */
#ifndef HAWSER_PEER_H
#define HAWSER_PEER_H

#ifndef _GNU_SOURCE
#error "struct ucred takes _GNU_SOURCE"
#endif
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/*
 * A connection to who has made the socket listen, or -1. flags: SOCK_NONBLOCK or 0. patience: how long connecting and each message may
 * wait, or NULL.
 */
static inline int connect_to_peer(const char *path, int flags, const struct timeval *patience, struct ucred *peer) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  socklen_t size = sizeof *peer;
  size_t length = strlen(path);
  if (length >= sizeof address.sun_path) return -1;
  memcpy(address.sun_path, path, length);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd == -1) return -1;
  if (patience) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, patience, sizeof *patience);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &size) == 0) return fd;
  close(fd);
  return -1;
}

#endif
