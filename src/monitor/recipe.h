/*
 * How a message is made of what small files of the kernel's say at the moment: steps, as bytes, that whoever knows what it is about has put together
 * (sys/recipe.ts, shim/cgroup/metrics.ts). What follows them knows protobuf's wire format, lines and numbers, and neither cgroups nor containers. Needs nothing but
 * the kernel.
 *
 * A step is a byte, then what belongs to it: numbers little endian, fields and lengths of two bytes, texts with their length before them. A field that
 * would be zero is left out, but for the numbers of a packed one. A file that is not there is an empty one.
 */
#ifndef HAWSER_RECIPE_H
#define HAWSER_RECIPE_H

#include <stdbool.h>
#include <stddef.h>

enum step {
  STEP_END = 1, /* of the innermost message */
  STEP_MESSAGE, /* field. What follows, up to its end, is in it. */
  STEP_TEXT,    /* field, text: as it stands here */
  STEP_IN,      /* text: the directory of the files that follow */
  STEP_FILE,    /* text: its name, or a path from the root on. It is what the next steps are about. */
  STEP_NUMBER,  /* field: the number that it is; "max" is the greatest, and what is below zero is zero */
  STEP_VALUE,   /* field, factor (4 bytes), text: the number behind this word, at the beginning of a line */
  STEP_PACKED,  /* field: all its numbers */
  STEP_IF,      /* what (1 byte, enum condition), length: so many bytes of steps are skipped unless that is so */
  STEP_SKIP,    /* length: so many bytes of steps are skipped */
  STEP_DIGITS,  /* field: as STEP_NUMBER, but "max" is none */
  STEP_EACH,    /* field, which (1 byte, enum lines), text, length: for each such line a message in this field, of so many bytes of steps */
  /* About a line. */
  STEP_NAME = 32, /* field: its first word */
  STEP_MAJOR,     /* field: a device's, which is its first word */
  STEP_MINOR,     /* field */
  STEP_DEVICE,    /* field: where that device is found */
  STEP_BETWEEN,   /* field: its second word, when there is a third */
  STEP_LAST,      /* field: its last word, a number */
  STEP_PAIR,      /* field, bits (1 byte), text: the number in the word that this is the beginning of, up to a "=" */
  STEP_DECIMAL,   /* field, text: the same, with digits behind a point, as a double */
};

enum condition {
  IF_TEXT = 1, /* there is something in the file */
  IF_DEVICES,  /* there is one of LINES_OF_DEVICES_WITH_NUMBER */
};

enum lines {
  LINES_NAMED = 1, /* that have a word */
  LINES_CALLED,    /* whose first word is this text */
  LINES_OF_DEVICES,
  LINES_OF_DEVICES_WITH_NUMBER, /* as the second word or the third, which is the last */
};

/* What has been made, in memory of its own. */
struct cooked {
  char *bytes;
  size_t length, room;
};

/* Adds what the steps make to what is there. False with errno when a file cannot be read, EINVAL when the steps make no sense. */
bool recipe_cook(const char *steps, size_t length, struct cooked *to);

/* Which file it was that the last recipe_cook() could not read; nothing where it was something else. */
const char *recipe_failed_file(void);

/* Room for so many bytes, which count as made; NULL with errno. */
char *cooked_more(struct cooked *cooked, size_t length);

void cooked_free(struct cooked *cooked);

#endif
