/* See answers.h. Of ttrpc it knows frames, and of a request only what may follow the part that it compares. */
#define _GNU_SOURCE
#include "answers.h"
#include "handover.h"
#include "recipe.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* A frame's header: how long the rest is and its stream, both big endian; its type, and flags. */
#define HEADER 10
#define TYPE_REQUEST 1
#define TYPE_RESPONSE 2
/* What is looked at in one turn, and what is sent in one call: a request for how a container is has some hundred bytes, and its answer some hundred. */
#define TOGETHER 4096
/* The kernel takes so much of a stream as a whole or not at all. */
#define WHOLE (32u << 10)
/* Fields of a request: varint timeout_nano = 4, and repeated message metadata = 5. */
#define TAG_TIMEOUT 0x20
#define TAG_METADATA 0x2a

/* Bytes, with the first text at some place. */
struct texts {
  char *bytes;
  size_t length, first;
};

static struct texts all, recipes;
static uint32_t all_connections;
static int32_t given;

static struct answering *connection(uint32_t i) { return (struct answering *)(void *)all.bytes + i; }

/* The texts that begin there, or false where there are none. */
static bool text_at(const struct texts *of, size_t at, struct answer_texts *texts) {
  if (of->length - at < sizeof *texts) return false;
  memcpy(texts, of->bytes + at, sizeof *texts);
  size_t left = of->length - at - sizeof *texts;
  return texts->request <= left && texts->reply <= left - texts->request;
}

/* All of it is texts whose replies are as long as that, or the next one's. */
static bool make_sense(const struct texts *of, uint32_t shortest) {
  struct answer_texts texts = {0};
  size_t at = of->first;
  while (text_at(of, at, &texts) && texts.reply >= shortest) at += sizeof texts + texts.request + texts.reply;
  return at == of->length && (of->length == of->first || texts.reply > 0);
}

bool answers_keep(char *body, size_t length, int32_t connections) {
  answers_forget();
  if (connections < 0 || connections > HANDOVER_DESCRIPTORS) return false;
  struct texts texts = {body, length, (size_t)connections * sizeof(struct answering)};
  if (length < texts.first || !make_sense(&texts, HEADER)) return false;
  all = texts;
  all_connections = (uint32_t)connections;
  return true;
}

bool answers_keep_recipes(char *body, size_t length) {
  struct texts texts = {body, length, 0};
  if (!all.bytes || !make_sense(&texts, 0)) return false;
  free(recipes.bytes);
  recipes = texts;
  return true;
}

void answers_forget(void) {
  free(all.bytes);
  free(recipes.bytes);
  all = recipes = (struct texts){0};
  all_connections = 0;
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

/* The text that belongs to a request, or to the first of those behind it that has one. */
static const char *text_for(const struct texts *of, const uint8_t *request, size_t length, size_t *text_length) {
  struct answer_texts texts;
  bool is_found = false;
  for (size_t at = of->first; text_at(of, at, &texts); at += texts.request + texts.reply) {
    at += sizeof texts;
    is_found = is_found || (texts.request <= length && memcmp(request, of->bytes + at, texts.request) == 0 &&
                            is_circumstance(request + texts.request, request + length));
    if (!is_found || texts.reply == 0) continue;
    *text_length = texts.reply;
    return of->bytes + at + texts.request;
  }
  return NULL;
}

static uint32_t big_endian(const uint8_t *at) { return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]; }

static void put_big_endian(uint32_t value, char *to) {
  for (int i = 0; i < 4; i++) to[i] = (char)(value >> (24 - 8 * i));
}

/* How long the frame is of which so much is there; 0 when it is none that is answered here. */
static size_t request_frame(const uint8_t *frame, size_t length, uint32_t last_stream) {
  if (length < HEADER) return 0;
  size_t body = big_endian(frame);
  uint32_t stream = big_endian(frame + 4);
  if (body > length - HEADER || frame[8] != TYPE_REQUEST || frame[9] != 0) return 0;
  /* What a client must not do is not said here. */
  return stream % 2 == 1 && stream > last_stream ? HEADER + body : 0;
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

/* Takes what has been answered, which is there, all of it. */
static bool take(int fd, uint8_t *asked, size_t length, uint32_t *last_stream, uint32_t stream, int32_t count) {
  *last_stream = stream;
  given += count;
  return recv(fd, asked, length, MSG_DONTWAIT) == (ssize_t)length;
}

/* Answers one request with what its recipe makes now. */
static bool give_cooked(int fd, uint8_t *asked, size_t frame_length, uint32_t *last_stream) {
  size_t length;
  const char *recipe = text_for(&recipes, asked + HEADER, frame_length - HEADER, &length);
  struct cooked reply = {0};
  bool is_given = false;
  if (recipe && cooked_more(&reply, HEADER) && recipe_cook(recipe, length, &reply) && reply.length <= WHOLE) {
    put_big_endian((uint32_t)(reply.length - HEADER), reply.bytes);
    memcpy(reply.bytes + 4, asked + 4, 4);
    reply.bytes[8] = TYPE_RESPONSE;
    reply.bytes[9] = 0;
    is_given = send_whole(fd, reply.bytes, reply.length);
  }
  cooked_free(&reply);
  return is_given && take(fd, asked, frame_length, last_stream, big_endian(asked + 4), 1);
}

bool answers_give(int fd, uint32_t *last_stream) {
  uint8_t asked[TOGETHER];
  char replies[TOGETHER];
  if (!all.bytes) return false;
  ssize_t there = recv(fd, asked, sizeof asked, MSG_PEEK | MSG_DONTWAIT);
  if (there == -1 && (errno == EAGAIN || errno == EINTR)) return true;
  size_t done = 0, filled = 0, frame_length, reply_length;
  uint32_t last = *last_stream;
  int32_t count = 0;
  while (there > 0 && (frame_length = request_frame(asked + done, (size_t)there - done, last)) > 0) {
    const char *reply = text_for(&all, asked + done + HEADER, frame_length - HEADER, &reply_length);
    if (!reply || reply_length > sizeof replies - filled) break;
    memcpy(replies + filled, reply, reply_length);
    memcpy(replies + filled + 4, asked + done + 4, 4);
    last = big_endian(asked + done + 4);
    filled += reply_length;
    done += frame_length;
    count++;
  }
  if (count > 0) return send_whole(fd, replies, filled) && take(fd, asked, done, last_stream, last, count);
  frame_length = there > 0 ? request_frame(asked, (size_t)there, last) : 0;
  return frame_length > 0 && give_cooked(fd, asked, frame_length, last_stream);
}
