/* Counts events of a callback, and waits for one. */
#ifndef WAIT_H
#define WAIT_H

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "check.h"

enum { KINDS = 100 };

struct seen {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  unsigned count[KINDS];
  uint64_t last_set;
  uint64_t last_sequence;
};

static inline void seen_init(struct seen *seen) {
  memset(seen, 0, sizeof *seen);
  CHECK(pthread_mutex_init(&seen->lock, NULL) == 0);
  CHECK(pthread_cond_init(&seen->changed, NULL) == 0);
}

static inline void seen_free(struct seen *seen) {
  CHECK(pthread_cond_destroy(&seen->changed) == 0);
  CHECK(pthread_mutex_destroy(&seen->lock) == 0);
}

static inline void saw(struct seen *seen, int32_t kind, uint64_t set) {
  CHECK(kind >= 0 && kind < KINDS);
  CHECK(pthread_mutex_lock(&seen->lock) == 0);
  seen->count[kind]++;
  if (set != 0) seen->last_set = set;
  CHECK(pthread_cond_broadcast(&seen->changed) == 0);
  CHECK(pthread_mutex_unlock(&seen->lock) == 0);
}

/* Waits until this kind has been seen so often. */
static inline void await(struct seen *seen, int32_t kind, unsigned times) {
  struct timespec end;
  CHECK(clock_gettime(CLOCK_REALTIME, &end) == 0);
  end.tv_sec += 120;
  CHECK(pthread_mutex_lock(&seen->lock) == 0);
  while (seen->count[kind] < times) {
    if (pthread_cond_timedwait(&seen->changed, &seen->lock, &end) != 0) {
      fprintf(stderr, "no event of kind %d\n", (int)kind);
      exit(1);
    }
  }
  CHECK(pthread_mutex_unlock(&seen->lock) == 0);
}

#endif
