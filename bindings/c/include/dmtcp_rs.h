/*
 * dmtcp_rs.h: ask, checkpoint and end DMTCP computations from C and C++, and embed a coordinator.
 *
 * Conventions
 *
 * - A function that can fail returns a dmtcp_result: DMTCP_OK, or a code that says who is at
 *   fault. dmtcp_last_error_message() has the details, for people.
 * - Outputs are the last arguments. They are written only when DMTCP_OK is returned, and looked at
 *   before anything is done: a call with a bad argument has no effect.
 * - Objects are opaque. Whoever gets one frees it, once, with the _free of its type, which accepts
 *   NULL, and does not use it afterwards. Everywhere else NULL is DMTCP_ERR_NULL.
 * - Structs begin with `size`, which the caller sets: dmtcp_status status = {.size = sizeof status};
 *   later releases may add fields at the end, and programs built before and after go on working.
 * - Texts are UTF-8 and end with NUL. Those that come out belong to this library: to the object
 *   named with the function, or to the thread, or for ever.
 * - Any function may be called on any thread, also on one object at the same time; only freeing
 *   an object while somebody uses it is not allowed.
 * - Every call that waits has a limit, in milliseconds; 0 is refused. Looking up a host name is
 *   the system's business and is not limited.
 * - No signal is raised or handled: SIGPIPE may have any disposition.
 *
 * Link with -ldmtcp_rs; README.md beside this folder has the whole line.
 */
#ifndef DMTCP_RS_H
#define DMTCP_RS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Results ---------------------------------------------------------------------------- */

typedef int32_t dmtcp_result;

/* Blocks are fixed: 100 to 199 the caller, 200 to 299 the environment, 300 to 399 the coordinator
 * or its workers, 400 to 499 this library. More codes may come; none changes its meaning. */
enum {
  DMTCP_OK = 0,

  DMTCP_ERR_NULL = 100,        /* an argument that must not be NULL is */
  DMTCP_ERR_ARGUMENT = 101,    /* an argument has no value that is allowed */
  DMTCP_ERR_STRUCT_SIZE = 102, /* the `size` of a struct was not set to its sizeof */
  DMTCP_ERR_CLOSED = 103,      /* the computation is closed */
  DMTCP_ERR_SERVER_GONE = 104, /* the server of this computation has been freed */

  DMTCP_ERR_ADDRESS = 200, /* host, port or their environment variables name no address */
  DMTCP_ERR_CONNECT = 201, /* nobody listens there, or the host cannot be reached */
  DMTCP_ERR_IO = 202,      /* the connection broke */
  DMTCP_ERR_LISTEN = 203,  /* the address to listen on cannot be had */
  DMTCP_ERR_START = 204,   /* no thread, or no file descriptor */

  DMTCP_ERR_TIMED_OUT = 300,     /* no answer in time */
  DMTCP_ERR_NO_REPLY = 301,      /* the connection ended without an answer: wrong dialect? */
  DMTCP_ERR_WRONG_DIALECT = 302, /* the answer is one of another dialect */
  DMTCP_ERR_BAD_REPLY = 303,     /* what came back is no answer */
  DMTCP_ERR_NOT_RUNNING = 304,   /* no workers, or not all of them running */
  DMTCP_ERR_BUSY = 305,          /* another checkpoint is under way */
  DMTCP_ERR_REFUSED = 306,       /* refused for another reason */

  DMTCP_ERR_CHECKPOINT_TIMED_OUT = 310, /* its end was not seen in time; the round goes on */
  DMTCP_ERR_CHECKPOINT_FAILED = 311,    /* begun and not complete */
  DMTCP_ERR_WORKER_LOST = 312,          /* a worker vanished in the middle; others may be stuck */
  DMTCP_ERR_COMPUTATION_ENDED = 313,    /* all workers vanished before it was complete */
  DMTCP_ERR_UNCONFIRMED = 314,          /* the workers exited; their images may not be whole */
  DMTCP_ERR_REFUSED_BUT_ARMED = 315,    /* refused, but the next checkpoint kills the workers */

  DMTCP_ERR_INTERVAL_IGNORED = 320, /* said yes to the interval and did not take it */
  DMTCP_ERR_WORKERS_REMAIN = 321,   /* workers that should have exited are still there */
  DMTCP_ERR_STILL_LISTENING = 322,  /* still listens after it was told to quit */

  DMTCP_ERR_INTERNAL = 400,    /* a defect of this library */
  DMTCP_ERR_UNCLASSIFIED = 401 /* a failure without a code of its own; see the message */
};

/* The name of a code, such as "DMTCP_ERR_CONNECT"; never NULL. Lives for ever. */
const char *dmtcp_result_name(dmtcp_result code);

/* What went wrong in the last call on this thread that failed, with its causes; "" if none has.
 * Lives until the next call on this thread fails, or the thread ends. */
const char *dmtcp_last_error_message(void);

/* The release of this library, such as "0.1.0". Lives for ever. */
const char *dmtcp_version(void);

/* ---- What calls fill in ------------------------------------------------------------------ */

typedef struct dmtcp_status {
  size_t size;        /* in: sizeof(dmtcp_status) */
  uint32_t peers;     /* connected workers */
  int32_t running;    /* 1: there are workers and all of them run; else 0 */
  int32_t interval_s; /* seconds between periodic checkpoints; 0: only when asked; -1: not told */
  uint32_t reserved;  /* 0 */
} dmtcp_status;

/* How the end of a checkpoint is known. None says that the images are whole and on disk; this
 * library's coordinator, when it seals sets, replies only when they are. */
typedef int32_t dmtcp_evidence;
enum {
  DMTCP_EVIDENCE_OTHER = 0,             /* something that this release has no number for */
  DMTCP_EVIDENCE_COORDINATOR_REPLY = 1, /* it said that every worker has reported its image */
  DMTCP_EVIDENCE_OBSERVED = 2           /* it did not say; every worker was seen to come through */
};

typedef struct dmtcp_checkpoint_report {
  size_t size;             /* in: sizeof(dmtcp_checkpoint_report) */
  uint32_t peers;          /* workers that took part */
  dmtcp_evidence evidence; /* how the end is known */
  uint32_t lists;          /* how many lists of workers that rests on, if observed; else 0 */
  uint32_t reserved;       /* 0 */
} dmtcp_checkpoint_report;

/* What a worker says it is doing. */
typedef int32_t dmtcp_worker_state;
enum {
  DMTCP_WORKER_UNKNOWN = 0,       /* before its program runs */
  DMTCP_WORKER_RUNNING = 1,       /* the program runs */
  DMTCP_WORKER_PRESUSPEND = 2,    /* told to checkpoint; its threads still run */
  DMTCP_WORKER_SUSPENDED = 3,     /* its threads are stopped */
  DMTCP_WORKER_CHECKPOINTING = 4, /* preparing or writing its image */
  DMTCP_WORKER_CHECKPOINTED = 5,  /* its image is written */
  DMTCP_WORKER_RESTARTING = 6,    /* being restored from an image */
  DMTCP_WORKER_OTHER = 99         /* a number without a word: see state_name */
};

typedef struct dmtcp_worker {
  size_t size;              /* in: sizeof(dmtcp_worker) */
  uint64_t number;          /* in the coordinator's list; never used twice by one coordinator */
  const char *id;           /* identity: <host hex>-<pid>-<time hex> */
  const char *host;         /* host name as the worker gave it */
  const char *program;      /* program name as the worker gave it */
  const char *barrier;      /* last barrier in this checkpoint or restart; NULL: none */
  const char *state_name;   /* what it is doing, in DMTCP's word, such as "RUNNING" */
  dmtcp_worker_state state; /* the same as a number */
  int32_t virtual_pid;      /* pid that the program itself sees */
  int32_t real_pid;         /* pid on its host; -1: unknown */
  uint32_t reserved;        /* 0 */
} dmtcp_worker;

/* ---- Coordinator: a handle to any coordinator, stock or ours, over TCP --------------------- */

/* The version of the wire format. It must be the coordinator's own: there is no question that is
 * safe in every dialect. Asked in V5, a coordinator of 3.0.0 to 3.2.0 ends, and its computation
 * with it. */
typedef int32_t dmtcp_dialect;
enum {
  DMTCP_DIALECT_V2_4 = 24, /* DMTCP 2.4.0 to 2.5.0 */
  DMTCP_DIALECT_V2_5 = 25, /* DMTCP 2.5.1 and 2.5.2 */
  DMTCP_DIALECT_V2_6 = 26, /* DMTCP 2.6.0 */
  DMTCP_DIALECT_V3 = 3,    /* DMTCP 3.0.0 to 4.2.0 */
  DMTCP_DIALECT_V5 = 5     /* the development head, which calls itself 5.0 */
};

typedef struct dmtcp_coordinator dmtcp_coordinator;

/* A handle to the coordinator at a host, by name or IPv4 address, and port. Nothing is sent. */
dmtcp_result dmtcp_coordinator_new(const char *host, uint32_t port, dmtcp_dialect dialect,
                                   dmtcp_coordinator **coordinator);

/* The same for DMTCP_COORD_HOST and DMTCP_COORD_PORT, by default 127.0.0.1 and 7779. */
dmtcp_result dmtcp_coordinator_from_env(dmtcp_dialect dialect, dmtcp_coordinator **coordinator);

/* Frees a handle; the coordinator does not notice. */
void dmtcp_coordinator_free(dmtcp_coordinator *coordinator);

/* Limits each question, from connecting to the answer, in the calls that begin from now on.
 * Default: 10,000 ms. */
dmtcp_result dmtcp_coordinator_set_timeout(dmtcp_coordinator *coordinator, uint64_t limit_ms);

/* Peers, running or not, interval. */
dmtcp_result dmtcp_coordinator_status(dmtcp_coordinator *coordinator, dmtcp_status *status);

typedef struct dmtcp_workers dmtcp_workers;

/* Every worker, in the order in which they joined; free the list with dmtcp_workers_free. */
dmtcp_result dmtcp_coordinator_workers(dmtcp_coordinator *coordinator, dmtcp_workers **workers);

/* How many there are; 0 for NULL. */
size_t dmtcp_workers_count(dmtcp_workers *workers);

/* The worker at an index from 0; its texts belong to the list. */
dmtcp_result dmtcp_workers_get(dmtcp_workers *workers, size_t index, dmtcp_worker *worker);

/* Frees a list and the texts of its workers. */
void dmtcp_workers_free(dmtcp_workers *workers);

/* Only asks for a checkpoint: the number of workers that began one. Nothing is known about its
 * end. DMTCP_ERR_NOT_RUNNING: no workers, or not all of them running. */
dmtcp_result dmtcp_coordinator_request_checkpoint(dmtcp_coordinator *coordinator,
                                                  uint32_t *peers);

/* Checkpoints the whole computation and waits for its end; limit_ms covers everything. One that is
 * starting, restarting or in another checkpoint is waited for, one without workers for 5 s.
 * DMTCP_ERR_CHECKPOINT_TIMED_OUT: the round goes on, nothing can stop it. */
dmtcp_result dmtcp_coordinator_checkpoint(dmtcp_coordinator *coordinator, uint64_t limit_ms,
                                          dmtcp_checkpoint_report *report);

/* The same; then the workers exit, and that is waited for too. No coordinator answers at the end
 * of it, so the evidence is DMTCP_EVIDENCE_OBSERVED. DMTCP_ERR_UNCONFIRMED: they are gone, and
 * their images may or may not be whole: look before using or discarding them. */
dmtcp_result dmtcp_coordinator_checkpoint_and_kill(dmtcp_coordinator *coordinator,
                                                   uint64_t limit_ms,
                                                   dmtcp_checkpoint_report *report);

/* Sets the seconds between periodic checkpoints, and reads them back; 0: only when asked.
 * DMTCP_ERR_INTERVAL_IGNORED: 3.1.1 to 4.2.0 say yes and do nothing. */
dmtcp_result dmtcp_coordinator_set_interval(dmtcp_coordinator *coordinator, uint32_t interval_s);

/* Kills all workers and waits until they are gone. */
dmtcp_result dmtcp_coordinator_kill_workers(dmtcp_coordinator *coordinator);

/* Kills all workers, ends the coordinator, and waits until nobody listens there any more. The
 * handle stays and is to be freed. */
dmtcp_result dmtcp_coordinator_quit(dmtcp_coordinator *coordinator);

/* ---- Server: the coordinator in this process ----------------------------------------------- */

typedef struct dmtcp_server dmtcp_server;
typedef struct dmtcp_computation dmtcp_computation;

/* Starts the one thread that serves all computations of a server. It does not survive fork: a
 * child must not use what its parent started. */
dmtcp_result dmtcp_server_start(dmtcp_server **server);

/* Ends all computations of a server, AND WITH THEM THEIR WORKERS, which exit without a checkpoint
 * when they lose their coordinator. */
void dmtcp_server_free(dmtcp_server *server);

/* One more computation without workers, listening on 127.0.0.1 when this returns; port 0: a free
 * one. Start workers with dmtcp_launch --join-coordinator --coord-port PORT; ask for checkpoints
 * through a dmtcp_coordinator on that port. Images stay where the workers write them: this
 * coordinator does not seal sets. Whoever reaches the port can kill, checkpoint and join. */
dmtcp_result dmtcp_server_open(dmtcp_server *server, uint32_t port,
                               dmtcp_computation **computation);

/* The port on which it listens. */
dmtcp_result dmtcp_computation_port(dmtcp_computation *computation, uint32_t *port);

/* As dmtcp_coordinator_status, without a connection. */
dmtcp_result dmtcp_computation_status(dmtcp_computation *computation, dmtcp_status *status);

/* Ends a computation AND WITH IT ITS WORKERS, without a checkpoint, and waits until nothing of it
 * is left. Closing what is closed is no error. */
dmtcp_result dmtcp_computation_close(dmtcp_computation *computation, uint64_t limit_ms);

/* Frees the handle. The computation lives on until it is closed or its server is freed; the
 * server may be freed first. */
void dmtcp_computation_free(dmtcp_computation *computation);

#ifdef __cplusplus
}
#endif

#endif /* DMTCP_RS_H */
