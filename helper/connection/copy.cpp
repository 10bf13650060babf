// copy.cpp: messages within CopyBoth, past libpq where they are not encrypted.
#include "helper/connection/copy.h"

#include "helper/connection/connection.h"
#include "helper/connection/libpq.h"

namespace standby_clone {

void Message::Free::operator()(char* data) const { PQfreemem(data); }

void Connection::start_copy_both(const std::string& statement, Kind kind) {
  if (PQsendQuery(connection_, statement.c_str()) == 0) fail_lost("send a query");
  Result result = next_result(kind);
  if (result == nullptr || PQresultStatus(result.get()) != PGRES_COPY_BOTH)
    fail(Kind::kPreflight, "the server did not answer \"" + statement + "\" with a copy",
         "Connect to a PostgreSQL server itself, not to a pooler.");
  copy_ended_ = false;
}

void Connection::pass_by_libpq() {
  if (PQsslInUse(connection_) || PQgssEncInUse(connection_)) return;
  socket_.emplace(PQsocket(connection_));
  libpq_reads_ = false;
}

void Connection::flush() {
  if (socket_) {
    output_pending_ = !socket_->flush();
    return;
  }
  int pending = PQflush(connection_);
  if (pending < 0) fail_lost("send to the donor");
  output_pending_ = pending > 0;
}

void Connection::queue(protocol::Bytes message) {
  if (socket_) return socket_->queue(message);
  if (PQputCopyData(connection_, reinterpret_cast<const char*>(message.data()),
                    static_cast<int>(message.size())) != 1)
    fail_lost("send to the donor");
}

void Connection::send(protocol::Bytes message) {
  queue(message);
  flush();
}

std::optional<Message> Connection::receive() {
  if (copy_ended_) return std::nullopt;
  if (!libpq_reads_) {
    protocol::Bytes content;
    auto got = socket_->receive(content);
    if (got == CopySocket::Got::kMessage) return Message(content);
    if (got == CopySocket::Got::kNothing) return std::nullopt;
    // An error, a notice, an end: libpq reads them, and may read what stands behind.
    libpq_reads_ = true;
    consume_input();
  }
  char* data = nullptr;
  int size = PQgetCopyData(connection_, &data, 1);
  if (size > 0) return Message(data, static_cast<std::size_t>(size));
  if (size == 0) return std::nullopt;
  if (size == -2) fail_lost("receive from the donor");
  // The copy is over: an error that tells why, or an end in order.
  copy_ended_ = true;
  next_result(Kind::kDonorFailed);
  return std::nullopt;
}

void Connection::end_copy() {
  if (socket_)
    socket_->queue_end();
  else if (PQputCopyEnd(connection_, nullptr) < 0)
    fail_lost("end the copy");
  flush();
}

}  // namespace standby_clone
