// queue.cpp: the SQL functions of agents, and LISTEN.
#include "helper/agent/queue.h"

#include <cstdlib>
#include <fmt/format.h>

#include "helper/clone/session.h"
#include "helper/preflight/donor.h"
#include "protocol/version.h"

namespace standby_clone {

void RequestQueue::enter() {
  leave();
  auto connection = std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase, nullptr, stop_);
  schema_ = find_extension(*connection);
  connection->query("SET application_name = 'pg_standby_clone agent'", Kind::kPreflight);
  connection->query("SET default_transaction_read_only = off", Kind::kPreflight);
  Rows rows = connection->query("SELECT system_identifier FROM pg_catalog.pg_control_system()",
                                Kind::kPreflight);
  system_identifier_ = std::strtoull(rows.at(0).at(0).value_or("0").c_str(), nullptr, 10);
  connection_ = std::move(connection);
}

void RequestQueue::show(const std::string& destination_state, const std::string& activity) {
  call(fmt::format("agent_attach({}, {}, {}, {}, {})", quote_literal(options_.name),
                   quote_literal(connection_->text_of(destination_of(options_))), quote_literal(destination_state),
                   quote_literal(protocol::kVersion), quote_literal(connection_->text_of(activity))));
  // Before the table is read: what is queued after this wakes us.
  connection_->query("LISTEN pg_standby_clone", Kind::kPreflight);
}

std::optional<QueuedRequest> RequestQueue::next() {
  Rows rows = call(fmt::format("agent_next({})", quote_literal(options_.name)));
  if (rows.empty() || !rows[0][0]) return std::nullopt;
  return QueuedRequest{std::strtoll(rows[0][0]->c_str(), nullptr, 10), rows[0][1].value_or("{}"),
                       rows[0].at(2).value_or("")};
}

bool RequestQueue::refuse(std::int64_t id, const std::string& uuid, const std::string& error) {
  Rows rows = call(fmt::format("agent_refuse({}, {}, {})", id, quote_literal(connection_->text_of(error)),
                               uuid.empty() ? "NULL" : quote_literal(uuid)));
  return rows.at(0).at(0).value_or("f") == "t";
}

void RequestQueue::wait(int timeout_ms) {
  // What came while an answer was read wakes no socket any more.
  if (connection_->drop_notifications()) return;
  connection_->wait(timeout_ms);
  connection_->drop_notifications();
}

std::string RequestQueue::primary() const {
  Address address = connection_->address();
  return fmt::format("{}, port {}", address.host, address.port);
}

Rows RequestQueue::call(const std::string& function) {
  return connection_->query("SELECT * FROM " + schema_ + ".pg_standby_clone_" + function,
                            Kind::kPreflight);
}

}  // namespace standby_clone
