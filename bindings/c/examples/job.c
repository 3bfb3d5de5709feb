/* A job that survives a kill: job DIR PROGRAM [ARG...]
 *
 * Starts the program under DMTCP, or goes on from the newest set in DIR. SIGTERM: a last checkpoint,
 * then the end. With the variable NATIVE set, PROGRAM is a worker by itself and needs no DMTCP. The
 * exit code is what schedulers know: 85 for "checkpointed, run me again". */
#define _POSIX_C_SOURCE 200809L
#include <dmtcp_rs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static volatile sig_atomic_t stop;

static void on_signal(int number) {
  (void)number;
  stop = 1;
}

/* Called on a thread of the library. */
static void on_event(void *context, const dmtcp_job_event *event) {
  (void)context;
  fprintf(stderr, "job: %s\n", event->text);
}

static int failed(const char *what, dmtcp_result code) {
  fprintf(stderr, "%s: %s: %s\n", what, dmtcp_result_name(code), dmtcp_last_error_message());
  return 1;
}

static int end(dmtcp_outcome *outcome) {
  dmtcp_outcome_info info = {.size = sizeof info};
  dmtcp_result code = dmtcp_outcome_get(outcome, &info);
  if (code != DMTCP_OK) return failed("outcome", code);
  printf("%s: %s\n", info.name, info.text);
  return info.code;
}

static int run(dmtcp_server *server, const dmtcp_job_settings *settings) {
  dmtcp_job *job = NULL;
  dmtcp_outcome *outcome = NULL;
  dmtcp_result code = dmtcp_job_start(server, settings, &job);
  if (code != DMTCP_OK) return failed("start", code);
  do {
    if (stop) dmtcp_job_checkpoint_and_stop(job, 0);
    code = dmtcp_job_wait(job, 100, &outcome);
  } while (code == DMTCP_ERR_TIMED_OUT);
  int rc = code == DMTCP_OK ? end(outcome) : failed("job", code);
  dmtcp_outcome_free(outcome);
  dmtcp_job_free(job);
  return rc;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s DIR PROGRAM [ARG...]\n", argv[0]);
    return 2;
  }
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);

  dmtcp_job_settings settings = {.size = sizeof settings,
                                 .state_dir = argv[1],
                                 .argv = (const char *const *)argv + 2,
                                 .native = getenv("NATIVE") != NULL,
                                 .show_output = 1,
                                 .on_event = on_event};
  dmtcp_tools *tools = NULL;
  dmtcp_server *server = NULL;
  dmtcp_result code = DMTCP_OK;
  if (!settings.native) code = dmtcp_tools_find(NULL, &tools);
  if (code != DMTCP_OK) return failed("DMTCP", code);
  settings.tools = tools;
  code = dmtcp_server_start(&server);
  int rc = code == DMTCP_OK ? run(server, &settings) : failed("server", code);
  dmtcp_server_free(server);
  dmtcp_tools_free(tools);
  return rc;
}
