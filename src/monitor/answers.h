/*
 * Answers that are ready, each with the request that it answers, as bytes: a sleeping shim's worker has left them with its monitor, and one that is
 * awake has them where its connections are looked at. Who asks over and over how its containers are wakes nobody then, and has no JavaScript run.
 */
#ifndef HAWSER_ANSWERS_H
#define HAWSER_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes the body of ASK_ANSWERS over, which is malloc'ed; what was there before is forgotten, whatever comes. False, and nothing taken, when it makes no sense. */
bool answers_keep(char *body, size_t length, int32_t connections);

/* The same of ASK_RECIPES, for the same connections, in addition. */
bool answers_keep_recipes(char *body, size_t length);

void answers_forget(void);

/* The last stream that the client of the connection at this place of the record has begun; NULL where nothing is to be answered. */
uint32_t *answers_asker(uint32_t place);

/*
 * Answers what has come on a connection. False when that begins with anything else, or is not all there, or is nothing: it is left as it is for
 * somebody who knows more.
 *
 * @param last_stream what its client has begun last; what is answered is the last then. Written when the answer is with the kernel, and before the
 * request is taken from it, as it may be in memory that outlives this process.
 */
bool answers_give(int fd, uint32_t *last_stream);

/* How many were given since this was last asked. */
int32_t answers_given(void);

#endif
