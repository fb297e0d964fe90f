/*
 * Answers that a sleeping shim has ready: its worker has left them, each with the request that it answers, as bytes. Who asks over and over
 * how its containers are wakes nobody then.
 */
#ifndef HAWSER_ANSWERS_H
#define HAWSER_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes the body of ASK_ANSWERS over, which is malloc'ed; what was there before is forgotten, whatever comes. False, and nothing taken, when it makes no sense. */
bool answers_keep(char *body, size_t length, int32_t connections);

void answers_forget(void);

/*
 * Answers what has come on the connection at this place of the record. False when that is anything else, or not all there, or nothing: it is left
 * as it is for a worker.
 */
bool answers_give(uint32_t place, int fd);

/* How many were given since this was last asked. */
int32_t answers_given(void);

#endif
