/* See recipe.h. */
#define _GNU_SOURCE
#include "recipe.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Only the pages that are written to are in memory, and those not for longer than this takes. */
#define ROOM (64u << 10)
/* As much as a message of ttrpc may have. */
#define MOST (4u << 20)
#define MESSAGES 8
/* Of those where the kernel has partitions: two lines before the first. */
#define PARTITIONS "/proc/partitions"

enum wire { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES };

struct span {
  const char *at, *end;
};

struct cook {
  struct span steps;
  struct cooked *to;
  struct span directory;
  struct cooked file, partitions;
  size_t begun[MESSAGES];
  unsigned depth;
  /* 0 as long as all goes well. */
  int error;
};

/* ---- memory --------------------------------------------------------------------------------------------------------- */

char *cooked_more(struct cooked *cooked, size_t length) {
  size_t room = cooked->room ? cooked->room : ROOM;
  while (room < cooked->length + length && room <= MOST) room *= 2;
  if (room > MOST) {
    errno = EMSGSIZE;
    return NULL;
  }
  if (room != cooked->room) {
    void *bytes = cooked->bytes ? mremap(cooked->bytes, cooked->room, room, MREMAP_MAYMOVE)
                                : mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED) return NULL;
    cooked->bytes = bytes;
    cooked->room = room;
  }
  cooked->length += length;
  return cooked->bytes + cooked->length - length;
}

void cooked_free(struct cooked *cooked) {
  if (cooked->bytes) munmap(cooked->bytes, cooked->room);
  *cooked = (struct cooked){0};
}

/* ---- the wire format ------------------------------------------------------------------------------------------------ */

static void put(struct cook *k, const void *bytes, size_t length) {
  char *to = k->error ? NULL : cooked_more(k->to, length);
  if (to) memcpy(to, bytes, length);
  else if (!k->error) k->error = errno;
}

static size_t varint(uint64_t value, uint8_t to[10]) {
  size_t length = 0;
  for (; value > 0x7f; value >>= 7) to[length++] = (uint8_t)(value | 0x80);
  to[length++] = (uint8_t)value;
  return length;
}

static void put_varint(struct cook *k, uint64_t value) {
  uint8_t bytes[10];
  put(k, bytes, varint(value, bytes));
}

static void put_tag(struct cook *k, uint16_t field, enum wire wire) { put_varint(k, (uint64_t)field << 3 | wire); }

static void put_number(struct cook *k, uint16_t field, uint64_t value) {
  if (value == 0) return;
  put_tag(k, field, WIRE_VARINT);
  put_varint(k, value);
}

static void put_text(struct cook *k, uint16_t field, struct span text) {
  if (text.at == text.end) return;
  put_tag(k, field, WIRE_BYTES);
  put_varint(k, (uint64_t)(text.end - text.at));
  put(k, text.at, (size_t)(text.end - text.at));
}

static void put_double(struct cook *k, uint16_t field, double value) {
  uint64_t bits;
  if (value == 0) return;
  memcpy(&bits, &value, sizeof bits);
  put_tag(k, field, WIRE_FIXED64);
  uint8_t bytes[sizeof bits];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(bits >> (8 * i));
  put(k, bytes, sizeof bytes);
}

static void begin_message(struct cook *k, uint16_t field) {
  put_tag(k, field, WIRE_BYTES);
  if (k->depth == MESSAGES) k->error = EINVAL;
  if (!k->error) k->begun[k->depth++] = k->to->length;
}

/* Its length comes before it, and is known only now. */
static void end_message(struct cook *k) {
  if (k->depth == 0) k->error = EINVAL;
  if (k->error) return;
  size_t begun = k->begun[--k->depth], length = k->to->length - begun;
  uint8_t bytes[10];
  size_t count = varint(length, bytes);
  put(k, bytes, count);
  if (k->error) return;
  memmove(k->to->bytes + begun + count, k->to->bytes + begun, length);
  memcpy(k->to->bytes + begun, bytes, count);
}

/* ---- files ---------------------------------------------------------------------------------------------------------- */

/* Controllers come and go, and a cgroup may be gone already, also while its file is open (ENODEV); the controller may have the file, but not what it tells. */
static bool is_missing(int error) { return error == ENOENT || error == ENODEV || error == ENOTDIR || error == EOPNOTSUPP || error == EINVAL; }

static char failed_file[PATH_MAX];

const char *recipe_failed_file(void) { return failed_file; }

static int read_all(int fd, struct cooked *to) {
  for (;;) {
    char *more = cooked_more(to, ROOM / 2);
    if (!more) return errno;
    ssize_t n;
    do n = read(fd, more, ROOM / 2);
    while (n == -1 && errno == EINTR);
    to->length -= ROOM / 2 - (n > 0 ? (size_t)n : 0);
    if (n <= 0) return n == 0 ? 0 : errno;
  }
}

static void read_path(struct cook *k, const char *path, struct cooked *to) {
  to->length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int error = fd == -1 ? errno : read_all(fd, to);
  if (fd != -1) close(fd);
  if (error == 0) return;
  to->length = 0;
  if (is_missing(error)) return;
  k->error = error;
  strcpy(failed_file, path);
}

static void read_file(struct cook *k, struct span name) {
  char path[PATH_MAX];
  size_t length = (size_t)(name.end - name.at), before = 0;
  if (length == 0 || *name.at != '/') before = (size_t)(k->directory.end - k->directory.at);
  if (before + length + 2 > sizeof path) {
    k->error = ENAMETOOLONG;
    return;
  }
  memcpy(path, k->directory.at, before);
  if (before > 0) path[before++] = '/';
  memcpy(path + before, name.at, length);
  path[before + length] = '\0';
  read_path(k, path, &k->file);
}

/* ---- lines, words and numbers --------------------------------------------------------------------------------------- */

static struct span text_of(const struct cooked *file) { return (struct span){file->bytes, file->bytes + file->length}; }

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool next_line(struct span *text, struct span *line) {
  if (text->at == text->end) return false;
  const char *end = memchr(text->at, '\n', (size_t)(text->end - text->at));
  *line = (struct span){text->at, end ? end : text->end};
  text->at = end ? end + 1 : text->end;
  return true;
}

static bool next_word(struct span *text, struct span *word) {
  while (text->at < text->end && is_space(*text->at)) text->at++;
  word->at = text->at;
  while (text->at < text->end && !is_space(*text->at)) text->at++;
  word->end = text->at;
  return word->at < word->end;
}

static bool is(struct span word, struct span other) {
  return word.end - word.at == other.end - other.at && memcmp(word.at, other.at, (size_t)(word.end - word.at)) == 0;
}

/* Digits alone; more than fit lose the foremost. */
static bool digits(struct span word, uint64_t *value) {
  *value = 0;
  if (word.at == word.end) return false;
  for (const char *at = word.at; at < word.end; at++) {
    if (!is_digit(*at)) return false;
    *value = *value * 10 + (uint64_t)(*at - '0');
  }
  return true;
}

static bool parse(struct span word, uint64_t *value) {
  static const char max[] = {'m', 'a', 'x'};
  if (is(word, (struct span){max, max + sizeof max})) {
    *value = UINT64_MAX;
    return true;
  }
  if (word.end - word.at < 2 || *word.at != '-') return digits(word, value);
  bool is_number = digits((struct span){word.at + 1, word.end}, value);
  *value = 0;
  return is_number;
}

/* The number behind this word, or 0. */
static uint64_t value_of(struct span text, struct span key) {
  struct span line, word;
  uint64_t value = 0, found;
  while (next_line(&text, &line)) {
    if (!next_word(&line, &word) || !is(word, key)) continue;
    if (next_word(&line, &word) && parse(word, &found)) value = found;
  }
  return value;
}

/* What stands behind "key=" in a line; empty where it does not. */
static struct span pair_of(struct span line, struct span key) {
  struct span word;
  size_t length = (size_t)(key.end - key.at);
  while (next_word(&line, &word)) {
    if ((size_t)(word.end - word.at) <= length || word.at[length] != '=' || memcmp(word.at, key.at, length) != 0) continue;
    return (struct span){word.at + length + 1, word.end};
  }
  return (struct span){key.end, key.end};
}

/* With as many digits as a double holds exactly this is the nearest one. */
static double decimal(struct span word) {
  double value = 0, unit = 1;
  bool is_behind = false;
  for (const char *at = word.at; at < word.end; at++) {
    if (*at == '.' && !is_behind) {
      is_behind = true;
      continue;
    }
    if (!is_digit(*at)) return 0;
    value = value * 10 + (*at - '0');
    if (is_behind) unit *= 10;
  }
  return value / unit;
}

/* "8:16" */
static bool device(struct span word, uint64_t *major, uint64_t *minor) {
  const char *colon = memchr(word.at, ':', (size_t)(word.end - word.at));
  return colon && digits((struct span){word.at, colon}, major) && digits((struct span){colon + 1, word.end}, minor);
}

static struct span word_at(struct span line, unsigned index) {
  struct span word = {line.end, line.end};
  for (unsigned i = 0; i <= index; i++)
    if (!next_word(&line, &word)) return (struct span){line.end, line.end};
  return word;
}

static bool is_empty(struct span text) { return text.at == text.end; }

static struct span last_word(struct span line) {
  struct span third = word_at(line, 2);
  return is_empty(third) ? word_at(line, 1) : third;
}

static bool is_one_of(struct span line, enum lines which, struct span text) {
  uint64_t value, other;
  struct span first = word_at(line, 0);
  switch (which) {
    case LINES_NAMED:
      return !is_empty(first);
    case LINES_CALLED:
      return is(first, text);
    case LINES_OF_DEVICES:
      return device(first, &value, &other);
    case LINES_OF_DEVICES_WITH_NUMBER:
      return device(first, &value, &other) && is_empty(word_at(line, 3)) && digits(last_word(line), &value);
  }
  return false;
}

static bool has_devices(struct span text) {
  struct span line;
  while (next_line(&text, &line))
    if (is_one_of(line, LINES_OF_DEVICES_WITH_NUMBER, line)) return true;
  return false;
}

/* Where a device is found, by its numbers. */
static void put_device(struct cook *k, uint16_t field, struct span line) {
  static const char dev[] = {'/', 'd', 'e', 'v', '/'};
  uint64_t major, minor, its_major, its_minor;
  if (!device(word_at(line, 0), &major, &minor)) return;
  if (!k->partitions.bytes) read_path(k, PARTITIONS, &k->partitions);
  for (struct span text = text_of(&k->partitions), one; next_line(&text, &one);) {
    if (!digits(word_at(one, 0), &its_major) || !digits(word_at(one, 1), &its_minor)) continue;
    struct span name = word_at(one, 3);
    if (its_major != major || its_minor != minor || is_empty(name)) continue;
    put_tag(k, field, WIRE_BYTES);
    put_varint(k, sizeof dev + (uint64_t)(name.end - name.at));
    put(k, dev, sizeof dev);
    put(k, name.at, (size_t)(name.end - name.at));
    return;
  }
}

/* ---- steps ---------------------------------------------------------------------------------------------------------- */

static uint64_t take(struct cook *k, unsigned count) {
  uint64_t value = 0;
  if ((size_t)(k->steps.end - k->steps.at) < count) {
    k->error = EINVAL;
    return 0;
  }
  for (unsigned i = 0; i < count; i++) value |= (uint64_t)(uint8_t)*k->steps.at++ << (8 * i);
  return value;
}

static struct span take_bytes(struct cook *k, size_t length) {
  if ((size_t)(k->steps.end - k->steps.at) < length) {
    k->error = EINVAL;
    length = 0;
  }
  const char *at = k->steps.at;
  k->steps.at += length;
  return (struct span){at, at + length};
}

static uint16_t take_field(struct cook *k) { return (uint16_t)take(k, 2); }

static struct span take_text(struct cook *k) { return take_bytes(k, (size_t)take(k, 2)); }

static void put_packed(struct cook *k, uint16_t field) {
  struct span text = text_of(&k->file), word;
  uint64_t value;
  begin_message(k, field);
  while (next_word(&text, &word)) put_varint(k, parse(word, &value) ? value : 0);
  if (!k->error && k->begun[k->depth - 1] == k->to->length) {
    /* None at all: without its tag, too. */
    uint8_t tag[10];
    k->to->length -= varint((uint64_t)field << 3 | WIRE_BYTES, tag);
    k->depth--;
  } else end_message(k);
}

static void follow_about(struct cook *k, struct span line) {
  uint64_t major = 0, minor = 0, value = 0;
  while (!k->error && k->steps.at < k->steps.end) {
    enum step step = (enum step)take(k, 1);
    uint16_t field = take_field(k);
    switch (step) {
      case STEP_NAME:
        put_text(k, field, word_at(line, 0));
        break;
      case STEP_MAJOR:
      case STEP_MINOR:
        if (device(word_at(line, 0), &major, &minor)) put_number(k, field, step == STEP_MAJOR ? major : minor);
        break;
      case STEP_DEVICE:
        put_device(k, field, line);
        break;
      case STEP_BETWEEN:
        if (!is_empty(word_at(line, 2))) put_text(k, field, word_at(line, 1));
        break;
      case STEP_LAST:
        if (parse(last_word(line), &value)) put_number(k, field, value);
        break;
      case STEP_PAIR: {
        unsigned bits = (unsigned)take(k, 1);
        if (parse(pair_of(line, take_text(k)), &value)) put_number(k, field, bits == 32 ? (uint32_t)value : value);
        break;
      }
      case STEP_DECIMAL:
        put_double(k, field, decimal(pair_of(line, take_text(k))));
        break;
      default:
        k->error = EINVAL;
    }
  }
}

static void follow_each(struct cook *k) {
  uint16_t field = take_field(k);
  enum lines which = (enum lines)take(k, 1);
  struct span name = take_text(k), steps = take_bytes(k, (size_t)take(k, 2)), rest = k->steps, text = text_of(&k->file), line;
  while (!k->error && next_line(&text, &line)) {
    if (!is_one_of(line, which, name)) continue;
    begin_message(k, field);
    k->steps = steps;
    follow_about(k, line);
    end_message(k);
  }
  k->steps = rest;
}

static bool holds(const struct cook *k, enum condition what) {
  if (what == IF_TEXT) return k->file.length > 0;
  return has_devices(text_of(&k->file));
}

static void follow(struct cook *k) {
  uint64_t value;
  enum step step = (enum step)take(k, 1);
  switch (step) {
    case STEP_END:
      end_message(k);
      return;
    case STEP_MESSAGE:
      begin_message(k, take_field(k));
      return;
    case STEP_TEXT: {
      uint16_t field = take_field(k);
      put_text(k, field, take_text(k));
      return;
    }
    case STEP_IN:
      k->directory = take_text(k);
      return;
    case STEP_FILE: {
      struct span name = take_text(k);
      if (!k->error) read_file(k, name);
      return;
    }
    case STEP_NUMBER:
    case STEP_DIGITS: {
      uint16_t field = take_field(k);
      struct span text = text_of(&k->file), word = word_at(text, 0);
      if (is_empty(word_at(text, 1)) && (step == STEP_NUMBER ? parse : digits)(word, &value)) put_number(k, field, value);
      return;
    }
    case STEP_VALUE: {
      uint16_t field = take_field(k);
      uint64_t factor = take(k, 4);
      put_number(k, field, factor * value_of(text_of(&k->file), take_text(k)));
      return;
    }
    case STEP_PACKED:
      put_packed(k, take_field(k));
      return;
    case STEP_IF: {
      enum condition what = (enum condition)take(k, 1);
      size_t length = (size_t)take(k, 2);
      if (!holds(k, what)) take_bytes(k, length);
      return;
    }
    case STEP_SKIP:
      take_bytes(k, (size_t)take(k, 2));
      return;
    case STEP_EACH:
      follow_each(k);
      return;
    default:
      k->error = EINVAL;
  }
}

bool recipe_cook(const char *steps, size_t length, struct cooked *to) {
  struct cook k = {.steps = {steps, steps + length}, .to = to};
  *failed_file = '\0';
  while (!k.error && k.steps.at < k.steps.end) follow(&k);
  if (!k.error && k.depth > 0) k.error = EINVAL;
  cooked_free(&k.file);
  cooked_free(&k.partitions);
  if (k.error) errno = k.error;
  return k.error == 0;
}
