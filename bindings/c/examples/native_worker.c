/* A program that checkpoints itself: native_worker COUNT [MILLISECONDS]
 *
 * Adds the numbers below COUNT up, a step in so many milliseconds. Started by a job or a coordinator
 * it is checkpointed between two steps and goes on from there when it is restarted; started by hand
 * it just runs. */
#define _POSIX_C_SOURCE 200809L
#include <dmtcp_rs.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* All that a restart needs. */
struct sum {
  uint64_t next;
  uint64_t sum;
};

static int failed(const char *what, dmtcp_result code) {
  /* Told to exit: as a worker of DMTCP does, without a word. */
  int rc = dmtcp_native_worker_exit_code(code);
  if (rc != 0)
    fprintf(stderr, "%s: %s: %s\n", what, dmtcp_result_name(code), dmtcp_last_error_message());
  return rc;
}

static int add_up(dmtcp_native_worker *worker, uint64_t count, long milliseconds) {
  struct sum state = {0, 0};
  dmtcp_result code = DMTCP_OK;
  int32_t restored = 0, checkpointed = 0;
  if (worker != NULL) {
    code = dmtcp_native_worker_register(worker, "sum", &state, sizeof state);
    if (code == DMTCP_OK) code = dmtcp_native_worker_restore(worker, &restored);
    if (code != DMTCP_OK) return failed("restore", code);
  }
  printf(restored ? "restored at %llu\n" : "begins\n", (unsigned long long)state.next);
  fflush(stdout);
  while (state.next < count) {
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (milliseconds > 0) nanosleep(&pause, NULL);
    state.sum += state.next++;
    /* Costs nothing while nobody asks. */
    if (worker != NULL) code = dmtcp_native_worker_safe_point(worker, &checkpointed);
    if (code != DMTCP_OK) return failed("safe point", code);
  }
  printf("sum %llu\n", (unsigned long long)state.sum);
  if (worker != NULL) code = dmtcp_native_worker_finish(worker);
  return code == DMTCP_OK ? 0 : failed("finish", code);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s COUNT [MILLISECONDS]\n", argv[0]);
    return 2;
  }
  dmtcp_native_worker *worker = NULL;
  dmtcp_result code = dmtcp_native_worker_join(&worker);
  if (code != DMTCP_OK && code != DMTCP_ERR_NOT_LAUNCHED) return failed("join", code);
  long milliseconds = argc > 2 ? atol(argv[2]) : 0;
  int rc = add_up(worker, strtoull(argv[1], NULL, 10), milliseconds);
  dmtcp_native_worker_free(worker);
  return rc;
}
