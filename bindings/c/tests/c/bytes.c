/* The runs of worker.c's three lives: bytes DIR WORKER */
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
  char state[4096];
  snprintf(state, sizeof state, "%s/state", argv[1]);
  const char *const worker[] = {argv[2], NULL};
  dmtcp_server *server = NULL;
  OK(dmtcp_server_start(&server));
  struct seen seen;
  seen_init(&seen);
  const dmtcp_job_event_kind begins[] = {DMTCP_JOB_EVENT_RUNNING, DMTCP_JOB_EVENT_RESTARTED};
  for (int run = 0; run < 3; run++) {
    dmtcp_job_settings settings = {.size = sizeof settings,
                                   .state_dir = state,
                                   .argv = worker,
                                   .native = 1,
                                   .interval_ms = -1,
                                   .grace_ms = LONG,
                                   .on_event = on_event,
                                   .context = &seen};
    dmtcp_job *job = NULL;
    OK(dmtcp_job_start(server, &settings, &job));
    await(&seen, begins[run > 0], run == 2 ? 2 : 1);
    if (run < 2) OK(dmtcp_job_checkpoint_and_stop(job, 0));
    dmtcp_outcome *outcome = NULL;
    OK(dmtcp_job_wait(job, LONG, &outcome));
    dmtcp_outcome_info info = {.size = sizeof info};
    OK(dmtcp_outcome_get(outcome, &info));
    CHECK(info.kind == (run < 2 ? DMTCP_OUTCOME_CHECKPOINTED : DMTCP_OUTCOME_FINISHED));
    dmtcp_outcome_free(outcome);
    dmtcp_job_free(job);
  }
  dmtcp_server_free(server);
  seen_free(&seen);
  return 0;
}
