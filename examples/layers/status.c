/* The C layer of the benchmark `status_layers`: status ADDRESS; for each number on stdin so many calls,
 * and a line with the nanoseconds of each. cc -O2 status.c -ldmtcp_rs */
#define _POSIX_C_SOURCE 200809L
#include <dmtcp_rs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
  char *colon = argc == 2 ? strrchr(argv[1], ':') : NULL;
  if (colon == NULL) {
    fprintf(stderr, "usage: %s HOST:PORT\n", argv[0]);
    return 2;
  }
  *colon = '\0';
  dmtcp_coordinator *coordinator = NULL;
  uint32_t port = (uint32_t)strtoul(colon + 1, NULL, 10);
  dmtcp_result code = dmtcp_coordinator_new(argv[1], port, DMTCP_DIALECT_V3, &coordinator);
  int calls;
  while (code == DMTCP_OK && scanf("%d", &calls) == 1) {
    for (; calls > 0 && code == DMTCP_OK; calls--) {
      dmtcp_status status = {.size = sizeof status};
      long long start = now();
      code = dmtcp_coordinator_status(coordinator, &status);
      printf("%lld\n", now() - start);
    }
    fflush(stdout);
  }
  if (code != DMTCP_OK)
    fprintf(stderr, "%s: %s\n", dmtcp_result_name(code), dmtcp_last_error_message());
  dmtcp_coordinator_free(coordinator);
  return code == DMTCP_OK ? 0 : 1;
}
