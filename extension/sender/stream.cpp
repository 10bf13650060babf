// stream.cpp: the loop of a stream.
#include "extension/sender/stream.h"

#include "extension/sender/reader.h"
#include "extension/session/settings.h"
#include "protocol/frame.h"

namespace sender {
namespace {

using protocol::Bytes;
using session::WaitingFor;

// A file stays open between two requests, but not over a silence: the space of a
// dropped table would stay taken.
constexpr std::uint64_t kIdleCloseMs = 1000;

// Takes the slot of this number; another connection that held it is told to end,
// for the helper has given it up.
session::StreamSlot* take_slot(const session::Handle& session, std::uint16_t number) {
  if (number > settings::max_streams)
    ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
            errmsg("stream %u was asked for, this server allows %d", number,
                   settings::max_streams),
            errhint("Use fewer --jobs, or raise pg_standby_clone.max_streams."));
  session::StreamSlot* slot = &session.area->streams[number - 1];
  session::Locked::begin();
  pid_t previous = slot->pid;
  slot->pid = MyProcPid;
  // The helper adds streams as it sees fit.
  session.record->streams = Max(session.record->streams, number);
  // Under the lock a process that is named cannot have ended and left its number to
  // another.
  if (previous != 0 && previous != MyProcPid) kill(previous, SIGTERM);
  session::Locked::end();
  return slot;
}

// The clone must still live, and the server must still be what it was at the
// backup's start: a promoted standby writes pages of another history (trap 41).
void check_session(const session::Handle& session) {
  if (protocol::is_ended(session::look(session).state)) session::refuse_ended(session);
  if (session.record->in_recovery && !RecoveryInProgress())
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("the standby was promoted during the clone"),
            errhint("Run the clone again."));
}

template <class Message>
void decode_and_answer(Reader& reader, Bytes request) {
  Message message;
  if (!protocol::decode(request, message))
    ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
            errmsg("malformed request from a clone's helper"));
  require_window(reader);
  answer(reader, message);
}

void dispatch(Reader& reader, Bytes request) {
  using Kind = protocol::RequestKind;
  switch (protocol::kind_of<Kind>(request)) {
    case Kind::kRead: return decode_and_answer<protocol::Read>(reader, request);
    case Kind::kCompare: return decode_and_answer<protocol::Compare>(reader, request);
    case Kind::kPageHashes: return decode_and_answer<protocol::PageHashes>(reader, request);
    case Kind::kNewerPages: return decode_and_answer<protocol::NewerPages>(reader, request);
    default: break;
  }
  ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
          errmsg("request of kind %d is not one of a stream",
                 request.empty() ? 0 : static_cast<int>(request.front())));
}

}  // namespace

void serve_stream(Connection& connection, const protocol::Hello& hello) {
  session::Stage stage = session::stage_of(connection.session);
  if (stage != session::Stage::kOpen)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("a stream of a clone is of use only while its backup runs, but %s",
                   session::row_of(stage).sentence));
  connection.slot = take_slot(connection.session, hello.role);
  set_ps_display("standby clone stream");

  Reader reader;
  open_reader(reader, connection.channel, connection.session, connection.slot);
  std::uint64_t idle_since = session::monotonic_ms();
  while (!connection.channel.copy_done) {
    Bytes request;
    if (take_request(connection.channel, request)) {
      check_interrupts();
      check_session(connection.session);
      dispatch(reader, request);
      idle_since = session::monotonic_ms();
      continue;
    }
    if (connection.channel.copy_done) break;
    if (session::monotonic_ms() - idle_since > kIdleCloseMs) close_file(reader);
    check_session(connection.session);
    auto why = pq_is_send_pending()                      ? WaitingFor::kNetwork
               : session::is_paused(connection.session) ? WaitingFor::kPause
                                                        : WaitingFor::kHelper;
    wait_for(reader, why, 1000);
  }
  close_file(reader);
}

}  // namespace sender
