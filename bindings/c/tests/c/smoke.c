/* Every function of the library, against coordinators of the Rust side of this test:
 *
 *   smoke DIALECT PORT KILL_PORT SILENT_PORT DEAD_PORT SCRIPTED_PORT
 *
 * PORT: a coordinator with two running workers; KILL_PORT: one with one; SILENT_PORT accepts and
 * never answers; nobody listens on DEAD_PORT; SCRIPTED_PORT: a coordinator of V3 with one worker
 * that is seen to checkpoint and to exit. */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

/* Milliseconds: longer than anything here takes unless it hangs. */
static const uint64_t LONG = 60000;

static dmtcp_coordinator *handle(uint32_t port, dmtcp_dialect dialect) {
  dmtcp_coordinator *coordinator = NULL;
  OK(dmtcp_coordinator_new("127.0.0.1", port, dialect, &coordinator));
  CHECK(coordinator != NULL);
  OK(dmtcp_coordinator_set_timeout(coordinator, LONG));
  return coordinator;
}

static dmtcp_status status_of(dmtcp_coordinator *coordinator) {
  dmtcp_status status;
  memset(&status, 0xff, sizeof status);
  status.size = sizeof status;
  OK(dmtcp_coordinator_status(coordinator, &status));
  CHECK(status.size == sizeof status && status.reserved == 0);
  return status;
}

static void names(void) {
  CHECK(strcmp(dmtcp_last_error_message(), "") == 0);
  CHECK(strchr(dmtcp_version(), '.') != NULL);
  CHECK(strcmp(dmtcp_result_name(DMTCP_OK), "DMTCP_OK") == 0);
  CHECK(strcmp(dmtcp_result_name(DMTCP_ERR_CONNECT), "DMTCP_ERR_CONNECT") == 0);
  CHECK(dmtcp_result_name(-1) != NULL && dmtcp_result_name(99999) != NULL);
}

static void arguments(uint32_t port, dmtcp_dialect dialect) {
  dmtcp_coordinator *const untouched = (dmtcp_coordinator *)&port;
  dmtcp_coordinator *c = untouched;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_new(NULL, port, dialect, &c));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_new("127.0.0.1", port, dialect, NULL));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_from_env(dialect, NULL));
  CHECK(strcmp(dmtcp_last_error_message(), "coordinator is NULL") == 0);
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_coordinator_new("127.0.0.1", port, 0, &c));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_coordinator_new("127.0.0.1", 0, dialect, &c));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_coordinator_new("127.0.0.1", 65536 + port, dialect, &c));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_coordinator_new("\xff", port, dialect, &c));
  CHECK_CODE(DMTCP_ERR_ADDRESS, dmtcp_coordinator_new("::1", port, dialect, &c));
  CHECK_CODE(DMTCP_ERR_ADDRESS, dmtcp_coordinator_new("no host", port, dialect, &c));
  CHECK(setenv("DMTCP_COORD_PORT", "none", 1) == 0);
  CHECK_CODE(DMTCP_ERR_ADDRESS, dmtcp_coordinator_from_env(dialect, &c));
  CHECK(c == untouched);

  dmtcp_status status = {.size = sizeof status};
  dmtcp_checkpoint_report report = {.size = sizeof report};
  dmtcp_workers *workers = NULL;
  uint32_t peers = 0;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_status(NULL, &status));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_workers(NULL, &workers));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_request_checkpoint(NULL, &peers));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_checkpoint(NULL, LONG, &report));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_checkpoint_and_kill(NULL, LONG, &report));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_set_timeout(NULL, LONG));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_set_interval(NULL, 1));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_kill_workers(NULL));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_quit(NULL));

  /* Calls that would do harm to workers: they must end before they ask. */
  c = handle(port, dialect);
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_status(c, NULL));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_workers(c, NULL));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_request_checkpoint(c, NULL));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_checkpoint(c, LONG, NULL));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_checkpoint_and_kill(c, LONG, NULL));
  report.size = 0;
  CHECK_CODE(DMTCP_ERR_STRUCT_SIZE, dmtcp_coordinator_checkpoint_and_kill(c, LONG, &report));
  report.size = sizeof report;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_coordinator_checkpoint_and_kill(c, 0, &report));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_coordinator_set_timeout(c, 0));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_coordinator_set_interval(c, 0x80000000u));
  CHECK(status_of(c).peers == 2);
  dmtcp_coordinator_free(c);

  dmtcp_coordinator_free(NULL);
  dmtcp_workers_free(NULL);
  dmtcp_server_free(NULL);
  dmtcp_computation_free(NULL);
}

static void list(dmtcp_coordinator *c) {
  dmtcp_workers *workers = NULL;
  OK(dmtcp_coordinator_workers(c, &workers));
  CHECK(dmtcp_workers_count(workers) == 2);
  CHECK(dmtcp_workers_count(NULL) == 0);
  dmtcp_worker worker[2] = {{.size = sizeof worker[0]}, {.size = sizeof worker[1]}};
  for (size_t i = 0; i < 2; i++) {
    OK(dmtcp_workers_get(workers, i, &worker[i]));
    CHECK(strcmp(worker[i].state_name, "RUNNING") == 0);
    CHECK(worker[i].state == DMTCP_WORKER_RUNNING);
    CHECK(worker[i].barrier == NULL || *worker[i].barrier != 0);
    CHECK(strncmp(worker[i].program, "programs", 8) == 0);
    CHECK(*worker[i].host != 0 && strchr(worker[i].id, '-') != NULL);
    CHECK(worker[i].real_pid > 1 && worker[i].virtual_pid > 1);
    CHECK(worker[i].size == sizeof worker[i] && worker[i].reserved == 0);
  }
  CHECK(worker[0].number != worker[1].number);
  CHECK(strcmp(worker[0].id, worker[1].id) != 0);
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_workers_get(workers, 2, &worker[0]));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_workers_get(NULL, 0, &worker[0]));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_workers_get(workers, 0, NULL));
  worker[0].size = 4;
  CHECK_CODE(DMTCP_ERR_STRUCT_SIZE, dmtcp_workers_get(workers, 0, &worker[0]));
  dmtcp_workers_free(workers);
}

static void commands(uint32_t port, uint32_t kill_port, dmtcp_dialect dialect) {
  dmtcp_coordinator *c = handle(port, dialect);
  dmtcp_status status = status_of(c);
  CHECK(status.peers == 2 && status.running == 1 && status.interval_s == 0);
  list(c);

  OK(dmtcp_coordinator_set_interval(c, 3600));
  CHECK(status_of(c).interval_s == 3600);
  OK(dmtcp_coordinator_set_interval(c, 0));
  CHECK(status_of(c).interval_s == 0);

  dmtcp_checkpoint_report report = {.size = sizeof report};
  OK(dmtcp_coordinator_checkpoint(c, LONG, &report));
  CHECK(report.peers == 2 && report.lists == 0);
  CHECK(report.evidence == DMTCP_EVIDENCE_COORDINATOR_REPLY);
  CHECK(status_of(c).peers == 2);

  /* The reply may come before the last worker runs again; this one does not wait for that. */
  uint32_t peers = 0;
  dmtcp_result code;
  do {
    code = dmtcp_coordinator_request_checkpoint(c, &peers);
  } while (code == DMTCP_ERR_NOT_RUNNING);
  OK(code);
  CHECK(peers == 2);

  report = (dmtcp_checkpoint_report){.size = sizeof report};
  OK(dmtcp_coordinator_checkpoint_and_kill(c, LONG, &report));
  CHECK(report.peers == 2 && report.evidence == DMTCP_EVIDENCE_COORDINATOR_REPLY);
  status = status_of(c);
  CHECK(status.peers == 0 && status.running == 0);
  dmtcp_workers *workers = NULL;
  OK(dmtcp_coordinator_workers(c, &workers));
  CHECK(dmtcp_workers_count(workers) == 0);
  dmtcp_workers_free(workers);

  report.peers = 77;
  /* Waits for workers until its limit; on a busy machine the last look may be cut short. */
  code = dmtcp_coordinator_checkpoint(c, 100, &report);
  CHECK(code == DMTCP_ERR_NOT_RUNNING || code == DMTCP_ERR_TIMED_OUT);
  CHECK_CODE(DMTCP_ERR_NOT_RUNNING, dmtcp_coordinator_request_checkpoint(c, &peers));
  CHECK(report.peers == 77 && peers == 2);

  char text[16];
  snprintf(text, sizeof text, "%u", (unsigned)kill_port);
  CHECK(setenv("DMTCP_COORD_HOST", "127.0.0.1", 1) == 0);
  CHECK(setenv("DMTCP_COORD_PORT", text, 1) == 0);
  dmtcp_coordinator *other = NULL;
  OK(dmtcp_coordinator_from_env(dialect, &other));
  OK(dmtcp_coordinator_set_timeout(other, LONG));
  CHECK(status_of(other).peers == 1);
  OK(dmtcp_coordinator_kill_workers(other));
  CHECK(status_of(other).peers == 0);
  dmtcp_coordinator_free(other);

  OK(dmtcp_coordinator_quit(c));
  CHECK_CODE(DMTCP_ERR_CONNECT, dmtcp_coordinator_status(c, &status));
  CHECK_CODE(DMTCP_ERR_CONNECT, dmtcp_coordinator_quit(c));
  dmtcp_coordinator_free(c);
}

/* The lists of this coordinator are written down, so that what is seen is always the same. */
static void observed(uint32_t scripted_port) {
  dmtcp_coordinator *c = handle(scripted_port, DMTCP_DIALECT_V3);
  dmtcp_checkpoint_report report = {.size = sizeof report};
  OK(dmtcp_coordinator_checkpoint_and_kill(c, LONG, &report));
  CHECK(report.peers == 1 && report.lists == 3 && report.reserved == 0);
  CHECK(report.evidence == DMTCP_EVIDENCE_OBSERVED);
  dmtcp_coordinator_free(c);
}

static void nobody(uint32_t silent_port, uint32_t dead_port, dmtcp_dialect dialect) {
  dmtcp_coordinator *c = handle(dead_port, dialect);
  dmtcp_status status = {.size = sizeof status, .peers = 77};
  CHECK_CODE(DMTCP_ERR_CONNECT, dmtcp_coordinator_status(c, &status));
  CHECK(strstr(dmtcp_last_error_message(), "127.0.0.1") != NULL);
  CHECK(status.peers == 77);
  dmtcp_coordinator_free(c);

  c = handle(silent_port, dialect);
  OK(dmtcp_coordinator_set_timeout(c, 50));
  CHECK_CODE(DMTCP_ERR_TIMED_OUT, dmtcp_coordinator_status(c, &status));
  CHECK(status.peers == 77);
  dmtcp_coordinator_free(c);
}

static void *fail_and_look(void *dead) {
  CHECK(strcmp(dmtcp_last_error_message(), "") == 0);
  for (int i = 0; i < 20; i++) {
    dmtcp_status status = {.size = sizeof status};
    CHECK_CODE(DMTCP_ERR_CONNECT, dmtcp_coordinator_status(dead, &status));
    CHECK(strstr(dmtcp_last_error_message(), "cannot reach") != NULL);
    OK(dmtcp_coordinator_set_timeout(dead, LONG + (uint64_t)i));
  }
  return NULL;
}

/* One handle, several threads, each with its own message. */
static void threads(uint32_t dead_port, dmtcp_dialect dialect) {
  dmtcp_coordinator *dead = handle(dead_port, dialect);
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_coordinator_status(dead, NULL));
  pthread_t thread[4];
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&thread[i], NULL, fail_and_look, dead) == 0);
  for (int i = 0; i < 4; i++) CHECK(pthread_join(thread[i], NULL) == 0);
  CHECK(strcmp(dmtcp_last_error_message(), "status is NULL") == 0);
  dmtcp_coordinator_free(dead);
}

static void server(dmtcp_dialect dialect) {
  dmtcp_server *s = NULL;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_server_start(NULL));
  OK(dmtcp_server_start(&s));
  dmtcp_computation *first = NULL, *second = NULL;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_server_open(NULL, 0, &first));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_server_open(s, 0, NULL));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_server_open(s, 65536, &first));
  OK(dmtcp_server_open(s, 0, &first));
  uint32_t port = 0;
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_computation_port(NULL, &port));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_computation_port(first, NULL));
  OK(dmtcp_computation_port(first, &port));
  CHECK(port > 0 && port < 65536);
  CHECK_CODE(DMTCP_ERR_LISTEN, dmtcp_server_open(s, port, &second));
  CHECK(second == NULL);
  OK(dmtcp_server_open(s, 0, &second));

  dmtcp_coordinator *c = handle(port, dialect);
  OK(dmtcp_coordinator_set_interval(c, 60));
  CHECK(status_of(c).interval_s == 60);
  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_computation_status(first, &status));
  CHECK(status.peers == 0 && status.running == 0 && status.interval_s == 60);
  OK(dmtcp_computation_status(second, &status));
  CHECK(status.interval_s == 0);
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_computation_status(NULL, &status));
  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_computation_status(first, NULL));

  CHECK_CODE(DMTCP_ERR_NULL, dmtcp_computation_close(NULL, LONG));
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_computation_close(first, 0));
  OK(dmtcp_computation_close(first, LONG));
  OK(dmtcp_computation_close(first, LONG));
  CHECK_CODE(DMTCP_ERR_CLOSED, dmtcp_computation_status(first, &status));
  CHECK_CODE(DMTCP_ERR_CONNECT, dmtcp_coordinator_status(c, &status));
  dmtcp_coordinator_free(c);
  dmtcp_computation_free(first);
  dmtcp_server_free(s);
  CHECK_CODE(DMTCP_ERR_SERVER_GONE, dmtcp_computation_status(second, &status));
  dmtcp_computation_free(second);
}

int main(int argc, char **argv) {
  CHECK(argc == 7);
  /* Nothing below may hang: every call has a limit. */
  alarm(600);
  dmtcp_dialect dialect = atoi(argv[1]);
  uint32_t port[5];
  for (int i = 0; i < 5; i++) port[i] = (uint32_t)atoi(argv[i + 2]);
  names();
  arguments(port[0], dialect);
  nobody(port[2], port[3], dialect);
  threads(port[3], dialect);
  server(dialect);
  observed(port[4]);
  commands(port[0], port[1], dialect);
  return 0;
}
