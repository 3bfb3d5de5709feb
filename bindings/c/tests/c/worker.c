/* A native worker that hands its state in as bytes: worker, or worker alone
 *
 * Its state is a text with one letter for each life; the third life is the last. Alone, without a
 * coordinator, it looks at what is refused then. */
#include <string.h>

#include "check.h"

enum { LIVES = 3 };

static void alone(void) {
  dmtcp_native_worker *worker = NULL;
  CHECK_CODE(DMTCP_ERR_NOT_LAUNCHED, dmtcp_native_worker_join(&worker));
  CHECK(worker == NULL);
  CHECK(strstr(dmtcp_last_error_message(), "DMTCP_RS_COORDINATOR") != NULL);
  CHECK(dmtcp_native_worker_is_asked(NULL) == 0);
  CHECK(dmtcp_native_worker_exit_code(DMTCP_ERR_WORKER_KILLED) == 0);
  CHECK(dmtcp_native_worker_exit_code(DMTCP_ERR_WORKER_CHECKPOINTED) == 0);
  CHECK(dmtcp_native_worker_exit_code(DMTCP_ERR_COORDINATOR_LOST) == 99);
  CHECK(dmtcp_bytes_length(NULL) == 0 && dmtcp_bytes_data(NULL) == NULL);
}

static int live(dmtcp_native_worker *worker) {
  char lives[LIVES + 1] = "";
  dmtcp_bytes *bytes = NULL;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_native_worker_restore_bytes(worker, NULL));
  OK(dmtcp_native_worker_restore_bytes(worker, &bytes));
  size_t length = dmtcp_bytes_length(bytes);
  CHECK(length < LIVES);
  if (length > 0) memcpy(lives, dmtcp_bytes_data(bytes), length);
  dmtcp_bytes_free(bytes);
  strcat(lives, "x");
  printf("life %zu\n", strlen(lives));
  fflush(stdout);

  /* What cannot be registered. */
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_native_worker_register(worker, "a", NULL, 1));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_native_worker_register(worker, NULL, lives, 1));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_native_worker_register(worker, "", lives, 1));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_native_worker_unregister(worker, "a"));
  OK(dmtcp_native_worker_register(worker, "a", lives, 1));
  OK(dmtcp_native_worker_unregister(worker, "a"));
  char *path = NULL;
  OK(dmtcp_native_worker_image_path(worker, &path));
  CHECK(*path == '/' && strstr(path, ".dmtcp") != NULL);
  dmtcp_text_free(path);

  int32_t checkpointed = 0;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_native_worker_safe_point_bytes(worker, NULL, 1, &checkpointed));
  dmtcp_result code = DMTCP_OK;
  while (strlen(lives) < LIVES && code == DMTCP_OK) {
    if (dmtcp_native_worker_is_asked(worker))
      code = dmtcp_native_worker_safe_point_bytes(worker, lives, strlen(lives), &checkpointed);
  }
  if (code != DMTCP_OK) {
    /* It has left, and stays away. */
    CHECK_CODE(DMTCP_ERR_ALREADY_LEFT,
               dmtcp_native_worker_safe_point_bytes(worker, "", 0, &checkpointed));
    return dmtcp_native_worker_exit_code(code);
  }
  printf("done after %zu lives\n", strlen(lives));
  OK(dmtcp_native_worker_finish(worker));
  CHECK_CODE(DMTCP_ERR_ALREADY_LEFT, dmtcp_native_worker_finish(worker));
  CHECK_CODE(DMTCP_ERR_ALREADY_LEFT, dmtcp_native_worker_safe_point(worker, &checkpointed));
  CHECK(dmtcp_native_worker_is_asked(worker) == 0);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 2) {
    CHECK(strcmp(argv[1], "alone") == 0);
    alone();
    return 0;
  }
  dmtcp_native_worker *worker = NULL;
  OK(dmtcp_native_worker_join(&worker));
  int rc = live(worker);
  dmtcp_native_worker_free(worker);
  return rc;
}
