/* The embedded coordinator with events and sets: embedded DIR WORKER
 *
 * WORKER is examples/native_worker.c. */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wait.h"

/* Milliseconds: longer than anything here takes unless it hangs. */
static const uint64_t LONG = 120000;

static void on_event(void *context, const dmtcp_event *event) {
  struct seen *seen = context;
  CHECK(event->size >= sizeof *event && event->text != NULL && *event->text != 0);
  /* One call at a time, and numbers rise. */
  CHECK(event->sequence > seen->last_sequence);
  seen->last_sequence = event->sequence;
  saw(seen, event->kind, event->set);
}

struct once {
  struct seen seen;
  dmtcp_subscription *subscription;
};

/* Frees its own subscription. */
static void on_first_event(void *context, const dmtcp_event *event) {
  struct once *once = context;
  CHECK(once->subscription != NULL);
  dmtcp_subscription_free(once->subscription);
  once->subscription = NULL;
  saw(&once->seen, event->kind, 0);
}

static pid_t start(dmtcp_computation *computation, const char *dir, const char *worker) {
  uint32_t port = 0;
  OK(dmtcp_computation_port(computation, &port));
  char address[32];
  snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
  CHECK(setenv("DMTCP_RS_COORDINATOR", address, 1) == 0);
  CHECK(setenv("DMTCP_RS_DIALECT", "V5", 1) == 0);
  CHECK(setenv("DMTCP_RS_CKPT_DIR", dir, 1) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    execl(worker, worker, "1000000000", "1", (char *)NULL);
    _exit(127);
  }
  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_computation_wait_until_running(computation, 1, LONG, &status));
  CHECK(status.peers == 1 && status.running == 1);
  return pid;
}

static void options(dmtcp_server *server, const char *state) {
  dmtcp_computation *computation = NULL;
  dmtcp_computation_options options = {.size = sizeof options, .interval_s = 0x80000000u};
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_server_open_with(server, &options, &computation));
  options = (dmtcp_computation_options){.size = sizeof options, .sets = ""};
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_server_open_with(server, &options, &computation));
  OK(dmtcp_server_open_with(server, NULL, &computation));
  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_computation_status(computation, &status));
  CHECK(status.interval_s == 0);
  CHECK_CODE(DMTCP_ERR_TIMED_OUT,
             dmtcp_computation_wait_until_running(computation, 1, 20, &status));
  dmtcp_sealed sealed = {.size = sizeof sealed};
  CHECK_CODE(DMTCP_ERR_NOT_RUNNING, dmtcp_computation_checkpoint(computation, LONG, &sealed));
  OK(dmtcp_computation_close(computation, LONG));
  dmtcp_computation_free(computation);

  options = (dmtcp_computation_options){.size = sizeof options, .sets = state, .interval_s = 60};
  OK(dmtcp_server_open_with(server, &options, &computation));
  OK(dmtcp_computation_status(computation, &status));
  CHECK(status.interval_s == 60);
  dmtcp_computation *second = NULL;
  CHECK_CODE(DMTCP_ERR_OWNED, dmtcp_server_open_with(server, &options, &second));
  OK(dmtcp_computation_close(computation, LONG));
  dmtcp_computation_free(computation);
}

static void reports(dmtcp_computation *computation) {
  char *text = NULL;
  OK(dmtcp_computation_metrics(computation, &text));
  CHECK(strstr(text, "# TYPE dmtcp_rounds_started_total counter") != NULL);
  dmtcp_text_free(text);
  OK(dmtcp_computation_timelines(computation, &text));
  CHECK(strchr(text, '{') != NULL && strstr(text, "image") != NULL);
  dmtcp_text_free(text);
  dmtcp_key_values *values = NULL;
  OK(dmtcp_computation_key_values(computation, &values));
  CHECK(dmtcp_key_values_count(values) == 0 && dmtcp_key_values_count(NULL) == 0);
  dmtcp_key_value value = {.size = sizeof value};
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_key_values_get(values, 0, &value));
  dmtcp_key_values_free(values);
}

/* Somebody else's coordinator, as far as this part of the program knows. */
static void foreign(dmtcp_computation *computation, const char *state) {
  uint32_t port = 0, known = 0;
  OK(dmtcp_computation_port(computation, &port));
  dmtcp_coordinator *coordinator = NULL;
  OK(dmtcp_coordinator_detect("127.0.0.1", port, LONG, &coordinator));
  dmtcp_dialect dialect = 0;
  OK(dmtcp_coordinator_dialect(coordinator, &dialect));
  CHECK(dialect == DMTCP_DIALECT_V5 || dialect == DMTCP_DIALECT_V3);
  OK(dmtcp_coordinator_port(coordinator, &known));
  CHECK(known == port);
  char *dir = NULL;
  CHECK_CODE(DMTCP_ERR_NOT_SUPPORTED, dmtcp_coordinator_checkpoint_dir(coordinator, &dir));
  CHECK_CODE(DMTCP_ERR_NOT_SUPPORTED, dmtcp_coordinator_set_log_mask(coordinator, 1));
  dmtcp_foreign_sets *sets = NULL;
  const char *const more[] = {"/nonexistent", NULL};
  OK(dmtcp_foreign_sets_new(coordinator, state, more, &sets));
  dmtcp_coordinator_free(coordinator);
  dmtcp_set *set = NULL;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_foreign_sets_finish(sets, LONG, &set));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_foreign_sets_checkpoint(sets, 0, &set));
  OK(dmtcp_foreign_sets_checkpoint(sets, LONG, &set));
  OK(dmtcp_set_verify(set));
  dmtcp_set_free(set);
  OK(dmtcp_foreign_sets_checkpoint_and_kill(sets, LONG, &set));
  dmtcp_set_info info = {.size = sizeof info};
  OK(dmtcp_set_get(set, &info));
  CHECK(info.number == 2 && info.images == 1);
  dmtcp_set_free(set);
  dmtcp_foreign_sets_free(sets);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(600);
  char state[4096], other[4096];
  snprintf(state, sizeof state, "%s/state", argv[1]);
  snprintf(other, sizeof other, "%s/other", argv[1]);
  dmtcp_server *server = NULL;
  OK(dmtcp_server_start(&server));
  options(server, other);

  dmtcp_computation *computation = NULL;
  dmtcp_computation_options options = {.size = sizeof options, .sets = state};
  OK(dmtcp_server_open_with(server, &options, &computation));
  struct seen seen;
  seen_init(&seen);
  dmtcp_subscription *news = NULL;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_computation_on_event(computation, NULL, &seen, &news));
  OK(dmtcp_computation_on_event(computation, on_event, &seen, &news));
  struct once once = {.subscription = NULL};
  seen_init(&once.seen);
  OK(dmtcp_computation_on_event(computation, on_first_event, &once, &once.subscription));
  pid_t pid = start(computation, argv[1], argv[2]);
  await(&seen, DMTCP_EVENT_WORKER_JOINED, 1);

  dmtcp_workers *workers = NULL;
  OK(dmtcp_computation_workers(computation, &workers));
  dmtcp_worker worker = {.size = sizeof worker};
  OK(dmtcp_workers_get(workers, 0, &worker));
  CHECK(dmtcp_workers_count(workers) == 1 && worker.state == DMTCP_WORKER_RUNNING);
  dmtcp_workers_free(workers);

  dmtcp_sealed sealed = {.size = sizeof sealed};
  OK(dmtcp_computation_checkpoint(computation, LONG, &sealed));
  CHECK(sealed.set == 1 && sealed.images == 1 && sealed.set_bytes > 0);
  await(&seen, DMTCP_EVENT_CHECKPOINT_STARTED, 1);
  await(&seen, DMTCP_EVENT_SET_SEALED, 1);
  await(&seen, DMTCP_EVENT_CHECKPOINT_COMPLETE, 1);
  await(&seen, DMTCP_EVENT_RESUMED, 1);
  uint32_t peers = 0;
  OK(dmtcp_computation_request_checkpoint(computation, &peers));
  CHECK(peers == 1);
  await(&seen, DMTCP_EVENT_SET_SEALED, 2);
  await(&seen, DMTCP_EVENT_RESUMED, 2);
  OK(dmtcp_computation_set_interval(computation, 3600));
  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_computation_status(computation, &status));
  CHECK(status.interval_s == 3600);
  reports(computation);
  foreign(computation, other);
  CHECK(waitpid(pid, NULL, 0) == pid);

  pid = start(computation, argv[1], argv[2]);
  OK(dmtcp_computation_checkpoint_and_kill(computation, LONG, &sealed));
  CHECK(waitpid(pid, NULL, 0) == pid);
  CHECK(sealed.set > 2);
  pid = start(computation, argv[1], argv[2]);
  OK(dmtcp_computation_kill_workers(computation, LONG));
  CHECK(waitpid(pid, NULL, 0) == pid);
  OK(dmtcp_computation_quit(computation, LONG));
  CHECK_CODE(DMTCP_ERR_CLOSED, dmtcp_computation_status(computation, &status));
  await(&seen, DMTCP_EVENT_END, 1);
  dmtcp_subscription_free(news);
  CHECK(seen.count[DMTCP_EVENT_END] == 1 && seen.count[DMTCP_EVENT_LAGGED] == 0);
  unsigned first = 0;
  for (int kind = 0; kind < KINDS; kind++) first += once.seen.count[kind];
  CHECK(first == 1 && once.subscription == NULL);
  dmtcp_computation_free(computation);
  dmtcp_server_free(server);
  seen_free(&once.seen);
  seen_free(&seen);
  return 0;
}
