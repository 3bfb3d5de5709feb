/* Unmodified programs under DMTCP: unmodified DMTCP_FOLDER DIR */
#define _DEFAULT_SOURCE
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wait.h"

static const uint64_t LONG = 120000;

static const char *dir;

/* DIR/NAME, which stays. */
static char *in_dir(const char *name) {
  char *path = malloc(strlen(dir) + strlen(name) + 2);
  CHECK(path != NULL);
  sprintf(path, "%s/%s", dir, name);
  return path;
}

static char *new_dir(const char *name) {
  char *path = in_dir(name);
  CHECK(mkdir(path, 0700) == 0);
  return path;
}

static void refusals(dmtcp_tools *tools) {
  const char *const option[] = {"--help", NULL};
  const char *const nothing[] = {NULL};
  dmtcp_child *child = NULL;
  dmtcp_launch launch = {.size = sizeof launch, .argv = option, .port = 1};
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_launch_spawn(tools, &launch, &child));
  launch.argv = nothing;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_launch_spawn(tools, &launch, &child));
  const char *const program[] = {"sleep", "1", NULL};
  launch.argv = program;
  launch.reserved = 1;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_launch_spawn(tools, &launch, &child));
  dmtcp_restart restart = {.size = sizeof restart, .images = nothing, .port = 1};
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_restart_spawn(tools, &restart, &child));
  const char *const missing[] = {"/nonexistent.dmtcp", NULL};
  restart.images = missing;
  CHECK_CODE(DMTCP_ERR_FILE, dmtcp_restart_spawn(tools, &restart, &child));
  CHECK(child == NULL);
}

/* Launched, checkpointed, killed, and back from its image. */
static void launch_and_restart(dmtcp_tools *tools, dmtcp_server *server) {
  char *images = new_dir("images"), *tmp = new_dir("tmp"), *state = in_dir("sets of it");
  dmtcp_computation_options options = {.size = sizeof options, .sets = state};
  dmtcp_computation *computation = NULL;
  OK(dmtcp_server_open_with(server, &options, &computation));
  const char *const argv[] = {"sleep", "100000", NULL};
  const char *const env[] = {"A_VARIABLE=of mine", NULL};
  dmtcp_launch launch = {.size = sizeof launch,
                         .argv = argv,
                         .env = env,
                         .checkpoint_dir = images,
                         .tmpdir = tmp,
                         .no_gzip = 1};
  OK(dmtcp_computation_port(computation, &launch.port));
  dmtcp_child *child = NULL;
  OK(dmtcp_launch_spawn(tools, &launch, &child));
  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_computation_wait_until_running(computation, 1, LONG, &status));
  int32_t pid = 0;
  OK(dmtcp_child_pid(child, &pid));
  CHECK(pid > 1);
  dmtcp_exit ended = {.size = sizeof ended};
  CHECK_CODE(DMTCP_ERR_TIMED_OUT, dmtcp_child_wait(child, 20, &ended));
  dmtcp_sealed sealed = {.size = sizeof sealed};
  OK(dmtcp_computation_checkpoint_and_kill(computation, LONG, &sealed));
  CHECK(sealed.set == 1 && sealed.images == 1);
  OK(dmtcp_child_wait(child, LONG, &ended));
  CHECK(ended.code == 0 && ended.signal == 0);
  dmtcp_child_free(child);
  OK(dmtcp_computation_close(computation, LONG));
  dmtcp_computation_free(computation);

  char *pattern = in_dir("images/ckpt_*.dmtcp");
  glob_t found;
  CHECK(glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc == 1);
  OK(dmtcp_server_open(server, 0, &computation));
  dmtcp_restart restart = {
      .size = sizeof restart, .images = (const char *const *)found.gl_pathv, .tmpdir = tmp};
  OK(dmtcp_computation_port(computation, &restart.port));
  /* On main a restart can hang: it is tried again. */
  dmtcp_result code = DMTCP_ERR_TIMED_OUT;
  for (int attempt = 0; attempt < 4 && code == DMTCP_ERR_TIMED_OUT; attempt++) {
    OK(dmtcp_restart_spawn(tools, &restart, &child));
    code = dmtcp_computation_wait_until_running(computation, 1, 20000, &status);
    if (code == DMTCP_OK) break;
    OK(dmtcp_child_kill(child));
    dmtcp_child_free(child);
  }
  OK(code);
  OK(dmtcp_child_terminate(child));
  OK(dmtcp_child_wait(child, LONG, &ended));
  CHECK(ended.signal == 15 && ended.code == -1);
  dmtcp_child_free(child);
  globfree(&found);
  OK(dmtcp_computation_close(computation, LONG));
  dmtcp_computation_free(computation);
  free(pattern), free(images), free(tmp), free(state);
}

static void on_event(void *context, const dmtcp_job_event *event) {
  saw(context, event->kind, event->set);
}

/* Two runs of a job. */
static void job(dmtcp_tools *tools, dmtcp_server *server) {
  char *state = in_dir("job");
  struct seen seen;
  seen_init(&seen);
  const char *const argv[] = {"sleep", "100000", NULL};
  dmtcp_job_settings settings = {.size = sizeof settings,
                                 .state_dir = state,
                                 .argv = argv,
                                 .tools = tools,
                                 .interval_ms = -1,
                                 .no_gzip = 1,
                                 .on_event = on_event,
                                 .context = &seen};
  for (int run = 0; run < 2; run++) {
    dmtcp_job *job = NULL;
    OK(dmtcp_job_start(server, &settings, &job));
    await(&seen, run == 0 ? DMTCP_JOB_EVENT_RUNNING : DMTCP_JOB_EVENT_RESTARTED, 1);
    OK(dmtcp_job_checkpoint_and_stop(job, LONG));
    dmtcp_outcome *outcome = NULL;
    OK(dmtcp_job_wait(job, LONG, &outcome));
    dmtcp_outcome_info info = {.size = sizeof info};
    OK(dmtcp_outcome_get(outcome, &info));
    CHECK(info.kind == DMTCP_OUTCOME_CHECKPOINTED && info.set == (uint64_t)run + 1);
    dmtcp_outcome_free(outcome);
    dmtcp_job_free(job);
  }
  dmtcp_set_store *store = NULL;
  OK(dmtcp_set_store_open(state, &store));
  dmtcp_set *set = NULL;
  OK(dmtcp_set_store_newest_verified(store, &set));
  dmtcp_image image = {.size = sizeof image};
  OK(dmtcp_set_image(set, 0, &image));
  CHECK(image.kind == DMTCP_IMAGE_DMTCP);
  dmtcp_set_free(set);
  dmtcp_set_store_free(store);
  seen_free(&seen);
  free(state);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  alarm(900);
  dir = argv[2];
  dmtcp_tools *tools = NULL;
  CHECK_CODE(DMTCP_ERR_TOOLS, dmtcp_tools_find(dir, &tools));
  OK(dmtcp_tools_find(argv[1], &tools));
  char *text = NULL;
  OK(dmtcp_tools_dir(tools, &text));
  CHECK(strcmp(text, argv[1]) == 0);
  dmtcp_text_free(text);
  OK(dmtcp_tools_version(tools, &text));
  printf("DMTCP %s\n", text);
  dmtcp_text_free(text);
  dmtcp_server *server = NULL;
  OK(dmtcp_server_start(&server));
  refusals(tools);
  launch_and_restart(tools, server);
  job(tools, server);
  dmtcp_server_free(server);
  dmtcp_tools_free(tools);
  return 0;
}
