/* A program that is the coordinator of another: embed DIR PROGRAM [ARG...]
 *
 * Starts PROGRAM, which is a native worker, takes a checkpoint of it, whose set is kept in DIR, and
 * ends it. dmtcp_launch_spawn() would start one under DMTCP in the same way. */
#define _POSIX_C_SOURCE 200809L
#include <dmtcp_rs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Called on a thread of the library. */
static void on_event(void *context, const dmtcp_event *event) {
  (void)context;
  fprintf(stderr, "%llu: %s\n", (unsigned long long)event->sequence, event->text);
}

static int failed(const char *what, dmtcp_result code) {
  fprintf(stderr, "%s: %s: %s\n", what, dmtcp_result_name(code), dmtcp_last_error_message());
  return 1;
}

/* What a native worker finds in its environment is prepared before fork: a child of a program with
 * threads may do little before exec. */
static pid_t start(uint32_t port, char **argv) {
  char address[32];
  snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)port);
  setenv("DMTCP_RS_COORDINATOR", address, 1);
  setenv("DMTCP_RS_DIALECT", "V5", 1);
  pid_t pid = fork();
  if (pid == 0) {
    execvp(argv[0], argv);
    _exit(127);
  }
  return pid;
}

static int checkpoint(dmtcp_computation *computation) {
  dmtcp_status status = {.size = sizeof status};
  dmtcp_result code = dmtcp_computation_wait_until_running(computation, 1, 10000, &status);
  if (code != DMTCP_OK) return failed("program", code);
  dmtcp_sealed sealed = {.size = sizeof sealed};
  code = dmtcp_computation_checkpoint(computation, 60000, &sealed);
  if (code != DMTCP_OK) return failed("checkpoint", code);
  printf("set %llu, %llu bytes\n", (unsigned long long)sealed.set,
         (unsigned long long)sealed.set_bytes);
  code = dmtcp_computation_kill_workers(computation, 10000);
  return code == DMTCP_OK ? 0 : failed("kill", code);
}

static int coordinate(dmtcp_computation *computation, char **argv) {
  dmtcp_subscription *news = NULL;
  uint32_t port = 0;
  dmtcp_result code = dmtcp_computation_on_event(computation, on_event, NULL, &news);
  if (code == DMTCP_OK) code = dmtcp_computation_port(computation, &port);
  if (code != DMTCP_OK) return failed("computation", code);
  pid_t pid = start(port, argv);
  int rc = checkpoint(computation);
  dmtcp_computation_close(computation, 10000);
  if (pid > 0) waitpid(pid, NULL, 0);
  dmtcp_subscription_free(news);
  return rc;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s DIR PROGRAM [ARG...]\n", argv[0]);
    return 2;
  }
  dmtcp_server *server = NULL;
  dmtcp_computation *computation = NULL;
  dmtcp_computation_options options = {.size = sizeof options, .sets = argv[1]};
  dmtcp_result code = dmtcp_server_start(&server);
  if (code == DMTCP_OK) code = dmtcp_server_open_with(server, &options, &computation);
  int rc = code == DMTCP_OK ? coordinate(computation, argv + 2) : failed("server", code);
  dmtcp_computation_free(computation);
  dmtcp_server_free(server);
  return rc;
}
