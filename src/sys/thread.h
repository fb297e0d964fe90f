/* Threads of the addon's own, for what would hold the event loop up. */
#ifndef HAWSER_THREAD_H
#define HAWSER_THREAD_H

#include <pthread.h>
#include <signal.h>

/* For a few frames, and for the thread-local data that the C library keeps there. */
#define STACK_BYTES (128u << 10)

/* 0, or an errno. A thread without a place for its name is nobody's to join. */
static inline int start_thread(pthread_t *joinable, void *(*run)(void *), void *data) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  if (!joinable) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  /* Signals are for the thread of the event loop. */
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int why = pthread_create(joinable ? joinable : &thread, &attributes, run, data);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return why;
}

#endif
