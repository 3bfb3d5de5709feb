/* A job that shows its output to nobody, in a program that dies of SIGPIPE, and one in a program that
 * ignores SIGCHLD: unread DIR WORKER */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <unistd.h>

#include "check.h"

static dmtcp_outcome_info run(dmtcp_server *server, const char *dir, const char *worker) {
  const char *const argv[] = {worker, "10", NULL};
  dmtcp_job_settings settings = {.size = sizeof settings,
                                 .state_dir = dir,
                                 .argv = argv,
                                 .native = 1,
                                 .interval_ms = -1,
                                 .show_output = 1};
  dmtcp_job *job = NULL;
  dmtcp_outcome *outcome = NULL;
  OK(dmtcp_job_start(server, &settings, &job));
  OK(dmtcp_job_wait(job, 120000, &outcome));
  dmtcp_outcome_info info = {.size = sizeof info};
  OK(dmtcp_outcome_get(outcome, &info));
  fprintf(stderr, "%s: %s\n", info.name, info.text);
  dmtcp_outcome_free(outcome);
  dmtcp_job_free(job);
  return info;
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(600);
  CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO);
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  dmtcp_server *server = NULL;
  OK(dmtcp_server_start(&server));
  char dir[4096];
  snprintf(dir, sizeof dir, "%s/unread", argv[1]);
  dmtcp_outcome_info info = run(server, dir, argv[2]);
  CHECK(info.kind == DMTCP_OUTCOME_FINISHED && info.exit_code == 0);
  CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL);

  /* Its end would not be learned, so it does not begin. */
  CHECK(signal(SIGCHLD, SIG_IGN) == SIG_DFL);
  snprintf(dir, sizeof dir, "%s/ignored", argv[1]);
  info = run(server, dir, argv[2]);
  CHECK(info.kind == DMTCP_OUTCOME_FAILED_BEFORE_READY && info.exit_code == -1);
  dmtcp_server_free(server);
  return 0;
}
