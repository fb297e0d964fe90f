#define _GNU_SOURCE
#include "entries.h"
#include <stdint.h>
#include <string.h>
#include <time.h>

static char *put_number(char *to, int64_t value, int digits) {
  for (int i = digits - 1; i >= 0; i--, value /= 10) to[i] = (char)('0' + value % 10);
  return to + digits;
}

/*
 * RFC 3339 in UTC, with nanoseconds. gmtime(3) would read time zones' files. The day is that of the calendar which begins in March, as its leap
 * day is the last (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days).
 */
static char *put_time(char *to, const struct timespec *time) {
  const int64_t days = time->tv_sec / 86400 + 719468, seconds = time->tv_sec % 86400;
  const int64_t era = days / 146097, day = days % 146097;
  const int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
  const int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
  const int64_t march = (5 * day_of_year + 2) / 153;
  const int64_t month = march < 10 ? march + 3 : march - 9;
  to = put_number(to, year + era * 400 + (month <= 2), 4);
  *to++ = '-';
  to = put_number(to, month, 2);
  *to++ = '-';
  to = put_number(to, day_of_year - (153 * march + 2) / 5 + 1, 2);
  *to++ = 'T';
  to = put_number(to, seconds / 3600, 2);
  *to++ = ':';
  to = put_number(to, seconds / 60 % 60, 2);
  *to++ = ':';
  to = put_number(to, seconds % 60, 2);
  *to++ = '.';
  to = put_number(to, time->tv_nsec, 9);
  *to++ = 'Z';
  return to;
}

void entry_heads(struct entry_heads *heads, enum stream stream) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  char *end = put_time(heads->whole, &now);
  memcpy(end, stream == STREAM_STDERR ? " stderr F " : " stdout F ", 10);
  memcpy(heads->piece, heads->whole, ENTRY_HEAD);
  heads->piece[ENTRY_HEAD - 2] = 'P';
}

size_t entry_content(const char *bytes, size_t length, bool *is_whole) {
  const size_t most = length < ENTRY_CONTENT ? length : ENTRY_CONTENT;
  const char *newline = memchr(bytes, '\n', most);
  *is_whole = newline != NULL;
  return newline ? (size_t)(newline - bytes) : most;
}

size_t entries_put(const struct entry_heads *heads, const char *bytes, size_t length, char *to, size_t room, size_t *put) {
  size_t taken = 0;
  *put = 0;
  while (taken < length) {
    bool is_whole;
    const size_t content = entry_content(bytes + taken, length - taken, &is_whole);
    if (room - *put < ENTRY_HEAD + content + 1) break;
    memcpy(to + *put, is_whole ? heads->whole : heads->piece, ENTRY_HEAD);
    memcpy(to + *put + ENTRY_HEAD, bytes + taken, content);
    *put += ENTRY_HEAD + content + 1;
    to[*put - 1] = '\n';
    taken += content + is_whole;
  }
  return taken;
}

size_t entries_length(const char *bytes, size_t length) {
  size_t sum = 0;
  for (size_t taken = 0; taken < length;) {
    bool is_whole;
    const size_t content = entry_content(bytes + taken, length - taken, &is_whole);
    sum += ENTRY_HEAD + content + 1;
    taken += content + is_whole;
  }
  return sum;
}
