/*
 * dmtcp_rs.h: ask, checkpoint and end DMTCP computations from C and C++, run jobs that survive a
 * kill, keep checkpoint sets, embed a coordinator, and be a worker.
 *
 * Conventions
 *
 * - A function that can fail returns a dmtcp_result: DMTCP_OK, or a code that says who is at
 *   fault. dmtcp_last_error_message() has the details, for people.
 * - Outputs are the last arguments. They are written only when DMTCP_OK is returned, and looked at
 *   before anything is done: a call with a bad argument has no effect.
 * - Objects are opaque. Whoever gets one frees it, once, with the _free of its type, which accepts
 *   NULL, and does not use it afterwards. Everywhere else NULL is DMTCP_ERR_NULL, but where it is
 *   said to mean something. A text that comes out as char ** is freed with dmtcp_text_free().
 * - Structs begin with `size`, which the caller sets: dmtcp_status status = {.size = sizeof status};
 *   later releases may add fields at the end, and programs built before and after go on working. In
 *   one that the caller fills in, zero and NULL are the default of every field.
 * - Texts are UTF-8, paths are bytes; both end with NUL. Those that come out as const char * belong
 *   to this library: to the object named with the function, or to the thread, or for ever.
 * - Any function may be called on any thread, also on one object at the same time, but where it is
 *   said otherwise; only freeing an object while somebody uses it is not allowed.
 * - Callbacks run on a thread of this library, one call at a time for each subscription. They may
 *   call anything, must return, and must not throw or jump out. A slow one loses the oldest events.
 * - Every call that waits has a limit, in milliseconds; 0 is refused. Looking up a host name is
 *   the system's business and is not limited.
 * - No signal is raised or handled: SIGPIPE may have any disposition. Who starts processes must not
 *   ignore SIGCHLD, nor wait for children that are not his: DMTCP_ERR_PROCESS, or a job that could not
 *   be started.
 * - After fork, a child must not use what its parent got from this library.
 *
 * Generated from the sources of the library: README.md beside this folder says how. Link with
 * -ldmtcp_rs, or as pkg-config dmtcp_rs says.
 */


#ifndef DMTCP_RS_H
#define DMTCP_RS_H

#include <stddef.h>
#include <stdint.h>

// What a run of a job begins with.
enum dmtcp_begin
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // The newest set that verifies and restarts here; a fresh start if there is no set. Where the
  // program had finished with 0, nothing: the outcome is told again.
  DMTCP_BEGIN_GO_ON = 0,
  // A fresh start; with sets to go on from it is refused.
  DMTCP_BEGIN_START = 1,
  // A fresh start, whatever is there.
  DMTCP_BEGIN_FRESH = 2,
  // The newest set; without one it fails.
  DMTCP_BEGIN_RESTART = 3,
};
#ifndef __cplusplus
typedef int32_t dmtcp_begin;
#endif // __cplusplus

// The version of the wire format. It must be the coordinator's own, and there is no question that
// is safe in every dialect: asked in V5, a coordinator of 3.0.0 to 3.2.0 ends, and its computation
// with it. dmtcp_coordinator_detect() finds it out.
enum dmtcp_dialect
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // DMTCP 2.4.0 to 2.5.0.
  DMTCP_DIALECT_V2_4 = 24,
  // DMTCP 2.5.1 and 2.5.2.
  DMTCP_DIALECT_V2_5 = 25,
  // DMTCP 2.6.0.
  DMTCP_DIALECT_V2_6 = 26,
  // DMTCP 3.0.0 to 4.2.0.
  DMTCP_DIALECT_V3 = 3,
  // The development head, which calls itself 5.0.
  DMTCP_DIALECT_V5 = 5,
};
#ifndef __cplusplus
typedef int32_t dmtcp_dialect;
#endif // __cplusplus

// What happened to a computation.
enum dmtcp_event_kind
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Something that this release has no number for; the text says it.
  DMTCP_EVENT_OTHER = 0,
  // A process was accepted.
  DMTCP_EVENT_WORKER_JOINED = 1,
  // A process told its final identity: after its start, a fork or an exec.
  DMTCP_EVENT_WORKER_UPDATED = 2,
  // A process ended or lost its connection.
  DMTCP_EVENT_WORKER_LEFT = 3,
  // The last process left; the computation is over, and another may begin.
  DMTCP_EVENT_COMPUTATION_ENDED = 4,
  // A round has begun.
  DMTCP_EVENT_CHECKPOINT_STARTED = 10,
  // All workers reached a barrier and were released.
  DMTCP_EVENT_BARRIER_RELEASED = 11,
  // Every worker has reported its image.
  DMTCP_EVENT_IMAGES_REPORTED = 12,
  // The images became a set.
  DMTCP_EVENT_SET_SEALED = 13,
  // The round is complete, and sealed if sets are kept.
  DMTCP_EVENT_CHECKPOINT_COMPLETE = 14,
  // The round ended without a complete set.
  DMTCP_EVENT_CHECKPOINT_FAILED = 15,
  // All workers run again after a checkpoint.
  DMTCP_EVENT_RESUMED = 16,
  // Workers hold a round or a restart up.
  DMTCP_EVENT_STALLED = 17,
  // A restart has begun.
  DMTCP_EVENT_RESTART_STARTED = 20,
  // All processes of a restart run.
  DMTCP_EVENT_RESTART_COMPLETE = 21,
  // All workers are told to exit.
  DMTCP_EVENT_KILLING = 30,
  // Somebody asked over the wire to end this coordinator.
  DMTCP_EVENT_QUIT_REQUESTED = 31,
  // A peer was turned away, cut off, or could not be freed; the text says which and why.
  DMTCP_EVENT_PEER_TROUBLE = 40,
  // Earlier events were dropped because the callback was too slow.
  DMTCP_EVENT_LAGGED = 50,
  // The computation is closed: no more events come.
  DMTCP_EVENT_END = 99,
};
#ifndef __cplusplus
typedef int32_t dmtcp_event_kind;
#endif // __cplusplus

// How the end of a checkpoint is known. None says that the images are whole and on disk; this
// library's coordinator, when it seals sets, replies only when they are.
enum dmtcp_evidence
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Something that this release has no number for.
  DMTCP_EVIDENCE_OTHER = 0,
  // The coordinator said that every worker has reported its image.
  DMTCP_EVIDENCE_COORDINATOR_REPLY = 1,
  // It did not say; every worker was seen to come through.
  DMTCP_EVIDENCE_OBSERVED = 2,
};
#ifndef __cplusplus
typedef int32_t dmtcp_evidence;
#endif // __cplusplus

// Who can restart an image.
enum dmtcp_image_kind
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Something that this release has no number for.
  DMTCP_IMAGE_OTHER = 0,
  // dmtcp_restart.
  DMTCP_IMAGE_DMTCP = 1,
  // The program itself, as a native worker.
  DMTCP_IMAGE_NATIVE = 2,
};
#ifndef __cplusplus
typedef int32_t dmtcp_image_kind;
#endif // __cplusplus

// What happened to a job.
enum dmtcp_job_event_kind
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Something that this release has no number for; the text says it.
  DMTCP_JOB_EVENT_OTHER = 0,
  // This process has the job now.
  DMTCP_JOB_EVENT_BEGAN = 1,
  // The program was started afresh.
  DMTCP_JOB_EVENT_STARTED = 2,
  // All processes run again, from a set.
  DMTCP_JOB_EVENT_RESTARTED = 3,
  // All processes that were started run.
  DMTCP_JOB_EVENT_RUNNING = 4,
  // A set was passed over, or a try at a restart failed; others follow.
  DMTCP_JOB_EVENT_PASSED_OVER = 5,
  // What is planned now: when checkpoints are taken, and when it stops.
  DMTCP_JOB_EVENT_PLANNED = 6,
  // A checkpoint began, whoever asked for it.
  DMTCP_JOB_EVENT_CHECKPOINT_STARTED = 10,
  // A checkpoint's set is complete and verified.
  DMTCP_JOB_EVENT_SEALED = 11,
  // A checkpoint ended without a set.
  DMTCP_JOB_EVENT_CHECKPOINT_FAILED = 12,
  // Old sets were removed.
  DMTCP_JOB_EVENT_REMOVED = 13,
  // It is about to stop: one last checkpoint, then the end.
  DMTCP_JOB_EVENT_STOPPING = 20,
  // All processes are killed.
  DMTCP_JOB_EVENT_KILLING = 21,
  // The attempt is over without an outcome; the next one follows.
  DMTCP_JOB_EVENT_AGAIN = 22,
  // Processes hold a checkpoint up.
  DMTCP_JOB_EVENT_STALLED = 23,
  // Something could not be done that the job can go on without.
  DMTCP_JOB_EVENT_TROUBLE = 24,
  // It has an outcome.
  DMTCP_JOB_EVENT_ENDED = 30,
  // Earlier events were dropped because the callback was too slow.
  DMTCP_JOB_EVENT_LAGGED = 50,
  // No more events come.
  DMTCP_JOB_EVENT_END = 99,
};
#ifndef __cplusplus
typedef int32_t dmtcp_job_event_kind;
#endif // __cplusplus

// What came of a run, in the kinds that a scheduler tells apart.
enum dmtcp_outcome_kind
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Something that this release has no number for.
  DMTCP_OUTCOME_OTHER = 0,
  // The program ended by itself.
  DMTCP_OUTCOME_FINISHED = 1,
  // A signal ended the program.
  DMTCP_OUTCOME_KILLED_BY_SIGNAL = 2,
  // A complete, verified set was taken and the program stopped on purpose: run it again.
  DMTCP_OUTCOME_CHECKPOINTED = 3,
  // Not done, and no set is lost: run it again.
  DMTCP_OUTCOME_TRY_AGAIN = 4,
  // It ended before it ran, or could not be started.
  DMTCP_OUTCOME_FAILED_BEFORE_READY = 5,
  // There are sets, and none could be restarted, or restarts lead nowhere.
  DMTCP_OUTCOME_FAILED_TO_RESTORE = 6,
  // The time limit is over. Sets stay.
  DMTCP_OUTCOME_TIMED_OUT = 7,
};
#ifndef __cplusplus
typedef int32_t dmtcp_outcome_kind;
#endif // __cplusplus

// What a function returns: DMTCP_OK, or a code that says who is at fault. Blocks are fixed: 100 to
// 199 the caller, 200 to 299 the environment, 300 to 399 the coordinator, its workers or a job, 400
// to 499 this library. More codes may come; none changes its meaning.
enum dmtcp_result
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Done.
  DMTCP_OK = 0,
  // An argument that must not be NULL is.
  DMTCP_ERR_NULL = 100,
  // An argument has no value that is allowed.
  DMTCP_ERR_ARGUMENT = 101,
  // The `size` of a struct was not set to its sizeof.
  DMTCP_ERR_STRUCT_SIZE = 102,
  // The computation is closed.
  DMTCP_ERR_CLOSED = 103,
  // The server of this computation has been freed.
  DMTCP_ERR_SERVER_GONE = 104,
  // Another process, or another store of this one, owns the directory of the sets.
  DMTCP_ERR_OWNED = 105,
  // No set is good, or there is none.
  DMTCP_ERR_NO_SET = 106,
  // The file is not the archive of a set, or the directory not a set.
  DMTCP_ERR_NOT_A_SET = 107,
  // The state directory is that of another command.
  DMTCP_ERR_OTHER_PROGRAM = 108,
  // A fresh start was asked for, and there are sets to go on from.
  DMTCP_ERR_SETS_THERE = 109,
  // There is no job in the directory.
  DMTCP_ERR_NO_JOB = 110,
  // This process was not started as a native worker.
  DMTCP_ERR_NOT_LAUNCHED = 111,
  // The state does not fit the one in the image.
  DMTCP_ERR_STATE = 112,
  // A restarted worker must be given its state before its first safe point.
  DMTCP_ERR_NOT_RESTORED = 113,
  // The worker has left its computation already.
  DMTCP_ERR_ALREADY_LEFT = 114,
  // Host, port or their environment variables name no address.
  DMTCP_ERR_ADDRESS = 200,
  // Nobody listens there, or the host cannot be reached.
  DMTCP_ERR_CONNECT = 201,
  // The connection broke.
  DMTCP_ERR_IO = 202,
  // The address to listen on cannot be had.
  DMTCP_ERR_LISTEN = 203,
  // No thread, or no file descriptor.
  DMTCP_ERR_START = 204,
  // A file or directory cannot be used.
  DMTCP_ERR_FILE = 205,
  // A process cannot be started, waited for, signalled or looked up.
  DMTCP_ERR_PROCESS = 206,
  // There is no usable DMTCP here.
  DMTCP_ERR_TOOLS = 207,
  // A set, an archive or a file of a job is not as it was written.
  DMTCP_ERR_DAMAGED = 208,
  // A later release has written it, or another kind of host must restore it.
  DMTCP_ERR_INCOMPATIBLE = 209,
  // The coordinator is a process of another user.
  DMTCP_ERR_OTHER_USER = 210,
  // No answer in time, or not over in time; what was begun goes on.
  DMTCP_ERR_TIMED_OUT = 300,
  // The connection ended without an answer: wrong dialect?
  DMTCP_ERR_NO_REPLY = 301,
  // The answer is one of another dialect.
  DMTCP_ERR_WRONG_DIALECT = 302,
  // What came back is no answer.
  DMTCP_ERR_BAD_REPLY = 303,
  // No workers, or not all of them running.
  DMTCP_ERR_NOT_RUNNING = 304,
  // Another checkpoint is under way.
  DMTCP_ERR_BUSY = 305,
  // Refused for another reason.
  DMTCP_ERR_REFUSED = 306,
  // It cannot be found out safely what the coordinator speaks; name its dialect.
  DMTCP_ERR_UNKNOWN_DIALECT = 307,
  // It has no such command, or is of a release that is too old.
  DMTCP_ERR_NOT_SUPPORTED = 308,
  // The end of the checkpoint was not seen in time; the round goes on.
  DMTCP_ERR_CHECKPOINT_TIMED_OUT = 310,
  // The checkpoint was begun and is not complete.
  DMTCP_ERR_CHECKPOINT_FAILED = 311,
  // A worker vanished in the middle; others may be stuck.
  DMTCP_ERR_WORKER_LOST = 312,
  // All workers vanished before the checkpoint was complete.
  DMTCP_ERR_COMPUTATION_ENDED = 313,
  // The workers exited; their images may not be whole.
  DMTCP_ERR_UNCONFIRMED = 314,
  // Refused, but the next checkpoint kills the workers.
  DMTCP_ERR_REFUSED_BUT_ARMED = 315,
  // The round is over, and its images did not become a set.
  DMTCP_ERR_NOT_SEALED = 316,
  // It said yes to the interval and did not take it.
  DMTCP_ERR_INTERVAL_IGNORED = 320,
  // Workers that should have exited are still there.
  DMTCP_ERR_WORKERS_REMAIN = 321,
  // It still listens after it was told to quit.
  DMTCP_ERR_STILL_LISTENING = 322,
  // This worker was refused by its coordinator.
  DMTCP_ERR_REJECTED = 330,
  // This worker was told to exit.
  DMTCP_ERR_WORKER_KILLED = 331,
  // This worker's image is written, and it was told to exit behind it.
  DMTCP_ERR_WORKER_CHECKPOINTED = 332,
  // This worker lost its coordinator, or broke with it.
  DMTCP_ERR_COORDINATOR_LOST = 333,
  // The job has ended, or does not run.
  DMTCP_ERR_JOB_ENDED = 340,
  // The process that ran the job ended without a word.
  DMTCP_ERR_JOB_LOST = 341,
  // The job runs on another host, or in the original of this copied directory.
  DMTCP_ERR_JOB_ELSEWHERE = 342,
  // A defect of this library.
  DMTCP_ERR_INTERNAL = 400,
  // A failure without a code of its own; see the message.
  DMTCP_ERR_UNCLASSIFIED = 401,
};
#ifndef __cplusplus
typedef int32_t dmtcp_result;
#endif // __cplusplus

// What a worker says it is doing.
enum dmtcp_worker_state
#ifdef __cplusplus
  : int32_t
#endif // __cplusplus
 {
  // Before its program runs.
  DMTCP_WORKER_UNKNOWN = 0,
  // The program runs.
  DMTCP_WORKER_RUNNING = 1,
  // Told to checkpoint; its threads still run.
  DMTCP_WORKER_PRESUSPEND = 2,
  // Its threads are stopped.
  DMTCP_WORKER_SUSPENDED = 3,
  // Preparing or writing its image.
  DMTCP_WORKER_CHECKPOINTING = 4,
  // Its image is written.
  DMTCP_WORKER_CHECKPOINTED = 5,
  // Being restored from an image.
  DMTCP_WORKER_RESTARTING = 6,
  // A number without a word: see state_name.
  DMTCP_WORKER_OTHER = 99,
};
#ifndef __cplusplus
typedef int32_t dmtcp_worker_state;
#endif // __cplusplus

// Bytes that belong to the caller.
typedef struct dmtcp_bytes dmtcp_bytes;

// A child process that leads a process group of its own. Freeing it kills the whole group.
typedef struct dmtcp_child dmtcp_child;

// A computation of a server. It lives until it is closed, told to quit, or its server is freed,
// whatever becomes of this handle.
typedef struct dmtcp_computation dmtcp_computation;

// A handle to a coordinator in any process; any number of threads may use one.
typedef struct dmtcp_coordinator dmtcp_coordinator;

// Complete, checked and durable sets of the computation under any coordinator, stock ones included.
// It owns the directory of the sets while it lives.
typedef struct dmtcp_foreign_sets dmtcp_foreign_sets;

// A coordinator in a process of its own, which goes on when this one ends. It ends by
// dmtcp_coordinator_quit(), or after eight hours without processes.
typedef struct dmtcp_helper_coordinator dmtcp_helper_coordinator;

// A job that runs on a thread of its own: it starts or goes on, takes checkpoints, stops in time,
// and has an outcome.
typedef struct dmtcp_job dmtcp_job;

// The key-value store of a computation, as it was when it was asked for.
typedef struct dmtcp_key_values dmtcp_key_values;

// This program as a worker: it joins a computation, is checkpointed at points of its own choosing,
// and gets its state back when it is restarted. It needs no DMTCP. An image holds the state that is
// handed in and how the program was started, and nothing else: files, sockets, threads and the
// environment are the program's business. Only one thread uses it at a time.
typedef struct dmtcp_native_worker dmtcp_native_worker;

// How a run of a job ended.
typedef struct dmtcp_outcome dmtcp_outcome;

// A coordinator in this process: one thread, any number of computations. It does not survive fork:
// a child must not use what its parent started.
typedef struct dmtcp_server dmtcp_server;

// A checkpoint set: the images of one round, sealed. It reads files and holds none open.
typedef struct dmtcp_set dmtcp_set;

// The sets in one directory, and the right to change them: one store at a time, in whatever
// process. A job that runs has it, and an embedded coordinator that keeps sets.
typedef struct dmtcp_set_store dmtcp_set_store;

// A list of sets, newest first, as it was when it was asked for.
typedef struct dmtcp_sets dmtcp_sets;

// A callback that is called until this is freed.
typedef struct dmtcp_subscription dmtcp_subscription;

// One DMTCP installation.
typedef struct dmtcp_tools dmtcp_tools;

// A list of workers, as it was when it was asked for.
typedef struct dmtcp_workers dmtcp_workers;

// State of a computation.
typedef struct dmtcp_status {
  // In: sizeof(dmtcp_status).
  size_t size;
  // Connected workers.
  uint32_t peers;
  // 1: there are workers and all of them run; else 0.
  int32_t running;
  // Seconds between periodic checkpoints; 0: only when asked; -1: not told.
  int32_t interval_s;
  // 0.
  uint32_t reserved;
} dmtcp_status;

// A checkpoint of any coordinator's that is over.
typedef struct dmtcp_checkpoint_report {
  // In: sizeof(dmtcp_checkpoint_report).
  size_t size;
  // Workers that took part.
  uint32_t peers;
  // How the end is known.
  dmtcp_evidence evidence;
  // How many lists of workers that rests on, if observed; else 0.
  uint32_t lists;
  // 0.
  uint32_t reserved;
} dmtcp_checkpoint_report;

// One worker. The texts belong to the list and live as long as it.
typedef struct dmtcp_worker {
  // In: sizeof(dmtcp_worker).
  size_t size;
  // In the coordinator's list; never used twice by one coordinator.
  uint64_t number;
  // Identity, as HOST-PID-TIME; host and time are hexadecimal.
  const char *id;
  // Host name as the worker gave it.
  const char *host;
  // Program name as the worker gave it.
  const char *program;
  // Last barrier in this checkpoint or restart; NULL: none.
  const char *barrier;
  // What it is doing, in DMTCP's word, such as "RUNNING".
  const char *state_name;
  // The same as a number.
  dmtcp_worker_state state;
  // Pid that the program itself sees.
  int32_t virtual_pid;
  // Pid on its host; -1: unknown.
  int32_t real_pid;
  // 0.
  uint32_t reserved;
} dmtcp_worker;

// What a set says of itself. The texts belong to the set and live as long as it.
typedef struct dmtcp_set_info {
  // In: sizeof(dmtcp_set_info).
  size_t size;
  // Its number; a later set of the same directory has a higher one.
  uint64_t number;
  // Bytes of all images and the files saved with them.
  uint64_t total_bytes;
  // When it was sealed, in milliseconds since 1970.
  uint64_t sealed_unix_ms;
  // The coordinator's number of the round.
  uint64_t round;
  // The set that the computation was restarted from; 0: none.
  uint64_t parent;
  // Its directory.
  const char *dir;
  // The DMTCP release that wrote the images; NULL: not known, or none did.
  const char *dmtcp;
  // How many images there are.
  uint32_t images;
  // Generation of the computation.
  uint32_t generation;
} dmtcp_set_info;

// An image of a set. The texts belong to the set and live as long as it.
typedef struct dmtcp_image {
  // In: sizeof(dmtcp_image).
  size_t size;
  // Bytes of the file.
  uint64_t bytes;
  // The file.
  const char *path;
  // Where the process ran.
  const char *host;
  // What it ran.
  const char *program;
  // Who can restart it.
  dmtcp_image_kind kind;
  // CRC-32 of the file.
  uint32_t crc32;
  // The pid that the process sees.
  int32_t virtual_pid;
  // The pid that others saw when the image was written.
  int32_t real_pid;
} dmtcp_image;

// Which sets are kept. The keep_ rules add up: a set stays if one of them keeps it, and every set
// stays if there is none. Whatever they say, the newest good set stays, everything newer, and sets
// that are in use.
typedef struct dmtcp_retention {
  // sizeof(dmtcp_retention).
  size_t size;
  // The newest so many whole sets; 0: no such rule.
  uint64_t keep_last;
  // Those whose number is a multiple of this; 0: no such rule.
  uint64_t keep_every;
  // Those that were sealed less than so many seconds ago; 0: no such rule.
  uint64_t keep_younger_s;
  // The oldest go until those that stay have no more bytes than this; 0: no limit.
  uint64_t max_bytes;
} dmtcp_retention;

// What is decided of a computation when it is opened. Zeros are the defaults.
typedef struct dmtcp_computation_options {
  // sizeof(dmtcp_computation_options).
  size_t size;
  // The state directory in which its checkpoints become sets. The directory of the sets is owned
  // until the computation is closed. NULL: none, and a checkpoint is complete once every worker
  // has reported its image.
  const char *sets;
  // How long sealing a set may take. 0: ten minutes.
  uint64_t seal_limit_ms;
  // Where to listen on 127.0.0.1. 0: a free port.
  uint32_t port;
  // Seconds between periodic checkpoints. 0: only when asked.
  uint32_t interval_s;
} dmtcp_computation_options;

// A checkpoint of an embedded coordinator that is complete, and sealed if sets are kept.
typedef struct dmtcp_sealed {
  // In: sizeof(dmtcp_sealed).
  size_t size;
  // Number of the round; rises by one with each.
  uint64_t round;
  // Number of the set; 0: none is kept.
  uint64_t set;
  // Bytes of the set.
  uint64_t set_bytes;
  // How long sealing took, in milliseconds.
  uint64_t sealing_ms;
  // Generation of the computation.
  uint32_t generation;
  // Images of the round, one for each worker.
  uint32_t images;
} dmtcp_sealed;

// Something that happened to a computation. It lives during the call of the callback.
typedef struct dmtcp_event {
  // sizeof(dmtcp_event) as this library knows it.
  size_t size;
  // Rises by one with each event of the computation; where one is missing, it was dropped.
  uint64_t sequence;
  // The time of day then, in milliseconds since 1970.
  uint64_t unix_ms;
  // Number of the round, where it is about one; else 0.
  uint64_t round;
  // Number of the set, of DMTCP_EVENT_SET_SEALED; else 0.
  uint64_t set;
  // For people.
  const char *text;
  // What happened.
  dmtcp_event_kind kind;
  // Workers that it is about, where it tells how many; else 0.
  uint32_t peers;
  // Pid of the worker on its host, where it is about one; else 0.
  int32_t real_pid;
  // Generation of the computation, where it tells it; else 0.
  uint32_t generation;
} dmtcp_event;

// NULL, or a function that may be called on another thread with the context that came with it.
typedef void (*dmtcp_event_callback)(void *context, const struct dmtcp_event *event);

// One entry. The texts belong to the object and live as long as it.
typedef struct dmtcp_key_value {
  // In: sizeof(dmtcp_key_value).
  size_t size;
  // Name of the database.
  const char *database;
  // The key.
  const char *key;
  // The value.
  const char *value;
} dmtcp_key_value;

// What is decided of one before it starts. Zeros are the defaults.
typedef struct dmtcp_helper_settings {
  // sizeof(dmtcp_helper_settings).
  size_t size;
  // The file of dmtcpctl. NULL: what the variable DMTCPCTL names, else dmtcpctl in PATH.
  const char *program;
  // Where the restart script goes. NULL: this process's directory.
  const char *checkpoint_dir;
  // File for the number of the port, removed when it ends. NULL: none.
  const char *port_file;
  // File to which it adds what happens. NULL: none.
  const char *log_file;
  // More options of `dmtcpctl coordinator`; a NULL ends them. NULL: no more.
  const char *const *options;
  // Where to listen on 127.0.0.1. 0: a free port.
  uint32_t port;
  // Seconds between periodic checkpoints. 0: only when asked.
  uint32_t interval_s;
} dmtcp_helper_settings;

// A program that is started under DMTCP, as a worker of a coordinator that runs. Zeros are the
// defaults.
typedef struct dmtcp_launch {
  // sizeof(dmtcp_launch).
  size_t size;
  // The program and its arguments; a NULL ends them. Required.
  const char *const *argv;
  // More of its environment, as "NAME=VALUE"; a NULL ends it. NULL: no more.
  const char *const *env;
  // Host of the coordinator. NULL: 127.0.0.1.
  const char *host;
  // Where it starts. NULL: in this process's directory.
  const char *directory;
  // Where images go; it must exist. NULL: where the program starts.
  const char *checkpoint_dir;
  // For DMTCP's temporary files, best for no other computation. NULL: DMTCP's own.
  const char *tmpdir;
  // File from which it reads. NULL: nothing.
  const char *input;
  // File to which its output is appended. NULL: this process's.
  const char *output;
  // File to which its errors are appended, and DMTCP's. NULL: this process's.
  const char *errors;
  // Port of the coordinator. Required.
  uint32_t port;
  // 1: images are not compressed, which is several times faster and larger.
  int32_t no_gzip;
  // 1: images hold the contents of open files, too.
  int32_t checkpoint_open_files;
  // 0.
  uint32_t reserved;
} dmtcp_launch;

// The processes of one host that are restarted from their images, as workers of a coordinator that
// runs. Zeros are the defaults. A job does all of this, and tries again, and knows when it is done.
typedef struct dmtcp_restart {
  // sizeof(dmtcp_restart).
  size_t size;
  // All images of one computation on this host; a NULL ends them. Required. Not those in a set
  // itself: the processes write their next images over them.
  const char *const *images;
  // Host of the coordinator. NULL: 127.0.0.1.
  const char *host;
  // Where later images go; it must exist. NULL: where they went before.
  const char *checkpoint_dir;
  // For DMTCP's temporary files. NULL: DMTCP's own.
  const char *tmpdir;
  // File from which it reads. NULL: nothing.
  const char *input;
  // File to which its output is appended. NULL: this process's.
  const char *output;
  // File to which its errors are appended, and DMTCP's. NULL: this process's.
  const char *errors;
  // Port of the coordinator. Required.
  uint32_t port;
  // 0.
  uint32_t reserved;
} dmtcp_restart;

// How a process ended.
typedef struct dmtcp_exit {
  // In: sizeof(dmtcp_exit).
  size_t size;
  // Its exit code; -1: a signal ended it.
  int32_t code;
  // The signal that ended it; 0: none.
  int32_t signal;
} dmtcp_exit;

// Something that happened to a job. It lives during the call of the callback.
typedef struct dmtcp_job_event {
  // sizeof(dmtcp_job_event) as this library knows it.
  size_t size;
  // The time of day then, in milliseconds since 1970.
  uint64_t unix_ms;
  // Number of the set, where it is about one; else 0.
  uint64_t set;
  // For people.
  const char *text;
  // What happened.
  dmtcp_job_event_kind kind;
  // Processes that it is about, where it tells how many; else 0.
  uint32_t processes;
} dmtcp_job_event;

// NULL, or a function that may be called on another thread with the context that came with it.
typedef void (*dmtcp_job_event_callback)(void *context, const struct dmtcp_job_event *event);

// One program and its state directory. Zeros are the defaults.
typedef struct dmtcp_job_settings {
  // sizeof(dmtcp_job_settings).
  size_t size;
  // The state directory, which is made if it is not there. Required.
  const char *state_dir;
  // The program and its arguments; a NULL ends them. NULL: the job of this state directory, from
  // its newest set.
  const char *const *argv;
  // More of its environment, as "NAME=VALUE"; a NULL ends it. NULL: no more.
  const char *const *env;
  // Where it starts. NULL: in this process's directory.
  const char *directory;
  // DMTCP's programs; the job keeps what it needs of them. NULL: there are none, which is well for
  // native workers.
  const struct dmtcp_tools *tools;
  // A name that is only written down. NULL: none.
  const char *id;
  // File from which the program reads. NULL: nothing.
  const char *input;
  // Checkpoints and stops once this file appears or changes. NULL: none.
  const char *notice_file;
  // Called for each of its events, on a thread of its own. NULL: nobody.
  dmtcp_job_event_callback on_event;
  // What that is called with.
  void *context;
  // Milliseconds between checkpoints. 0: as far apart as costs the least time; -1: only when asked.
  int64_t interval_ms;
  // When everything is killed, in seconds since 1970: it checkpoints and stops in time before. 0:
  // not known.
  uint64_t ends_at_unix_s;
  // How long a last checkpoint and the end may take. 0: 90 seconds.
  uint64_t grace_ms;
  // How long this run may take; then all is killed, without a checkpoint. 0: no limit.
  uint64_t time_limit_ms;
  // How long a fresh start may take until all processes run. 0: five minutes.
  uint64_t ready_limit_ms;
  // How many of the newest sets are kept. 0: two.
  uint64_t keep_sets;
  // 1: the program is a native worker by itself; 0: it runs under DMTCP.
  int32_t native;
  // What to begin with.
  dmtcp_begin begin;
  // 1: the program's output appears on this process's own streams, too.
  int32_t show_output;
  // 1: it stops behind the first complete set.
  int32_t stop_after_checkpoint;
  // 1: images are not compressed, which is several times faster and larger.
  int32_t no_gzip;
  // How many restarts without a newer set are made in a row. 0: five.
  uint32_t restarts_without_progress;
} dmtcp_job_settings;

// What is known of an outcome. The texts belong to the object and live as long as it.
typedef struct dmtcp_outcome_info {
  // In: sizeof(dmtcp_outcome_info).
  size_t size;
  // The newest set, from which the next run goes on; 0: none.
  uint64_t set;
  // How often it was restarted in this run.
  uint64_t restarts;
  // Sets that were sealed in this run.
  uint64_t sets_sealed;
  // How long the run took, in milliseconds.
  uint64_t took_ms;
  // Its name, such as "checkpointed", as in outcome.json.
  const char *name;
  // Why, more closely, such as "requested".
  const char *reason;
  // For people.
  const char *text;
  // What to do; NULL: nothing.
  const char *hint;
  // Which kind.
  dmtcp_outcome_kind kind;
  // The exit code of a runner, as schedulers know them.
  int32_t code;
  // The exit code of the program itself; -1: it did not end, or a signal ended it.
  int32_t exit_code;
  // The signal that ended the program; 0: none.
  int32_t exit_signal;
} dmtcp_outcome_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The name of a code, such as "DMTCP_ERR_CONNECT"; never NULL. Lives for ever.
const char *dmtcp_result_name(dmtcp_result code);

// What went wrong in the last call on this thread that failed, with its causes; "" if none has.
// Lives until the next call on this thread fails, or the thread ends.
const char *dmtcp_last_error_message(void);

// The release of this library, such as "0.1.0". Lives for ever.
const char *dmtcp_version(void);

// Frees a text that a function gave out as `char **`. Those that belong to an object are freed with
// it, and not here.
void dmtcp_text_free(char *text);

// Where they are, until they are freed; NULL for NULL.
const uint8_t *dmtcp_bytes_data(const struct dmtcp_bytes *bytes);

// How many there are; 0 for NULL.
size_t dmtcp_bytes_length(const struct dmtcp_bytes *bytes);

// Frees them.
void dmtcp_bytes_free(struct dmtcp_bytes *bytes);

// A handle to the coordinator at a host, by name or IPv4 address, and port. Nothing is sent.
dmtcp_result dmtcp_coordinator_new(const char *host, uint32_t port, dmtcp_dialect dialect,
                                   struct dmtcp_coordinator **coordinator);

// The same for DMTCP_COORD_HOST and DMTCP_COORD_PORT, by default 127.0.0.1 and 7779.
dmtcp_result dmtcp_coordinator_from_env(dmtcp_dialect dialect,
                                        struct dmtcp_coordinator **coordinator);

// A handle to the coordinator at a host and port, in the dialect that it speaks. That is found out
// without harm: from its executable, if it runs on this host; else by the one question that 2.5.1
// and everything later survives. limit_ms covers all of it.
dmtcp_result dmtcp_coordinator_detect(const char *host, uint32_t port, uint64_t limit_ms,
                                      struct dmtcp_coordinator **coordinator);

// What is spoken with it.
dmtcp_result dmtcp_coordinator_dialect(const struct dmtcp_coordinator *coordinator,
                                       dmtcp_dialect *dialect);

// The port at which it is asked.
dmtcp_result dmtcp_coordinator_port(const struct dmtcp_coordinator *coordinator, uint32_t *port);

// Frees a handle; the coordinator does not notice.
void dmtcp_coordinator_free(struct dmtcp_coordinator *coordinator);

// Limits each question, from connecting to the answer, in the calls that begin from now on.
// Default: 10,000 ms.
dmtcp_result dmtcp_coordinator_set_timeout(const struct dmtcp_coordinator *coordinator,
                                           uint64_t limit_ms);

// Peers, running or not, interval.
dmtcp_result dmtcp_coordinator_status(const struct dmtcp_coordinator *coordinator,
                                      struct dmtcp_status *status);

// Every worker.
dmtcp_result dmtcp_coordinator_workers(const struct dmtcp_coordinator *coordinator,
                                       struct dmtcp_workers **workers);

// Only asks for a checkpoint: the number of workers that began one. Nothing is known about its
// end. DMTCP_ERR_NOT_RUNNING: no workers, or not all of them running.
dmtcp_result dmtcp_coordinator_request_checkpoint(const struct dmtcp_coordinator *coordinator,
                                                  uint32_t *peers);

// Checkpoints the whole computation and waits for its end; limit_ms covers everything. One that is
// starting, restarting or in another checkpoint is waited for, one without workers for 5 s.
// DMTCP_ERR_CHECKPOINT_TIMED_OUT: the round goes on, nothing can stop it.
dmtcp_result dmtcp_coordinator_checkpoint(const struct dmtcp_coordinator *coordinator,
                                          uint64_t limit_ms,
                                          struct dmtcp_checkpoint_report *report);

// The same; then the workers exit, and that is waited for too. A stock coordinator does not answer
// at the end of it, so the evidence is DMTCP_EVIDENCE_OBSERVED. DMTCP_ERR_UNCONFIRMED: they are
// gone, and their images may or may not be whole: look before using or discarding them.
dmtcp_result dmtcp_coordinator_checkpoint_and_kill(const struct dmtcp_coordinator *coordinator,
                                                   uint64_t limit_ms,
                                                   struct dmtcp_checkpoint_report *report);

// Sets the seconds between periodic checkpoints, and reads them back; 0: only when asked.
// DMTCP_ERR_INTERVAL_IGNORED: 3.1.1 to 4.2.0 say yes and do nothing.
dmtcp_result dmtcp_coordinator_set_interval(const struct dmtcp_coordinator *coordinator,
                                            uint32_t interval_s);

// Where images go unless a worker was told otherwise; free it with dmtcp_text_free(). 2.5.1 to
// 2.6.0 only: others are DMTCP_ERR_NOT_SUPPORTED, and nothing is sent to them.
dmtcp_result dmtcp_coordinator_checkpoint_dir(const struct dmtcp_coordinator *coordinator,
                                              char **dir);

// Sets which components of the workers log, one bit for each. As dmtcp_coordinator_checkpoint_dir,
// 2.5.1 to 2.6.0 only, and workers that were built to log.
dmtcp_result dmtcp_coordinator_set_log_mask(const struct dmtcp_coordinator *coordinator,
                                            uint32_t mask);

// Kills all workers and waits until they are gone. The coordinator stays, unless it was started to
// end with its last worker.
dmtcp_result dmtcp_coordinator_kill_workers(const struct dmtcp_coordinator *coordinator);

// Kills all workers, ends the coordinator, and waits until nobody listens there any more. The
// handle stays and is to be freed.
dmtcp_result dmtcp_coordinator_quit(const struct dmtcp_coordinator *coordinator);

// How many there are; 0 for NULL.
size_t dmtcp_workers_count(const struct dmtcp_workers *workers);

// The worker at an index from 0; its texts belong to the list.
dmtcp_result dmtcp_workers_get(const struct dmtcp_workers *workers, size_t index,
                               struct dmtcp_worker *worker);

// Frees a list and the texts of its workers.
void dmtcp_workers_free(struct dmtcp_workers *workers);

// Sets of the computation under this coordinator, in this state directory, which is made if it is
// not there. Nothing is sent. Images are looked for where the processes and the coordinator name
// directories, and in `image_dirs`, which a NULL ends; NULL: nowhere else. The coordinator's handle
// may be freed meanwhile.
dmtcp_result dmtcp_foreign_sets_new(const struct dmtcp_coordinator *coordinator,
                                    const char *state_dir, const char *const *image_dirs,
                                    struct dmtcp_foreign_sets **sets);

// Checkpoints the whole computation and gives a set of its images. limit_ms covers everything:
// until all workers run, the round, and sealing. DMTCP_ERR_CHECKPOINT_TIMED_OUT: the round goes on,
// if it had begun; dmtcp_foreign_sets_finish() waits on for its set.
dmtcp_result dmtcp_foreign_sets_checkpoint(const struct dmtcp_foreign_sets *sets, uint64_t limit_ms,
                                           struct dmtcp_set **set);

// The same, and the processes exit behind their images.
dmtcp_result dmtcp_foreign_sets_checkpoint_and_kill(const struct dmtcp_foreign_sets *sets,
                                                    uint64_t limit_ms, struct dmtcp_set **set);

// Waits on for the checkpoint that an earlier call gave up on, and gives its set, once.
dmtcp_result dmtcp_foreign_sets_finish(const struct dmtcp_foreign_sets *sets, uint64_t limit_ms,
                                       struct dmtcp_set **set);

// Frees it. A checkpoint that is under way goes on, and gives no set.
void dmtcp_foreign_sets_free(struct dmtcp_foreign_sets *sets);

// The set in this directory, such as DIR/sets/000007. Reads its manifest only, and needs no store.
dmtcp_result dmtcp_set_open(const char *dir, struct dmtcp_set **set);

// What it says of itself.
dmtcp_result dmtcp_set_get(const struct dmtcp_set *set, struct dmtcp_set_info *info);

// The image at an index from 0.
dmtcp_result dmtcp_set_image(const struct dmtcp_set *set, size_t index, struct dmtcp_image *image);

// Reads every file and compares it with its checksum. DMTCP_ERR_DAMAGED: one is missing, cut or
// changed; the message names it.
dmtcp_result dmtcp_set_verify(const struct dmtcp_set *set);

// Writes the set into one file, checked while it is read; the file is there whole or not at all.
// dmtcp_set_store_unpack() makes a set of it again.
dmtcp_result dmtcp_set_pack(const struct dmtcp_set *set, const char *archive);

// Frees the object; the set stays on disk.
void dmtcp_set_free(struct dmtcp_set *set);

// The sets in a state directory, newest first, without owning it: a running job may. Those that are
// being sealed or removed are not in it; a directory without sets has none.
dmtcp_result dmtcp_sets_list(const char *state_dir, struct dmtcp_sets **sets);

// How many there are whose manifest can be read; 0 for NULL.
size_t dmtcp_sets_count(const struct dmtcp_sets *sets);

// The set at an index from 0; free it with dmtcp_set_free().
dmtcp_result dmtcp_sets_get(const struct dmtcp_sets *sets, size_t index, struct dmtcp_set **set);

// What is wrong with the directories that look like sets and cannot be read, one a line; "" if
// there are none. Free it with dmtcp_text_free().
dmtcp_result dmtcp_sets_broken(const struct dmtcp_sets *sets, char **text);

// Frees a list; sets that were taken out of it stay.
void dmtcp_sets_free(struct dmtcp_sets *sets);

// Opens the sets in this state directory, which is made if it is not there. DMTCP_ERR_OWNED:
// somebody else has them.
dmtcp_result dmtcp_set_store_open(const char *state_dir, struct dmtcp_set_store **store);

// All sets, newest first.
dmtcp_result dmtcp_set_store_list(const struct dmtcp_set_store *store, struct dmtcp_sets **sets);

// The newest set whose every byte is as it was sealed. DMTCP_ERR_NO_SET: there is none; the message
// says what is wrong with those that are there.
dmtcp_result dmtcp_set_store_newest_verified(const struct dmtcp_set_store *store,
                                             struct dmtcp_set **set);

// Removes sets by these rules; says how many, and how many bytes they had. It may have to read the
// newest set.
dmtcp_result dmtcp_set_store_prune(const struct dmtcp_set_store *store,
                                   const struct dmtcp_retention *retention, uint64_t *removed,
                                   uint64_t *removed_bytes);

// Makes the newest set of this store out of an archive that dmtcp_set_pack() wrote. Nothing in it
// is taken on trust but what a restart runs: unpack what you would also run.
dmtcp_result dmtcp_set_store_unpack(const struct dmtcp_set_store *store, const char *archive,
                                    struct dmtcp_set **set);

// Removes what a crash in the middle of sealing or removing has left.
dmtcp_result dmtcp_set_store_sweep(const struct dmtcp_set_store *store);

// Gives the right to change the sets up.
void dmtcp_set_store_free(struct dmtcp_set_store *store);

// Starts the thread of a server; it listens nowhere yet.
dmtcp_result dmtcp_server_start(struct dmtcp_server **server);

// Ends all computations of a server, AND WITH THEM THEIR WORKERS, which exit without a checkpoint
// when they lose their coordinator. Jobs that run on it keep it until they have ended.
void dmtcp_server_free(struct dmtcp_server *server);

// One more computation without workers, listening on this port of 127.0.0.1 when this returns; port
// 0: a free one. Start workers with dmtcp_launch_spawn(), or dmtcp_launch --join-coordinator
// --coord-port PORT. Images stay where the workers write them. Whoever reaches the port as this user
// or root can kill, checkpoint and join.
dmtcp_result dmtcp_server_open(const struct dmtcp_server *server, uint32_t port,
                               struct dmtcp_computation **computation);

// The same with these options; NULL: all defaults. With `sets`, checkpoints become complete,
// verified and durable sets, whoever asks for them.
dmtcp_result dmtcp_server_open_with(const struct dmtcp_server *server,
                                    const struct dmtcp_computation_options *options,
                                    struct dmtcp_computation **computation);

// The port on which it listens.
dmtcp_result dmtcp_computation_port(const struct dmtcp_computation *computation, uint32_t *port);

// As dmtcp_coordinator_status(), without a connection.
dmtcp_result dmtcp_computation_status(const struct dmtcp_computation *computation,
                                      struct dmtcp_status *status);

// Every worker, in the order in which they joined; free the list with dmtcp_workers_free().
dmtcp_result dmtcp_computation_workers(const struct dmtcp_computation *computation,
                                       struct dmtcp_workers **workers);

// Waits until all workers run, and are `peers` if that is not 0.
dmtcp_result dmtcp_computation_wait_until_running(const struct dmtcp_computation *computation,
                                                  uint32_t peers, uint64_t limit_ms,
                                                  struct dmtcp_status *status);

// Makes a checkpoint and waits until it is complete, and sealed if sets are kept; the workers then
// go on. DMTCP_ERR_TIMED_OUT: it goes on, and an event tells its outcome.
dmtcp_result dmtcp_computation_checkpoint(const struct dmtcp_computation *computation,
                                          uint64_t limit_ms, struct dmtcp_sealed *sealed);

// The same, and the workers exit behind it instead of going on.
dmtcp_result dmtcp_computation_checkpoint_and_kill(const struct dmtcp_computation *computation,
                                                   uint64_t limit_ms, struct dmtcp_sealed *sealed);

// Starts a checkpoint, and says with how many workers. An event tells its outcome.
dmtcp_result dmtcp_computation_request_checkpoint(const struct dmtcp_computation *computation,
                                                  uint32_t *peers);

// Sets the seconds between periodic checkpoints; 0: only when asked.
dmtcp_result dmtcp_computation_set_interval(const struct dmtcp_computation *computation,
                                            uint32_t interval_s);

// What its workers have put into the key-value store; free it with dmtcp_key_values_free().
dmtcp_result dmtcp_computation_key_values(const struct dmtcp_computation *computation,
                                          struct dmtcp_key_values **key_values);

// Its counters and gauges as Prometheus reads them; free the text with dmtcp_text_free().
dmtcp_result dmtcp_computation_metrics(const struct dmtcp_computation *computation, char **text);

// Its last rounds as a Chrome trace (JSON), to be looked at in Perfetto; free the text with
// dmtcp_text_free().
dmtcp_result dmtcp_computation_timelines(const struct dmtcp_computation *computation, char **text);

// Calls a function for each event from now on, on a thread of its own, in their order; the last is
// DMTCP_EVENT_END. Free the subscription to stop that.
dmtcp_result dmtcp_computation_on_event(const struct dmtcp_computation *computation,
                                        dmtcp_event_callback callback, void *context,
                                        struct dmtcp_subscription **subscription);

// Tells all workers to exit, without a checkpoint, and waits until they are gone.
dmtcp_result dmtcp_computation_kill_workers(const struct dmtcp_computation *computation,
                                            uint64_t limit_ms);

// Tells all workers to exit, and ends the computation when they are gone.
dmtcp_result dmtcp_computation_quit(const struct dmtcp_computation *computation, uint64_t limit_ms);

// Ends a computation AND WITH IT ITS WORKERS, without a checkpoint, and waits until nothing of it
// is left. Closing what is closed is no error.
dmtcp_result dmtcp_computation_close(const struct dmtcp_computation *computation,
                                     uint64_t limit_ms);

// Frees the handle. The computation lives on until it is closed or its server is freed; the server
// may be freed first.
void dmtcp_computation_free(struct dmtcp_computation *computation);

// Ends the calls. When this returns, the callback is not running and will not be called again; from
// within the callback itself, it is not called again after it returns.
void dmtcp_subscription_free(struct dmtcp_subscription *subscription);

// How many entries there are; 0 for NULL.
size_t dmtcp_key_values_count(const struct dmtcp_key_values *key_values);

// The entry at an index from 0, in the order of database and key.
dmtcp_result dmtcp_key_values_get(const struct dmtcp_key_values *key_values, size_t index,
                                  struct dmtcp_key_value *key_value);

// Frees the object and its texts.
void dmtcp_key_values_free(struct dmtcp_key_values *key_values);

// Starts one, and waits until it serves. settings may be NULL: all defaults. On an error nothing
// runs; without dmtcpctl it is DMTCP_ERR_TOOLS, and the message says how to get it.
dmtcp_result dmtcp_helper_coordinator_start(const struct dmtcp_helper_settings *settings,
                                            uint64_t limit_ms,
                                            struct dmtcp_helper_coordinator **helper);

// Its port on 127.0.0.1.
dmtcp_result dmtcp_helper_coordinator_port(const struct dmtcp_helper_coordinator *helper,
                                           uint32_t *port);

// The number of its process.
dmtcp_result dmtcp_helper_coordinator_pid(const struct dmtcp_helper_coordinator *helper,
                                          int32_t *pid);

// Writes 1 if its process runs, else 0.
dmtcp_result dmtcp_helper_coordinator_is_running(const struct dmtcp_helper_coordinator *helper,
                                                 int32_t *is_running);

// A handle to it, which is freed by itself.
dmtcp_result dmtcp_helper_coordinator_coordinator(const struct dmtcp_helper_coordinator *helper,
                                                  struct dmtcp_coordinator **coordinator);

// Frees the object. THE COORDINATOR GOES ON.
void dmtcp_helper_coordinator_free(struct dmtcp_helper_coordinator *helper);

// The programs in this folder and nowhere else; NULL: in the folders of DMTCP_BIN if that is set,
// else of PATH.
dmtcp_result dmtcp_tools_find(const char *dir, struct dmtcp_tools **tools);

// The folder; free the text with dmtcp_text_free().
dmtcp_result dmtcp_tools_dir(const struct dmtcp_tools *tools, char **dir);

// The release, such as "4.2.0", as dmtcp_launch --version tells it; waits at most five seconds, the
// first time. Free the text with dmtcp_text_free().
dmtcp_result dmtcp_tools_version(const struct dmtcp_tools *tools, char **version);

// Frees the object.
void dmtcp_tools_free(struct dmtcp_tools *tools);

// Starts it. That it has joined is for its coordinator to tell. Its exit code and signal are the
// program's own.
dmtcp_result dmtcp_launch_spawn(const struct dmtcp_tools *tools, const struct dmtcp_launch *launch,
                                struct dmtcp_child **child);

// Starts it. That means nothing yet: a restart can hang. It is done when the coordinator has all
// workers running; give it a limit, and kill what is left.
dmtcp_result dmtcp_restart_spawn(const struct dmtcp_tools *tools,
                                 const struct dmtcp_restart *restart, struct dmtcp_child **child);

// Its process number, which is also its group's.
dmtcp_result dmtcp_child_pid(const struct dmtcp_child *child, int32_t *pid);

// Waits until it ends. DMTCP_ERR_TIMED_OUT: it runs on, untouched. A program that its coordinator
// killed, also behind a checkpoint, ends with 0.
dmtcp_result dmtcp_child_wait(const struct dmtcp_child *child, uint64_t limit_ms,
                              struct dmtcp_exit *exit);

// Sends SIGTERM to every member of its group.
dmtcp_result dmtcp_child_terminate(const struct dmtcp_child *child);

// Sends SIGKILL to every member of its group.
dmtcp_result dmtcp_child_kill(const struct dmtcp_child *child);

// Gives it up: it runs on, and the object is freed.
void dmtcp_child_detach(struct dmtcp_child *child);

// Kills its group, and frees the object.
void dmtcp_child_free(struct dmtcp_child *child);

// Starts a job, or goes on with it: whatever is in its state directory says. The server may be freed
// meanwhile; the job keeps what it needs of it.
dmtcp_result dmtcp_job_start(const struct dmtcp_server *server,
                             const struct dmtcp_job_settings *settings, struct dmtcp_job **job);

// Makes a checkpoint and waits until its set is complete; the job then goes on. While it is being
// started or restarted, or another checkpoint is under way, that is waited for.
dmtcp_result dmtcp_job_checkpoint(const struct dmtcp_job *job, uint64_t limit_ms,
                                  struct dmtcp_sealed *sealed);

// Asks for one last checkpoint and the end, within this grace, or the job's own if it is 0; returns
// at once. The first such request counts.
dmtcp_result dmtcp_job_checkpoint_and_stop(const struct dmtcp_job *job, uint64_t grace_ms);

// Asks to kill everything at once, without a checkpoint; returns at once. Sets stay.
dmtcp_result dmtcp_job_kill(const struct dmtcp_job *job);

// Waits for its end. DMTCP_ERR_TIMED_OUT: it goes on. Codes that say why nothing was done:
// DMTCP_ERR_OTHER_PROGRAM, DMTCP_ERR_SETS_THERE, DMTCP_ERR_NO_JOB, DMTCP_ERR_FILE.
dmtcp_result dmtcp_job_wait(const struct dmtcp_job *job, uint64_t limit_ms,
                            struct dmtcp_outcome **outcome);

// How it ended; NULL: it has not.
dmtcp_result dmtcp_job_outcome(const struct dmtcp_job *job, struct dmtcp_outcome **outcome);

// The computation of the attempt that runs now, for everything that it can tell; NULL between
// attempts. Free it with dmtcp_computation_free(); do not close it: that is the job's.
dmtcp_result dmtcp_job_computation(const struct dmtcp_job *job,
                                   struct dmtcp_computation **computation);

// Calls a function for each event from now on, on a thread of its own, in their order; the last is
// DMTCP_JOB_EVENT_END. What comes first is told to the one in the settings only.
dmtcp_result dmtcp_job_on_event(const struct dmtcp_job *job, dmtcp_job_event_callback callback,
                                void *context, struct dmtcp_subscription **subscription);

// Frees the object. If the job still runs, ITS PROCESSES ARE KILLED, without a checkpoint, and that is
// waited for; sets stay. Behind that the callback of the settings is not called again.
void dmtcp_job_free(struct dmtcp_job *job);

// A handle to the coordinator of the job in this directory, whatever process of this host runs it,
// once it is certain that it is that. limit_ms is for each question, also those that are asked of the
// handle later. DMTCP_ERR_JOB_ENDED: it does not run.
dmtcp_result dmtcp_job_contact(const char *state_dir, uint64_t limit_ms,
                               struct dmtcp_coordinator **coordinator);

// Waits until the job in this directory has ended, on whatever host it runs, and says how.
dmtcp_result dmtcp_job_wait_for_outcome(const char *state_dir, uint64_t limit_ms,
                                        struct dmtcp_outcome **outcome);

// Makes a last checkpoint of the job in this directory, within this grace, and ends it; where that
// does not succeed in time it is killed, its older sets stay, and the code says why. 0: it is killed
// at once. Returns when its run has ended. NULL: the process that ran it ended without a word, or it
// has never run.
dmtcp_result dmtcp_job_stop(const char *state_dir, uint64_t grace_ms,
                            struct dmtcp_outcome **outcome);

// What is known of it.
dmtcp_result dmtcp_outcome_get(const struct dmtcp_outcome *outcome,
                               struct dmtcp_outcome_info *info);

// Frees the object and its texts.
void dmtcp_outcome_free(struct dmtcp_outcome *outcome);

// Joins the computation that the environment names: a job with `native` sets it, and so does
// dmtcpctl run --native. DMTCP_ERR_NOT_LAUNCHED: nobody launched this program as a worker.
dmtcp_result dmtcp_native_worker_join(struct dmtcp_native_worker **worker);

// Makes memory part of the state: a safe point saves its bytes under this name, and
// dmtcp_native_worker_restore() fills it. It must stay where it is until it is given up, registered
// again elsewhere, or the worker is freed. Names are UTF-8.
dmtcp_result dmtcp_native_worker_register(const struct dmtcp_native_worker *worker,
                                          const char *name, void *data, size_t length);

// Gives registered memory up, before it goes away.
dmtcp_result dmtcp_native_worker_unregister(const struct dmtcp_native_worker *worker,
                                            const char *name);

// Fills all registered memory from the image and waits until the other processes are there;
// `restored` is 1. After a fresh start nothing is done, and it is 0. DMTCP_ERR_STATE: other memory is
// registered than was; none is filled, and this worker has left.
dmtcp_result dmtcp_native_worker_restore(const struct dmtcp_native_worker *worker,
                                         int32_t *restored);

// Takes part in a checkpoint if one is asked for, and costs next to nothing otherwise; `checkpointed`
// is 1 when there was one: all workers have written their images, and this one's is on disk. The
// state is what is in the registered memory now.
//
// Between safe points the worker answers nothing and holds every checkpoint up. After any failure it
// has left its computation; DMTCP_ERR_WORKER_KILLED and DMTCP_ERR_WORKER_CHECKPOINTED are how it is
// told to end. See dmtcp_native_worker_exit_code().
dmtcp_result dmtcp_native_worker_safe_point(const struct dmtcp_native_worker *worker,
                                            int32_t *checkpointed);

// The state from the image of a program that uses dmtcp_native_worker_safe_point_bytes(); NULL after
// a fresh start. Free it with dmtcp_bytes_free(). Otherwise as dmtcp_native_worker_restore().
dmtcp_result dmtcp_native_worker_restore_bytes(const struct dmtcp_native_worker *worker,
                                               struct dmtcp_bytes **bytes);

// As dmtcp_native_worker_safe_point(), with these bytes as the state and not what is registered.
dmtcp_result dmtcp_native_worker_safe_point_bytes(const struct dmtcp_native_worker *worker,
                                                  void *data, size_t length, int32_t *checkpointed);

// 1 if the next safe point has something to do: a checkpoint, or news of the end; 0 otherwise, for
// NULL, and once it has left. For programs to whom it costs something to get their state together.
int32_t dmtcp_native_worker_is_asked(const struct dmtcp_native_worker *worker);

// Where this worker's images go; free the text with dmtcp_text_free().
dmtcp_result dmtcp_native_worker_image_path(const struct dmtcp_native_worker *worker, char **path);

// Leaves the computation because the program is done. DMTCP_ERR_NOT_RESTORED: it never asked for the
// state that it was restarted with. The object is still to be freed.
dmtcp_result dmtcp_native_worker_finish(const struct dmtcp_native_worker *worker);

// The exit code with which a worker of DMTCP would end on a failure of a safe point: 0 when it was
// told to exit, 99 otherwise.
int32_t dmtcp_native_worker_exit_code(dmtcp_result code);

// Leaves the computation, if it has not, and frees the object.
void dmtcp_native_worker_free(struct dmtcp_native_worker *worker);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DMTCP_RS_H */
