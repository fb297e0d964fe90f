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
/* What is looked at in one turn, and what is sent in one call: a request for how a container is has some hundred bytes, and its answer some hundred. */
#define TOGETHER 4096
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

/* The reply to the frame of which so much is there, and how long that is; NULL when it is not to be answered here. */
static char *reply_to_frame(const uint8_t *frame, size_t length, uint32_t last_stream, size_t *frame_length, size_t *reply_length) {
  if (length < HEADER) return NULL;
  size_t body = big_endian(frame);
  uint32_t stream = big_endian(frame + 4);
  if (body > length - HEADER || frame[8] != TYPE_REQUEST || frame[9] != 0) return NULL;
  /* What a client must not do is not said here. */
  if (stream % 2 != 1 || stream <= last_stream) return NULL;
  *frame_length = HEADER + body;
  char *reply = reply_to(frame + HEADER, body, reply_length);
  if (reply) memcpy(reply + 4, frame + 4, 4);
  return reply;
}

/* There is room for all of something so short, or for nothing of it. */
static bool send_whole(int fd, const char *bytes, size_t length) {
  ssize_t n;
  do n = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (n == -1 && errno == EINTR);
  return n == (ssize_t)length;
}

uint32_t *answers_asker(uint32_t place) {
  for (uint32_t i = 0; i < all_connections; i++)
    if (connection(i)->place == place) return &connection(i)->last_stream;
  return NULL;
}

bool answers_give(int fd, uint32_t *last_stream) {
  uint8_t asked[TOGETHER];
  char replies[TOGETHER];
  if (!all) return false;
  ssize_t there = recv(fd, asked, sizeof asked, MSG_PEEK | MSG_DONTWAIT);
  if (there == -1 && (errno == EAGAIN || errno == EINTR)) return true;
  size_t done = 0, filled = 0, frame_length, reply_length;
  uint32_t last = *last_stream;
  int32_t count = 0;
  while (there > 0) {
    char *reply = reply_to_frame(asked + done, (size_t)there - done, last, &frame_length, &reply_length);
    if (!reply || reply_length > sizeof replies - filled) break;
    memcpy(replies + filled, reply, reply_length);
    last = big_endian(asked + done + 4);
    filled += reply_length;
    done += frame_length;
    count++;
  }
  if (count == 0 || !send_whole(fd, replies, filled)) return false;
  *last_stream = last;
  given += count;
  /* What has been looked at is there, all of it. */
  return recv(fd, asked, done, MSG_DONTWAIT) == (ssize_t)done;
}
