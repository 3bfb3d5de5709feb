// dmtcp_rs.hpp: dmtcp_rs.h with owners and exceptions, for C++11 and later.
//
//   auto server = dmtcp::make<dmtcp::server>(dmtcp_server_start);
//   auto computation = dmtcp::make<dmtcp::computation>(dmtcp_server_open, server.get(), 0u);
//   auto status = dmtcp::get<dmtcp_status>(dmtcp_computation_status, computation.get());
//
// Every function of dmtcp_rs.h is called in one of three ways: make() for one that gives an object or
// a text out, get() for one that fills a struct or a number in, check() for all others. What they are
// given out is freed when its owner goes. Callbacks must not throw.
#ifndef DMTCP_RS_HPP
#define DMTCP_RS_HPP

#include <dmtcp_rs.h>

#include <cstring>
#include <memory>
#include <stdexcept>

namespace dmtcp {

// A function did not return DMTCP_OK: its code, and the message of the library.
class error : public std::runtime_error {
 public:
  explicit error(dmtcp_result code) : std::runtime_error(dmtcp_last_error_message()), code_(code) {}
  dmtcp_result code() const noexcept { return code_; }
  const char *name() const noexcept { return dmtcp_result_name(code_); }

 private:
  dmtcp_result code_;
};

inline void check(dmtcp_result code) {
  if (code != DMTCP_OK) throw error(code);
}

// An object of the library with its _free function.
template <class T, void (*free_one)(T *)>
struct freed {
  void operator()(T *object) const noexcept { free_one(object); }
};
template <class T, void (*free_one)(T *)>
using owner = std::unique_ptr<T, freed<T, free_one>>;

using bytes = owner<dmtcp_bytes, dmtcp_bytes_free>;
using child = owner<dmtcp_child, dmtcp_child_free>;
using computation = owner<dmtcp_computation, dmtcp_computation_free>;
using coordinator = owner<dmtcp_coordinator, dmtcp_coordinator_free>;
using foreign_sets = owner<dmtcp_foreign_sets, dmtcp_foreign_sets_free>;
using helper_coordinator = owner<dmtcp_helper_coordinator, dmtcp_helper_coordinator_free>;
using job = owner<dmtcp_job, dmtcp_job_free>;
using key_values = owner<dmtcp_key_values, dmtcp_key_values_free>;
using native_worker = owner<dmtcp_native_worker, dmtcp_native_worker_free>;
using outcome = owner<dmtcp_outcome, dmtcp_outcome_free>;
using server = owner<dmtcp_server, dmtcp_server_free>;
using set = owner<dmtcp_set, dmtcp_set_free>;
using set_store = owner<dmtcp_set_store, dmtcp_set_store_free>;
using sets = owner<dmtcp_sets, dmtcp_sets_free>;
using subscription = owner<dmtcp_subscription, dmtcp_subscription_free>;
using text = owner<char, dmtcp_text_free>;
using tools = owner<dmtcp_tools, dmtcp_tools_free>;
using workers = owner<dmtcp_workers, dmtcp_workers_free>;

// A struct with its size set, and every other field zero.
template <class T>
T sized() {
  T value;
  std::memset(&value, 0, sizeof value);
  value.size = sizeof value;
  return value;
}

// Calls a function whose last argument is an object that it gives out; empty if that may be NULL.
template <class Owner, class... Parameters, class... Arguments>
Owner make(dmtcp_result (*function)(Parameters...), Arguments... arguments) {
  typename Owner::pointer object = nullptr;
  check(function(arguments..., &object));
  return Owner(object);
}

namespace detail {
template <class T>
auto prepare(T &value, int) -> decltype(value.size, void()) {
  value = sized<T>();
}
template <class T>
void prepare(T &value, long) {
  value = T();
}
}  // namespace detail

// Calls a function whose last argument is a struct or a number that it fills in.
template <class T, class... Parameters, class... Arguments>
T get(dmtcp_result (*function)(Parameters...), Arguments... arguments) {
  T value;
  detail::prepare(value, 0);
  check(function(arguments..., &value));
  return value;
}

}  // namespace dmtcp

#endif  // DMTCP_RS_HPP
