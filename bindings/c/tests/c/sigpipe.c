/* SIGPIPE as a C program has it, and every send of this library into a connection that has just
 * ended: `send` and its kin below take the place of the system's, end the connection for writing,
 * and then send for real, with the caller's flags. A send that raises signals ends this program. */
#define _DEFAULT_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"

typedef int name_fn(int, struct sockaddr *, socklen_t *);

/* Whose sends are broken: those at the end of a connection that this asks for `broken_port`. */
static name_fn *volatile broken_end;
static volatile uint32_t broken_port;
static volatile int broken;

static void end_if_broken(int fd) {
  struct sockaddr_in addr;
  socklen_t length = sizeof addr;
  name_fn *name = broken_end;
  if (name != NULL && name(fd, (struct sockaddr *)&addr, &length) == 0 &&
      addr.sin_family == AF_INET && ntohs(addr.sin_port) == broken_port) {
    __atomic_add_fetch(&broken, 1, __ATOMIC_SEQ_CST);
    shutdown(fd, SHUT_WR);
  }
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  end_if_broken(fd);
  return syscall(SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to,
               socklen_t to_length) {
  end_if_broken(fd);
  return syscall(SYS_sendto, fd, bytes, length, flags, to, to_length);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  end_if_broken(fd);
  return syscall(SYS_sendmsg, fd, message, flags);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  end_if_broken(fd);
  return syscall(SYS_write, fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  end_if_broken(fd);
  return syscall(SYS_writev, fd, parts, count);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  alarm(600);
  CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
  dmtcp_server *server = NULL;
  dmtcp_computation *computation = NULL;
  dmtcp_coordinator *coordinator = NULL;
  uint32_t port = 0;
  OK(dmtcp_server_start(&server));
  OK(dmtcp_server_open(server, 0, &computation));
  OK(dmtcp_computation_port(computation, &port));
  OK(dmtcp_coordinator_new("localhost", port, atoi(argv[1]), &coordinator));
  OK(dmtcp_coordinator_set_timeout(coordinator, 60000));
  dmtcp_status status = {.size = sizeof status};
  OK(dmtcp_coordinator_status(coordinator, &status));

  broken_port = port;
  name_fn *const ends[] = {getpeername, getsockname};
  for (int i = 0; i < 2; i++) {
    broken = 0;
    broken_end = ends[i];
    CHECK_CODE(DMTCP_ERR_NO_REPLY, dmtcp_coordinator_status(coordinator, &status));
    CHECK(broken > 0);
    broken_end = NULL;
    OK(dmtcp_coordinator_status(coordinator, &status));
  }

  CHECK(signal(SIGPIPE, SIG_DFL) == SIG_DFL);
  dmtcp_coordinator_free(coordinator);
  dmtcp_computation_free(computation);
  dmtcp_server_free(server);
  return 0;
}
