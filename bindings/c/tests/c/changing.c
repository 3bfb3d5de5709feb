/* A native worker that registers more memory when there is a file "wide" in its directory. */
#define _DEFAULT_SOURCE
#include <unistd.h>

#include "check.h"

int main(void) {
  dmtcp_native_worker *worker = NULL;
  OK(dmtcp_native_worker_join(&worker));
  uint64_t state[2] = {1, 2};
  size_t length = access("wide", F_OK) == 0 ? sizeof state : sizeof state[0];
  OK(dmtcp_native_worker_register(worker, "state", state, length));
  int32_t restored = 77, checkpointed = 0;
  dmtcp_result code = dmtcp_native_worker_restore(worker, &restored);
  if (code != DMTCP_OK) {
    CHECK_CODE(DMTCP_ERR_STATE, code);
    CHECK(restored == 77 && state[0] == 1 && state[1] == 2);
    fprintf(stderr, "%s\n", dmtcp_last_error_message());
  } else {
    printf(restored ? "restored\n" : "fresh\n");
    fflush(stdout);
  }
  while (code == DMTCP_OK) {
    usleep(1000);
    code = dmtcp_native_worker_safe_point(worker, &checkpointed);
  }
  dmtcp_native_worker_free(worker);
  return dmtcp_native_worker_exit_code(code);
}
