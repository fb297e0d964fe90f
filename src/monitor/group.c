/*
 * The group of containers that one shim serves: an annotation in the bundle's config.json, or the container's own id
 * (address.ts). The whole file is read as JSON, so that what Node would refuse is left to Node.
 */
#define _GNU_SOURCE
#include "launcher.h"
#include <string.h>
#include <sys/mman.h>

/* Deeper than any spec. */
#define MAX_DEPTH 64

static const char *const names[] = {"io.kubernetes.cri.sandbox-id", "io.containerd.runc.v2.group"};
#define NAMES (sizeof names / sizeof *names)

struct text {
  const char *at;
  size_t length;
};

struct scan {
  const char *at, *end;
  struct text values[NAMES];
  /* Something that means the same to nobody but a real parser. */
  bool doubt;
};

/* Whose members are looked at. */
enum level { TOP, ANNOTATIONS, ELSEWHERE };

static bool value(struct scan *scan, enum level level, int depth);

static bool is_at(struct scan *scan, char c) { return scan->at < scan->end && *scan->at == c; }

static void skip_space(struct scan *scan) {
  while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at) scan->at++;
}

static bool take(struct scan *scan, char c) {
  skip_space(scan);
  if (!is_at(scan, c)) return false;
  scan->at++;
  return true;
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f'); }

/* A string's characters as they stand; one with an escape may mean any other string. */
static bool string(struct scan *scan, struct text *text, bool *has_escape) {
  if (!take(scan, '"')) return false;
  *text = (struct text){.at = scan->at};
  *has_escape = false;
  for (; scan->at < scan->end && *scan->at != '"'; scan->at++) {
    if ((unsigned char)*scan->at < 0x20) return false;
    if (*scan->at != '\\') continue;
    *has_escape = true;
    if (++scan->at == scan->end || !*scan->at || !strchr("\"\\/bfnrtu", *scan->at)) return false;
    if (*scan->at != 'u') continue;
    for (int i = 0; i < 4; i++)
      if (++scan->at == scan->end || !is_hex(*scan->at)) return false;
  }
  text->length = (size_t)(scan->at - text->at);
  return take(scan, '"');
}

static bool is(struct text text, const char *word) { return text.length == strlen(word) && memcmp(text.at, word, text.length) == 0; }

static bool annotation(struct scan *scan, struct text key) {
  for (size_t i = 0; i < NAMES; i++) {
    bool has_escape;
    if (!is(key, names[i])) continue;
    if (!string(scan, &scan->values[i], &has_escape)) return false;
    scan->doubt |= has_escape;
    return true;
  }
  return value(scan, ELSEWHERE, 3);
}

static bool members(struct scan *scan, enum level level, int depth) {
  if (take(scan, '}')) return true;
  do {
    struct text key;
    bool has_escape;
    if (!string(scan, &key, &has_escape) || !take(scan, ':')) return false;
    scan->doubt |= has_escape && level != ELSEWHERE;
    bool is_good = level == ANNOTATIONS ? annotation(scan, key) : value(scan, level == TOP && is(key, "annotations") ? ANNOTATIONS : ELSEWHERE, depth + 1);
    if (!is_good) return false;
  } while (take(scan, ','));
  return take(scan, '}');
}

static bool elements(struct scan *scan, int depth) {
  if (take(scan, ']')) return true;
  do
    if (!value(scan, ELSEWHERE, depth + 1)) return false;
  while (take(scan, ','));
  return take(scan, ']');
}

static bool digits(struct scan *scan) {
  const char *from = scan->at;
  while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') scan->at++;
  return scan->at > from;
}

static bool number(struct scan *scan) {
  if (is_at(scan, '-')) scan->at++;
  if (is_at(scan, '0')) scan->at++;
  else if (!digits(scan)) return false;
  if (is_at(scan, '.')) {
    scan->at++;
    if (!digits(scan)) return false;
  }
  if (is_at(scan, 'e') || is_at(scan, 'E')) {
    scan->at++;
    if (is_at(scan, '+') || is_at(scan, '-')) scan->at++;
    if (!digits(scan)) return false;
  }
  return true;
}

static bool literal(struct scan *scan) {
  static const char *const words[] = {"true", "false", "null"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    size_t length = strlen(words[i]);
    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, words[i], length) != 0) continue;
    scan->at += length;
    return true;
  }
  return false;
}

static bool value(struct scan *scan, enum level level, int depth) {
  struct text text;
  bool has_escape;
  if (depth > MAX_DEPTH) return false;
  /* Of two of that name the last one counts, with nothing of the first. */
  if (level == ANNOTATIONS) memset(scan->values, 0, sizeof scan->values);
  skip_space(scan);
  if (is_at(scan, '"')) return string(scan, &text, &has_escape);
  if (take(scan, '{')) return members(scan, level, depth);
  if (level == TOP) return false;
  if (take(scan, '[')) return elements(scan, depth);
  return literal(scan) || number(scan);
}

bool group_of(const char *file, const char *id, char *group, size_t size) {
  size_t length;
  const char *bytes = map_file(file, MAP_POPULATE, &length);
  if (!bytes) return false;
  struct scan scan = {.at = bytes, .end = bytes + length};
  bool found = value(&scan, TOP, 1) && !scan.doubt;
  skip_space(&scan);
  struct text text = {.at = id, .length = strlen(id)};
  for (size_t i = 0; i < NAMES; i++)
    if (scan.values[i].at) text = scan.values[i];
  found = found && scan.at == scan.end && text.length < size;
  if (found) {
    memcpy(group, text.at, text.length);
    group[text.length] = '\0';
    found = strlen(group) == text.length && is_identifier(group);
  }
  munmap((void *)bytes, length);
  return found;
}
