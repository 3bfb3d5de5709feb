/* A job whose worker changes between two runs: changed DIR WORKER */
#define _DEFAULT_SOURCE
#include <unistd.h>

#include "wait.h"

static const uint64_t LONG = 120000;

static void on_event(void *context, const dmtcp_job_event *event) {
  saw(context, event->kind, event->set);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(600);
  CHECK(chdir(argv[1]) == 0);
  const char *const worker[] = {argv[2], NULL};
  struct seen seen;
  seen_init(&seen);
  dmtcp_job_settings settings = {.size = sizeof settings,
                                 .state_dir = "state",
                                 .argv = worker,
                                 .native = 1,
                                 .interval_ms = -1,
                                 .grace_ms = LONG,
                                 .restarts_without_progress = 1,
                                 .on_event = on_event,
                                 .context = &seen};
  dmtcp_server *server = NULL;
  OK(dmtcp_server_start(&server));
  dmtcp_job *job = NULL;
  OK(dmtcp_job_start(server, &settings, &job));
  await(&seen, DMTCP_JOB_EVENT_RUNNING, 1);
  OK(dmtcp_job_checkpoint_and_stop(job, 0));
  dmtcp_outcome *outcome = NULL;
  OK(dmtcp_job_wait(job, LONG, &outcome));
  dmtcp_outcome_free(outcome);
  dmtcp_job_free(job);

  FILE *wide = fopen("wide", "w");
  CHECK(wide != NULL && fclose(wide) == 0);
  OK(dmtcp_job_start(server, &settings, &job));
  OK(dmtcp_job_wait(job, LONG, &outcome));
  dmtcp_outcome_info info = {.size = sizeof info};
  OK(dmtcp_outcome_get(outcome, &info));
  CHECK(info.kind == DMTCP_OUTCOME_FAILED_TO_RESTORE && info.code == 171);
  dmtcp_outcome_free(outcome);
  dmtcp_job_free(job);
  CHECK(seen.count[DMTCP_JOB_EVENT_RESTARTED] == 0);
  dmtcp_server_free(server);
  seen_free(&seen);
  return 0;
}
