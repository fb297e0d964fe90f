/*
 * What Node is told, as it has to be known when V8 begins. Only flags that V8 leaves out when it compares those under which code was compiled: under any other it
 * would take nothing of what Node has compiled of itself, and compile seventy modules anew. Those are set by shim/load.cjs.
 */
#ifndef HAWSER_FLAGS_H
#define HAWSER_FLAGS_H

#define NODE_FLAGS \
  "--no-warnings", \
  /* It collects half a second after a zygote has, in each process that is forked: src/shim/worker/rest.ts does it when it is worth it. */ \
  "--no-memory-reducer", \
  /* What is forked has no thread but one, and what is given to others never comes back. */ \
  "--single-threaded-gc", \
  "--no-concurrent-recompilation", \
  "--no-concurrent-sparkplug"

#endif
