/* What Node is told. The build reads it here too, as V8 takes compiled code only under the flags it was made with. */
#ifndef HAWSER_FLAGS_H
#define HAWSER_FLAGS_H

#define NODE_FLAGS \
  "--no-warnings", \
  /* What is done for the second time is then as fast as it gets without a compiler: a zygote rehearses only a few times. */ \
  "--no-lazy-feedback-allocation", \
  /* Else a busy hour leaves a shim with tens of megabytes of room for garbage (MB, for each half; percent). */ \
  "--max-semi-space-size=1", \
  "--heap-growing-percent=50", \
  /* What is forked has no thread but one, and what is given to others never comes back. */ \
  "--single-threaded", \
  /* For src/shim/worker/rest.ts. */ \
  "--expose-gc"

#endif
