// connection.h: one connection to the donor. The only room that knows libpq. A
// connection belongs to one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "helper/base/failure.h"
#include "helper/base/stop.h"
#include "helper/connection/conninfo.h"
#include "helper/connection/copy.h"
#include "helper/connection/copy_socket.h"
#include "helper/connection/login.h"
#include "protocol/frame.h"

struct pg_conn;
struct pg_result;

namespace standby_clone {

// Rows of a query's answer, as texts; NULL is nullopt.
using Rows = std::vector<std::vector<std::optional<std::string>>>;

// What no server takes this long for: the connection is one in name only.
inline constexpr std::chrono::seconds kAnswerLimit{30};

class Connection {
 public:
  // Each place that is tried has its own limit of time (login.h). Fails with kConnection; the hint
  // says what to add to pg_hba.conf where that is missing. Without an address the user's words decide,
  // and a password may be asked for on the terminal.
  Connection(const Donor& donor, Purpose purpose, const Address* address, const StopSource& stop);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Address address() const;
  // All that the user's words name, in their order, not resolved.
  std::vector<Address> choices() const;
  // What was said about the donor, with what libpq adds to it.
  const std::vector<ConninfoOption>& options() const { return conninfo_.options(); }
  int server_version() const;  // 150018
  int backend_pid() const;
  std::string database() const;
  bool in_recovery() const;
  // When its server was started, as it says it: no two servers say the same. After
  // ignore_role_settings().
  const std::string& server_start() const { return server_start_; }
  // `bytes` as a text that this database takes, whatever they are and its encoding is.
  std::string text_of(std::string_view bytes) const;

  // Frees the connection of what a role's or a database's own settings would do to our
  // statements: timeouts that end them, a search_path on which somebody has planted functions and
  // operators that would run with this role's rights, an encoding other than the server's. For
  // database connections, before their first statement.
  void ignore_role_settings();

  // Runs one statement by the simple protocol. `kind` is the kind of failure when the
  // server refuses it.
  Rows query(const std::string& statement, Kind kind);

  // Runs a statement that must lead into CopyBoth.
  void start_copy_both(const std::string& statement, Kind kind);

  // --- within CopyBoth ---

  // From now on messages pass by libpq where they are not encrypted. While nothing is asked for
  // and no answer is on its way.
  void pass_by_libpq();

  // Queues a message; flush() sends what goes of all that is queued. Neither waits.
  void queue(protocol::Bytes message);
  template <class Request>
  void queue_request(const Request& request) {
    std::byte buffer[protocol::kRequestMax];
    std::size_t size = protocol::encode(std::span(buffer), request);
    if (size == 0) fail(Kind::kInternal, "a request does not fit its buffer");
    queue({buffer, size});
  }
  void flush();

  // Both in one.
  void send(protocol::Bytes message);
  template <class Request>
  void send_request(const Request& request) {
    queue_request(request);
    flush();
  }

  // The next message if one has come whole. Nothing: wait() and try again. The donor's
  // end of the copy is kDonorFailed or kLostDonor with its reason, unless may_end.
  std::optional<Message> receive();
  // True once the server has ended its side of the copy in order (a timeline's end).
  bool copy_ended() const { return copy_ended_; }

  // Waits for bytes from the server, for room for queued output, for the stop, for the bell, at
  // most timeout_ms. True if something came.
  bool wait(int timeout_ms, Bell* bell = nullptr);

  // Forgets what LISTEN brought, in wait() or beside an answer. True if there was something.
  bool drop_notifications();

  // Ends the copy from our side, so that the server's procedure returns.
  void end_copy();
  // After an ended copy: the rows the server sends next, until it is ready.
  Rows finish_copy(Kind kind);

 private:
  std::unique_ptr<pg_result, void (*)(pg_result*)> next_result(Kind kind);
  void consume_input();
  [[noreturn]] void fail_lost(const std::string& what) const;

  const Conninfo conninfo_;
  pg_conn* connection_ = nullptr;
  const StopSource& stop_;
  std::string password_;
  std::string server_start_;
  bool copy_ended_ = false;
  bool output_pending_ = false;
  std::optional<CopySocket> socket_;  // set: what is sent passes by libpq,
  bool libpq_reads_ = true;           // and what comes does if not this
  Notice last_notice_;
};

// The kind of failure behind an SQLSTATE of the server: one of a connection only (lost,
// terminated, cancelled by an administrator or by recovery), corrupted, the end of the
// clone, or `otherwise`.
Kind kind_of_sqlstate(const std::string& sqlstate, Kind otherwise);

// `value` as a string in SQL, whatever standard_conforming_strings says.
std::string quote_literal(const std::string& value);

}  // namespace standby_clone
