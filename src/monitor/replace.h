/* Another program in the monitor's place: replace.c asks for it and brings it about, main.c is the one that takes over. */
#ifndef HAWSER_REPLACE_H
#define HAWSER_REPLACE_H

#include "table.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What asks a monitor for it, and whatever else of a monitor's must not be mistaken: who has it blocked knows what it is for. */
#define REPLACE_SIGNAL SIGUSR2

/* In the environment of a program that takes over: the descriptors of the table, and of the program that goes, or -1 where it has come back. */
#define TAKE_OVER "HAWSER_TAKE_OVER"
/* In that of one that is only to say whether it could: the descriptor of the table. */
#define COULD_TAKE_OVER "HAWSER_COULD_TAKE_OVER"
/* Why the program that was to take over could not, for the one that comes back. */
#define TAKE_OVER_FAILED "HAWSER_TAKE_OVER_FAILED"
/* What one that could says then. */
#define CAN_TAKE_OVER "can take over\n"

/* What a monitor runs, for the answers and for what comes after it. */
struct running {
  char **argv;
  const char *library, *build;
  uint32_t ignored;
};

/* To be called before any other. */
void replacement_prepare(const struct running *running);

/* That signal has come from this process: it is asked what it wants, if it may. */
void replacement_signalled(pid_t pid, uid_t uid, bool is_awake, int32_t record_format);

/* To be polled for reading, or -1. */
int replacement_descriptor(void);

/* It can be read. True when somebody wants another program here, and it would do. */
bool replacement_heard(void);

/* Somebody wants it, or wants to know whether it could be, and only the worker has still to leave. */
bool replacement_is_due(void);

/* What a worker that is to leave wants to know (ASK_SUCCESSOR), or -ENOENT. */
struct answer replacement_for_worker(void);

/* The worker does not leave: why not, or nothing where it was only asked whether it could. */
void replacement_stays(const char *why);

/* Does not return where it comes to it. Else whoever has asked has been told why not. */
void replacement_try(struct table *table);

/* The shim is over: whoever has asked is told. */
void replacement_over(void);

/* This program has taken over: whoever has asked is told. */
void replacement_done(int asker);

/* This program was to take over, and cannot: the other comes back. Does not return. */
void replacement_fails(int table, int former, char **argv, const char *why) __attribute__((noreturn));

/* This program is back. */
void replacement_failed(int asker, const char *why);

#endif
