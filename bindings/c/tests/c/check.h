/* What the test programs check with: the first thing that is not so ends the program. */
#ifndef CHECK_H
#define CHECK_H

#include <dmtcp_rs.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                  \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      fprintf(stderr, "%s:%d: not so: %s (last error: %s)\n", __FILE__, __LINE__,         \
              #condition, dmtcp_last_error_message());                                    \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)

#define CHECK_CODE(expected, call)                                                        \
  do {                                                                                    \
    dmtcp_result code_ = (call);                                                          \
    if (code_ != (expected)) {                                                            \
      fprintf(stderr, "%s:%d: %s gave %s, not " #expected " (last error: %s)\n",          \
              __FILE__, __LINE__, #call, dmtcp_result_name(code_),                        \
              dmtcp_last_error_message());                                                \
      exit(1);                                                                            \
    }                                                                                     \
  } while (0)

#define OK(call) CHECK_CODE(DMTCP_OK, call)

#endif
