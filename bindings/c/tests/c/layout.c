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
  STRUCT(dmtcp_event);
  FIELD(dmtcp_event, size);
  FIELD(dmtcp_event, sequence);
  FIELD(dmtcp_event, unix_ms);
  FIELD(dmtcp_event, round);
  FIELD(dmtcp_event, set);
  FIELD(dmtcp_event, text);
  FIELD(dmtcp_event, kind);
  FIELD(dmtcp_event, peers);
  FIELD(dmtcp_event, real_pid);
  FIELD(dmtcp_event, generation);
  STRUCT(dmtcp_job_settings);
  FIELD(dmtcp_job_settings, size);
  FIELD(dmtcp_job_settings, state_dir);
  FIELD(dmtcp_job_settings, argv);
  FIELD(dmtcp_job_settings, env);
  FIELD(dmtcp_job_settings, directory);
  FIELD(dmtcp_job_settings, tools);
  FIELD(dmtcp_job_settings, id);
  FIELD(dmtcp_job_settings, input);
  FIELD(dmtcp_job_settings, notice_file);
  FIELD(dmtcp_job_settings, on_event);
  FIELD(dmtcp_job_settings, context);
  FIELD(dmtcp_job_settings, interval_ms);
  FIELD(dmtcp_job_settings, ends_at_unix_s);
  FIELD(dmtcp_job_settings, grace_ms);
  FIELD(dmtcp_job_settings, time_limit_ms);
  FIELD(dmtcp_job_settings, ready_limit_ms);
  FIELD(dmtcp_job_settings, keep_sets);
  FIELD(dmtcp_job_settings, native);
  FIELD(dmtcp_job_settings, begin);
  FIELD(dmtcp_job_settings, show_output);
  FIELD(dmtcp_job_settings, stop_after_checkpoint);
  FIELD(dmtcp_job_settings, no_gzip);
  FIELD(dmtcp_job_settings, restarts_without_progress);
  STRUCT(dmtcp_outcome_info);
  FIELD(dmtcp_outcome_info, size);
  FIELD(dmtcp_outcome_info, set);
  FIELD(dmtcp_outcome_info, restarts);
  FIELD(dmtcp_outcome_info, sets_sealed);
  FIELD(dmtcp_outcome_info, took_ms);
  FIELD(dmtcp_outcome_info, name);
  FIELD(dmtcp_outcome_info, reason);
  FIELD(dmtcp_outcome_info, text);
  FIELD(dmtcp_outcome_info, hint);
  FIELD(dmtcp_outcome_info, kind);
  FIELD(dmtcp_outcome_info, code);
  FIELD(dmtcp_outcome_info, exit_code);
  FIELD(dmtcp_outcome_info, exit_signal);
  STRUCT(dmtcp_set_info);
  FIELD(dmtcp_set_info, size);
  FIELD(dmtcp_set_info, number);
  FIELD(dmtcp_set_info, total_bytes);
  FIELD(dmtcp_set_info, sealed_unix_ms);
  FIELD(dmtcp_set_info, round);
  FIELD(dmtcp_set_info, parent);
  FIELD(dmtcp_set_info, dir);
  FIELD(dmtcp_set_info, dmtcp);
  FIELD(dmtcp_set_info, images);
  FIELD(dmtcp_set_info, generation);
  return 0;
}
