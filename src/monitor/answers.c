/* See answers.h. Of ttrpc it knows frames, and of a request only what may follow the part that it compares. */
#define _GNU_SOURCE
#include "answers.h"
#include "handover.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A frame's header: how long the rest is and its stream, both big endian; its type, and flags. */
#define HEADER 10
#define TYPE_REQUEST 1
/* A request for how a container is has a few hundred bytes. */
#define LONGEST 4096
/* Fields of a request: varint timeout_nano = 4, and repeated message metadata = 5. */
#define TAG_TIMEOUT 0x20
#define TAG_METADATA 0x2a

static char *all;
static size_t all_length;
static uint32_t all_connections;
static int32_t given;

static struct answering *connection(uint32_t i) { return (struct answering *)(void *)all + i; }

static size_t first_text(uint32_t connections) { return connections * sizeof(struct answering); }

/* The texts that begin there, or false where there are none. */
static bool text_at(const char *body, size_t length, size_t at, struct answer_texts *texts) {
  if (length - at < sizeof *texts) return false;
  memcpy(texts, body + at, sizeof *texts);
  size_t left = length - at - sizeof *texts;
  return texts->reply >= HEADER && texts->request <= left && texts->reply <= left - texts->request;
}

bool answers_keep(char *body, size_t length, int32_t connections) {
  answers_forget();
  if (connections < 0 || connections > HANDOVER_DESCRIPTORS || length < first_text((uint32_t)connections)) return false;
  struct answer_texts texts;
  size_t at = first_text((uint32_t)connections);
  while (text_at(body, length, at, &texts)) at += sizeof texts + texts.request + texts.reply;
  if (at != length) return false;
  all = body;
  all_length = length;
  all_connections = (uint32_t)connections;
  return true;
}

void answers_forget(void) {
  free(all);
  all = NULL;
  all_length = all_connections = 0;
}

int32_t answers_given(void) {
  int32_t count = given;
  given = 0;
  return count;
}

/* A varint, or false. */
static bool skip_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
    uint8_t byte = *(*at)++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return true;
  }
  return false;
}

/* Only a time limit and metadata: neither changes the answer. */
static bool is_circumstance(const uint8_t *at, const uint8_t *end) {
  while (at < end) {
    uint8_t tag = *at++;
    uint64_t value;
    if ((tag != TAG_TIMEOUT && tag != TAG_METADATA) || !skip_varint(&at, end, &value)) return false;
    if (tag == TAG_METADATA && value > (uint64_t)(end - at)) return false;
    if (tag == TAG_METADATA) at += value;
  }
  return true;
}

/* The reply's frame, for any stream. */
static char *reply_to(const uint8_t *request, size_t length, size_t *reply_length) {
  struct answer_texts texts;
  for (size_t at = first_text(all_connections); text_at(all, all_length, at, &texts); at += texts.request + texts.reply) {
    at += sizeof texts;
    if (texts.request > length || memcmp(request, all + at, texts.request) != 0) continue;
    if (!is_circumstance(request + texts.request, request + length)) continue;
    *reply_length = texts.reply;
    return all + at + texts.request;
  }
  return NULL;
}

static uint32_t big_endian(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

/* One frame, of which so much is there; 0 when it is not to be answered here, else how long it is. */
static size_t answer_frame(int fd, const uint8_t *frame, size_t length, uint32_t *last_stream) {
  if (length < HEADER) return 0;
  size_t body = big_endian(frame);
  uint32_t stream = big_endian(frame + 4);
  if (body > length - HEADER || frame[8] != TYPE_REQUEST || frame[9] != 0) return 0;
  /* What a client must not do is a worker's to say. */
  if (stream % 2 != 1 || stream <= *last_stream) return 0;
  size_t reply_length;
  char *reply = reply_to(frame + HEADER, body, &reply_length);
  if (!reply) return 0;
  memcpy(reply + 4, frame + 4, 4);
  /* There is room for all of something so short, or for nothing of it. */
  ssize_t n;
  do n = send(fd, reply, reply_length, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n == -1 && errno == EINTR);
  if (n != (ssize_t)reply_length) return 0;
  *last_stream = stream;
  return HEADER + body;
}

bool answers_give(uint32_t place, int fd) {
  struct answering *asker = NULL;
  for (uint32_t i = 0; i < all_connections; i++)
    if (connection(i)->place == place) asker = connection(i);
  if (!asker) return false;
  uint8_t buffer[LONGEST];
  ssize_t there = recv(fd, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
  if (there == -1 && (errno == EAGAIN || errno == EINTR)) return true;
  size_t done = 0;
  for (size_t frame; there > 0 && done < (size_t)there; done += frame, given++) {
    frame = answer_frame(fd, buffer + done, (size_t)there - done, &asker->last_stream);
    if (frame == 0) break;
  }
  /* What has been looked at is there, all of it. */
  if (done > 0 && recv(fd, buffer, done, MSG_DONTWAIT) != (ssize_t)done) return false;
  return done > 0;
}
