/* What a coordinator is doing: status HOST PORT */
#include <dmtcp_rs.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(const char *what, dmtcp_result code) {
  fprintf(stderr, "%s: %s: %s\n", what, dmtcp_result_name(code), dmtcp_last_error_message());
  return 1;
}

static int show(dmtcp_coordinator *coordinator) {
  dmtcp_status status = {.size = sizeof status};
  dmtcp_result code = dmtcp_coordinator_status(coordinator, &status);
  if (code != DMTCP_OK) return failed("status", code);
  printf("%u workers, %s\n", (unsigned)status.peers, status.running ? "running" : "not running");

  dmtcp_workers *workers = NULL;
  code = dmtcp_coordinator_workers(coordinator, &workers);
  if (code != DMTCP_OK) return failed("workers", code);
  for (size_t i = 0; i < dmtcp_workers_count(workers); i++) {
    dmtcp_worker worker = {.size = sizeof worker};
    if (dmtcp_workers_get(workers, i, &worker) == DMTCP_OK)
      printf("%s[%d] on %s: %s\n", worker.program, (int)worker.real_pid, worker.host,
             worker.state_name);
  }
  dmtcp_workers_free(workers);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s HOST PORT\n", argv[0]);
    return 2;
  }
  /* Finds out which wire format it speaks: asked in a wrong one, many coordinators end. */
  dmtcp_coordinator *coordinator = NULL;
  uint32_t port = (uint32_t)strtoul(argv[2], NULL, 10);
  dmtcp_result code = dmtcp_coordinator_detect(argv[1], port, 10000, &coordinator);
  if (code != DMTCP_OK) return failed(argv[1], code);
  int rc = show(coordinator);
  dmtcp_coordinator_free(coordinator);
  return rc;
}
