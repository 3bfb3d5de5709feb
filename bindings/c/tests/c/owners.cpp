// dmtcp_rs.hpp: owners DIR WORKER
//
// WORKER is examples/native_worker.c.
#include <dmtcp_rs.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                            \
    }                                                                          \
  } while (0)

static const uint64_t LONG = 120000;

static void on_event(void *context, const dmtcp_job_event *event) {
  if (event->kind == DMTCP_JOB_EVENT_SEALED) ++*static_cast<std::atomic<int> *>(context);
}

static void errors() {
  bool thrown = false;
  try {
    dmtcp::make<dmtcp::set>(dmtcp_set_open, "/nonexistent/000001");
  } catch (const dmtcp::error &error) {
    thrown = true;
    CHECK(error.code() == DMTCP_ERR_NOT_A_SET);
    CHECK(std::string(error.name()) == "DMTCP_ERR_NOT_A_SET");
    CHECK(std::string(error.what()).find("/nonexistent") != std::string::npos);
  }
  CHECK(thrown);
}

static void embed() {
  auto server = dmtcp::make<dmtcp::server>(dmtcp_server_start);
  auto computation = dmtcp::make<dmtcp::computation>(dmtcp_server_open, server.get(), 0u);
  auto port = dmtcp::get<uint32_t>(dmtcp_computation_port, computation.get());
  CHECK(port > 0);
  auto coordinator = dmtcp::make<dmtcp::coordinator>(dmtcp_coordinator_new, "127.0.0.1", port,
                                                     DMTCP_DIALECT_V5);
  dmtcp::check(dmtcp_coordinator_set_interval(coordinator.get(), 60));
  auto status = dmtcp::get<dmtcp_status>(dmtcp_computation_status, computation.get());
  CHECK(status.size == sizeof status && status.interval_s == 60);
  auto metrics = dmtcp::make<dmtcp::text>(dmtcp_computation_metrics, computation.get());
  CHECK(std::string(metrics.get()).find("dmtcp_") != std::string::npos);
  // It can be moved, and what is moved from is empty.
  dmtcp::server other = std::move(server);
  CHECK(!server && other);
}

static void run(const std::string &dir, const char *worker) {
  const std::string state = dir + "/state";
  const char *const argv[] = {worker, "1000000000", "1", nullptr};
  std::atomic<int> sealed(0);
  auto settings = dmtcp::sized<dmtcp_job_settings>();
  settings.state_dir = state.c_str();
  settings.argv = argv;
  settings.native = 1;
  settings.interval_ms = -1;
  settings.on_event = on_event;
  settings.context = &sealed;
  auto server = dmtcp::make<dmtcp::server>(dmtcp_server_start);
  auto job = dmtcp::make<dmtcp::job>(dmtcp_job_start, server.get(), &settings);
  auto set = dmtcp::get<dmtcp_sealed>(dmtcp_job_checkpoint, job.get(), LONG);
  CHECK(set.set == 1);
  dmtcp::check(dmtcp_job_checkpoint_and_stop(job.get(), LONG));
  auto outcome = dmtcp::make<dmtcp::outcome>(dmtcp_job_wait, job.get(), LONG);
  auto info = dmtcp::get<dmtcp_outcome_info>(dmtcp_outcome_get, outcome.get());
  CHECK(info.kind == DMTCP_OUTCOME_CHECKPOINTED && info.set == 2);
  auto store = dmtcp::make<dmtcp::set_store>(dmtcp_set_store_open, state.c_str());
  auto newest = dmtcp::make<dmtcp::set>(dmtcp_set_store_newest_verified, store.get());
  CHECK(dmtcp::get<dmtcp_set_info>(dmtcp_set_get, newest.get()).number == 2);
  job.reset();
  CHECK(sealed == 2);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  errors();
  embed();
  run(argv[1], argv[2]);
  return 0;
}
