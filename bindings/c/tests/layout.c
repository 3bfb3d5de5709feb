/* Prints the structs as the C compiler lays them out: STRUCT FIELD OFFSET SIZE. */
#include <dmtcp_rs.h>
#include <stdio.h>

#define STRUCT(type) printf(#type " - 0 %zu\n", sizeof(type))
#define FIELD(type, field) \
  printf(#type " " #field " %zu %zu\n", offsetof(type, field), sizeof(((type *)0)->field))

int main(void) {
  STRUCT(dmtcp_status);
  FIELD(dmtcp_status, size);
  FIELD(dmtcp_status, peers);
  FIELD(dmtcp_status, running);
  FIELD(dmtcp_status, interval_s);
  FIELD(dmtcp_status, reserved);
  STRUCT(dmtcp_checkpoint_report);
  FIELD(dmtcp_checkpoint_report, size);
  FIELD(dmtcp_checkpoint_report, peers);
  FIELD(dmtcp_checkpoint_report, evidence);
  FIELD(dmtcp_checkpoint_report, lists);
  FIELD(dmtcp_checkpoint_report, reserved);
  STRUCT(dmtcp_worker);
  FIELD(dmtcp_worker, size);
  FIELD(dmtcp_worker, number);
  FIELD(dmtcp_worker, id);
  FIELD(dmtcp_worker, host);
  FIELD(dmtcp_worker, program);
  FIELD(dmtcp_worker, barrier);
  FIELD(dmtcp_worker, state_name);
  FIELD(dmtcp_worker, state);
  FIELD(dmtcp_worker, virtual_pid);
  FIELD(dmtcp_worker, real_pid);
  FIELD(dmtcp_worker, reserved);
  return 0;
}
