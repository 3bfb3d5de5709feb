/* Jobs and sets: jobs DIR WORKER
 *
 * WORKER is examples/native_worker.c. */
#define _DEFAULT_SOURCE
#include <unistd.h>

#include "wait.h"

/* Milliseconds: longer than anything here takes unless it hangs. */
static const uint64_t LONG = 120000;

static char state[4096], archive[4096];
static const char *worker;

static void on_event(void *context, const dmtcp_job_event *event) {
  CHECK(event->size >= sizeof *event && event->unix_ms > 0 && event->text != NULL);
  saw(context, event->kind, event->set);
}

static dmtcp_job_settings settings_of(const char *const *argv, struct seen *seen) {
  dmtcp_job_settings settings = {.size = sizeof settings,
                                 .state_dir = state,
                                 .argv = argv,
                                 .native = 1,
                                 .interval_ms = -1,
                                 .grace_ms = LONG,
                                 .id = "c"};
  if (seen != NULL) {
    settings.on_event = on_event;
    settings.context = seen;
  }
  return settings;
}

static dmtcp_outcome_info info_of(dmtcp_outcome *outcome) {
  dmtcp_outcome_info info = {.size = sizeof info};
  OK(dmtcp_outcome_get(outcome, &info));
  CHECK(*info.name != 0 && *info.reason != 0 && *info.text != 0);
  return info;
}

static size_t sets(void) {
  dmtcp_sets *list = NULL;
  OK(dmtcp_sets_list(state, &list));
  size_t count = dmtcp_sets_count(list);
  char *broken = NULL;
  OK(dmtcp_sets_broken(list, &broken));
  CHECK(strcmp(broken, "") == 0);
  dmtcp_text_free(broken);
  dmtcp_sets_free(list);
  return count;
}

static void refusals(dmtcp_server *server, const char *const *argv) {
  dmtcp_job *job = NULL;
  dmtcp_job_settings settings = settings_of(argv, NULL);
  settings.state_dir = NULL;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_job_start(server, &settings, &job));
  settings = settings_of(argv, NULL);
  settings.begin = 77;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_job_start(server, &settings, &job));
  settings = settings_of(argv, NULL);
  settings.interval_ms = -2;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_job_start(server, &settings, &job));
  settings = settings_of(argv, NULL);
  settings.ends_at_unix_s = 1;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_job_start(server, &settings, &job));
  settings = settings_of(argv, NULL);
  const char *const env[] = {"NO_VALUE", NULL};
  settings.env = env;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_job_start(server, &settings, &job));
  settings = settings_of(argv, NULL);
  settings.native = 0;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_job_start(server, &settings, &job));
  CHECK(strstr(dmtcp_last_error_message(), "dmtcp_tools_find") != NULL);
  const char *const empty[] = {NULL};
  settings = settings_of(empty, NULL);
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_job_start(server, &settings, &job));
  settings = settings_of(argv, NULL);
  settings.size = 8;
  CHECK_CODE(DMTCP_ERR_STRUCT_SIZE, dmtcp_job_start(server, &settings, &job));
  CHECK(job == NULL);

  dmtcp_coordinator *coordinator = NULL;
  dmtcp_outcome *outcome = NULL;
  CHECK_CODE(DMTCP_ERR_NO_JOB, dmtcp_job_contact("/nonexistent", LONG, &coordinator));
  CHECK_CODE(DMTCP_ERR_NO_JOB, dmtcp_job_wait_for_outcome("/nonexistent", LONG, &outcome));
  CHECK_CODE(DMTCP_ERR_NO_JOB, dmtcp_job_stop("/nonexistent", LONG, &outcome));
}

static void first_run(dmtcp_server *server, const char *const *argv) {
  struct seen seen, later;
  seen_init(&seen);
  seen_init(&later);
  dmtcp_job_settings settings = settings_of(argv, &seen);
  dmtcp_job *job = NULL;
  OK(dmtcp_job_start(server, &settings, &job));
  dmtcp_subscription *news = NULL;
  OK(dmtcp_job_on_event(job, on_event, &later, &news));
  await(&seen, DMTCP_JOB_EVENT_RUNNING, 1);

  dmtcp_sealed sealed = {.size = sizeof sealed};
  OK(dmtcp_job_checkpoint(job, LONG, &sealed));
  CHECK(sealed.set == 1 && sealed.images == 1 && sealed.set_bytes > 0);
  await(&seen, DMTCP_JOB_EVENT_SEALED, 1);
  await(&later, DMTCP_JOB_EVENT_SEALED, 1);
  dmtcp_subscription_free(news);

  dmtcp_computation *computation = NULL;
  OK(dmtcp_job_computation(job, &computation));
  CHECK(computation != NULL);
  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_computation_status(computation, &status));
  CHECK(status.peers == 1);
  dmtcp_computation_free(computation);

  /* As another process sees it. */
  dmtcp_coordinator *coordinator = NULL;
  OK(dmtcp_job_contact(state, LONG, &coordinator));
  OK(dmtcp_coordinator_status(coordinator, &status));
  CHECK(status.peers == 1);
  dmtcp_coordinator_free(coordinator);
  dmtcp_set_store *store = NULL;
  CHECK_CODE(DMTCP_ERR_OWNED, dmtcp_set_store_open(state, &store));
  CHECK(store == NULL && sets() == 1);

  dmtcp_outcome *outcome = NULL;
  OK(dmtcp_job_outcome(job, &outcome));
  CHECK(outcome == NULL);
  CHECK_CODE(DMTCP_ERR_TIMED_OUT, dmtcp_job_wait(job, 20, &outcome));
  CHECK_CODE(DMTCP_ERR_TIMED_OUT, dmtcp_job_wait_for_outcome(state, 20, &outcome));
  OK(dmtcp_job_checkpoint_and_stop(job, 0));
  OK(dmtcp_job_wait(job, LONG, &outcome));
  dmtcp_outcome_info info = info_of(outcome);
  CHECK(info.kind == DMTCP_OUTCOME_CHECKPOINTED && info.code == 85);
  CHECK(strcmp(info.name, "checkpointed") == 0 && strcmp(info.reason, "requested") == 0);
  CHECK(info.set == 2 && info.sets_sealed == 2 && info.exit_code == -1 && info.exit_signal == 0);
  dmtcp_outcome_free(outcome);
  OK(dmtcp_job_outcome(job, &outcome));
  CHECK(info_of(outcome).set == 2);
  dmtcp_outcome_free(outcome);
  CHECK_CODE(DMTCP_ERR_JOB_ENDED, dmtcp_job_checkpoint(job, LONG, &sealed));
  await(&seen, DMTCP_JOB_EVENT_END, 1);
  dmtcp_job_free(job);
  CHECK(seen.count[DMTCP_JOB_EVENT_ENDED] == 1 && seen.count[DMTCP_JOB_EVENT_END] == 1);
  CHECK(seen.last_set == 2);
  CHECK_CODE(DMTCP_ERR_JOB_ENDED, dmtcp_job_contact(state, LONG, &coordinator));
  seen_free(&later);
  seen_free(&seen);
}

/* Goes on, and is stopped from outside. */
static void second_run(dmtcp_server *server, const char *const *argv) {
  struct seen seen;
  seen_init(&seen);
  dmtcp_job_settings settings = settings_of(argv, &seen);
  dmtcp_job *job = NULL;
  OK(dmtcp_job_start(server, &settings, &job));
  await(&seen, DMTCP_JOB_EVENT_RESTARTED, 1);
  CHECK(seen.last_set == 2);
  dmtcp_outcome *outcome = NULL;
  OK(dmtcp_job_stop(state, LONG, &outcome));
  CHECK(outcome != NULL && info_of(outcome).kind == DMTCP_OUTCOME_CHECKPOINTED);
  dmtcp_outcome_free(outcome);
  OK(dmtcp_job_wait(job, LONG, &outcome));
  CHECK(info_of(outcome).restarts == 1);
  dmtcp_outcome_free(outcome);
  OK(dmtcp_job_wait_for_outcome(state, LONG, &outcome));
  CHECK(info_of(outcome).set == 3);
  dmtcp_outcome_free(outcome);
  dmtcp_job_free(job);
  seen_free(&seen);
}

/* Freed while it runs. */
static void third_run(dmtcp_server *server) {
  struct seen seen;
  seen_init(&seen);
  dmtcp_job_settings settings = settings_of(NULL, &seen);
  dmtcp_job *job = NULL;
  OK(dmtcp_job_start(server, &settings, &job));
  await(&seen, DMTCP_JOB_EVENT_RESTARTED, 1);
  OK(dmtcp_job_kill(job));
  dmtcp_outcome *outcome = NULL;
  OK(dmtcp_job_wait(job, LONG, &outcome));
  CHECK(strcmp(info_of(outcome).reason, "killed") == 0);
  dmtcp_outcome_free(outcome);
  dmtcp_job_free(job);
  OK(dmtcp_job_start(server, &settings, &job));
  await(&seen, DMTCP_JOB_EVENT_RESTARTED, 2);
  dmtcp_job_free(job);
  seen_free(&seen);
}

static void other_command(dmtcp_server *server) {
  const char *const other[] = {worker, "7", NULL};
  dmtcp_job_settings settings = settings_of(other, NULL);
  dmtcp_job *job = NULL;
  OK(dmtcp_job_start(server, &settings, &job));
  dmtcp_outcome *outcome = NULL;
  CHECK_CODE(DMTCP_ERR_OTHER_PROGRAM, dmtcp_job_wait(job, LONG, &outcome));
  CHECK_CODE(DMTCP_ERR_OTHER_PROGRAM, dmtcp_job_wait(job, LONG, &outcome));
  CHECK_CODE(DMTCP_ERR_OTHER_PROGRAM, dmtcp_job_outcome(job, &outcome));
  CHECK(outcome == NULL);
  dmtcp_job_free(job);
}

static void store(void) {
  dmtcp_set_store *store = NULL;
  OK(dmtcp_set_store_open(state, &store));
  OK(dmtcp_set_store_sweep(store));
  dmtcp_sets *list = NULL;
  OK(dmtcp_set_store_list(store, &list));
  /* Two are kept by default. */
  CHECK(dmtcp_sets_count(list) == 2 && dmtcp_sets_count(NULL) == 0);
  dmtcp_set *set = NULL;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_sets_get(list, 2, &set));
  OK(dmtcp_sets_get(list, 0, &set));
  dmtcp_sets_free(list);
  dmtcp_set_info info = {.size = sizeof info};
  OK(dmtcp_set_get(set, &info));
  CHECK(info.number == 3 && info.images == 1 && info.total_bytes > 0 && info.parent == 2);
  CHECK(info.sealed_unix_ms > 0 && info.dmtcp == NULL && strncmp(info.dir, state, 4) == 0);
  dmtcp_image image = {.size = sizeof image};
  OK(dmtcp_set_image(set, 0, &image));
  CHECK(image.kind == DMTCP_IMAGE_NATIVE && image.bytes > 0 && image.real_pid > 1);
  CHECK(access(image.path, R_OK) == 0 && strncmp(image.program, "native", 6) == 0);
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_set_image(set, 1, &image));
  OK(dmtcp_set_verify(set));
  OK(dmtcp_set_pack(set, archive));

  uint64_t removed = 77, bytes = 0;
  dmtcp_retention retention = {.size = sizeof retention, .keep_last = 1};
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_set_store_prune(store, NULL, &removed, &bytes));
  OK(dmtcp_set_store_prune(store, &retention, &removed, &bytes));
  CHECK(removed == 1 && bytes > 0 && sets() == 1);

  /* What is cut is seen, and passed over. */
  CHECK(truncate(image.path, 20) == 0);
  CHECK_CODE(DMTCP_ERR_DAMAGED, dmtcp_set_verify(set));
  CHECK(strstr(dmtcp_last_error_message(), "20 bytes") != NULL);
  dmtcp_set_free(set);
  CHECK_CODE(DMTCP_ERR_NO_SET, dmtcp_set_store_newest_verified(store, &set));
  CHECK_CODE(DMTCP_ERR_FILE, dmtcp_set_store_unpack(store, "/nonexistent", &set));
  OK(dmtcp_set_store_unpack(store, archive, &set));
  OK(dmtcp_set_verify(set));
  dmtcp_set_free(set);
  OK(dmtcp_set_store_newest_verified(store, &set));
  OK(dmtcp_set_get(set, &info));
  CHECK(info.number > 3);
  dmtcp_set *again = NULL;
  OK(dmtcp_set_open(info.dir, &again));
  dmtcp_set_free(again);
  CHECK_CODE(DMTCP_ERR_NOT_A_SET, dmtcp_set_open(state, &again));
  dmtcp_set_free(set);
  dmtcp_set_store_free(store);
}

/* From what was unpacked, with an end in sight. */
static void to_the_end(dmtcp_server *server, const char *const *argv) {
  snprintf(state + strlen(state), 8, "-end");
  dmtcp_job_settings settings = settings_of(argv, NULL);
  dmtcp_job *job = NULL;
  OK(dmtcp_job_start(server, &settings, &job));
  /* It keeps what it needs. */
  dmtcp_server_free(server);
  dmtcp_outcome *outcome = NULL;
  OK(dmtcp_job_wait(job, LONG, &outcome));
  dmtcp_outcome_info info = info_of(outcome);
  CHECK(info.kind == DMTCP_OUTCOME_FINISHED && info.code == 0 && info.exit_code == 0);
  dmtcp_outcome_free(outcome);
  dmtcp_job_free(job);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(600);
  snprintf(state, sizeof state, "%s/state", argv[1]);
  snprintf(archive, sizeof archive, "%s/set.archive", argv[1]);
  worker = argv[2];
  const char *const endless[] = {worker, "1000000000", "1", NULL};
  const char *const short_one[] = {worker, "10", NULL};
  dmtcp_server *server = NULL;
  OK(dmtcp_server_start(&server));
  refusals(server, endless);
  first_run(server, endless);
  second_run(server, endless);
  third_run(server);
  other_command(server);
  store();
  to_the_end(server, short_one);
  return 0;
}
