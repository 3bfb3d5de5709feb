/* A coordinator that outlives this program: helper PROGRAM PORT_FILE; leaves it running and prints its
 * port and pid. */
#include "check.h"

#include <string.h>

int main(int argc, char **argv) {
  CHECK(argc == 3);
  const char *quiet[] = {"-q", NULL};
  dmtcp_helper_settings settings = {
      .size = sizeof settings, .port_file = argv[2], .options = quiet, .interval_s = 7000};
  dmtcp_helper_coordinator *helper = NULL;

  settings.program = "/nowhere/dmtcpctl";
  CHECK_CODE(DMTCP_ERR_TOOLS, dmtcp_helper_coordinator_start(&settings, 60000, &helper));
  CHECK(strstr(dmtcp_last_error_message(), "DMTCPCTL") != NULL);
  settings.program = "true";
  CHECK_CODE(DMTCP_ERR_START, dmtcp_helper_coordinator_start(&settings, 60000, &helper));
  settings.program = argv[1];
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_helper_coordinator_start(&settings, 0, &helper));
  settings.port = 65536;
  CHECK_CODE(DMTCP_ERR_ARGUMENT, dmtcp_helper_coordinator_start(&settings, 60000, &helper));
  settings.port = 0;
  CHECK(helper == NULL);

  OK(dmtcp_helper_coordinator_start(&settings, 60000, &helper));
  uint32_t port = 0;
  int32_t pid = 0, is_running = 0;
  OK(dmtcp_helper_coordinator_port(helper, &port));
  OK(dmtcp_helper_coordinator_pid(helper, &pid));
  OK(dmtcp_helper_coordinator_is_running(helper, &is_running));
  CHECK(is_running == 1);
  dmtcp_coordinator *coordinator = NULL;
  OK(dmtcp_helper_coordinator_coordinator(helper, &coordinator));
  dmtcp_helper_coordinator_free(helper);

  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_coordinator_status(coordinator, &status));
  CHECK(status.peers == 0 && status.interval_s == 7000);
  dmtcp_coordinator_free(coordinator);
  printf("%u %d\n", (unsigned)port, (int)pid);
  return 0;
}
