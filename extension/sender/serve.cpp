// serve.cpp: Hello, and which of the two roles follows.
#include "extension/sender/serve.h"

#include "extension/changes/survey.h"
#include "extension/pg/compat.h"
#include "extension/pg/encryption.h"
#include "extension/pg/insides.h"
#include "extension/pg/text.h"
#include "extension/sender/control.h"
#include "extension/sender/stream.h"
#include "extension/session/settings.h"
#include "protocol/frame.h"
#include "protocol/version.h"

namespace sender {
namespace {

using protocol::Bytes;
using protocol::Hello;

// The clone this connection belongs to; for the error path and the exit callback.
Connection connection{};

// How long a connection may wait for its Hello.
constexpr std::uint64_t kHelloTimeoutMs = 60000;

bool is_inside_data_directory(const char* file) {
  std::size_t length = std::strlen(DataDir);
  return std::strncmp(file, DataDir, length) == 0 && file[length] == '/';
}

// Configuration files that no clone takes along, one a line.
void list_external_files(StringInfo list) {
  for (char** place : compat::configuration_files()) {
    const char* file = *place;
    if (file == nullptr || is_inside_data_directory(file)) continue;
    if (list->len > 0) appendStringInfoChar(list, '\n');
    appendStringInfoString(list, file);
  }
}

void welcome() {
  protocol::Welcome message;
  StringInfoData external;
  initStringInfo(&external);
  list_external_files(&external);
  ControlFileData control = pg::read_control_file();
  message.protocol_version = protocol::kProtocolVersion;
  message.extension_version = protocol::kVersion;
  message.server_version_num = compat::kServerVersion;
  message.backend_pid = MyProcPid;
  message.system_identifier = GetSystemIdentifier();
  message.timeline = changes::current_timeline();
  message.in_recovery = RecoveryInProgress();
  message.pg_control_version = control.pg_control_version;
  message.catalog_version = control.catalog_version_no;
  message.block_size = control.blcksz;
  message.segment_blocks = control.relseg_size;
  message.wal_segment_size = control.xlog_seg_size;
  message.data_checksum_version = DataChecksumsEnabled() ? control.data_checksum_version : 0;
  message.directory_mode = data_directory_mode;
  message.max_streams = settings::max_streams;
  message.lease_ms = settings::reconnect_timeout_s * 1000;
  message.data_directory = view(DataDir);
  message.cluster_name = view(cluster_name == nullptr ? "" : cluster_name);
  message.external_files = {external.data, static_cast<std::size_t>(external.len)};
  send_message(message);
  pfree(external.data);
}

// What would make every clone from this server fail, said before anything starts.
void check_donor() {
  if (wal_level < WAL_LEVEL_REPLICA)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("this server writes too little WAL for a standby (wal_level = minimal)"),
            errhint("Set wal_level = replica and restart the server."));
  if (max_wal_senders == 0)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("this server allows no standby to stream (max_wal_senders = 0)"),
            errhint("Raise max_wal_senders and restart the server."));
  if (max_replication_slots == 0)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("this server has no replication slots (max_replication_slots = 0)"),
            errhint("Raise max_replication_slots and restart the server."));
  pg::Encryption encryption = pg::find_encryption();
  if (encryption.obstacle != nullptr)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s", encryption.obstacle),
            errhint("%s", encryption.hint));
}

Hello receive_hello(Channel& channel) {
  std::uint64_t deadline = session::monotonic_ms() + kHelloTimeoutMs;
  Bytes request;
  while (!take_request(channel, request)) {
    if (channel.copy_done || session::monotonic_ms() > deadline)
      ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
              errmsg("this procedure is called by the pg_standby_clone program only"));
    wait_channel(channel, 1000);
  }
  // The version stands first in every Hello, whatever comes after it.
  protocol::Reader reader(request);
  protocol::RequestKind kind{};
  std::uint16_t version = 0;
  reader(kind, version);
  if (!reader.good() || kind != Hello::kKind)
    ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
            errmsg("the first request of a clone's helper must be Hello"));
  if (version != protocol::kProtocolVersion)
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("the pg_standby_clone program speaks protocol version %u, this server's "
                   "extension %s speaks version %u",
                   version, protocol::kVersion, protocol::kProtocolVersion),
            errhint("Install the same version of pg_standby_clone on both hosts."));
  Hello hello;
  if (!protocol::decode(request, hello) || hello.role > protocol::kStreamsMax)
    ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
            errmsg("malformed Hello from a clone's helper"));
  if (hello.backend_pid != MyProcPid)
    ereport(ERROR, errcode(ERRCODE_CONNECTION_EXCEPTION),
            errmsg("a connection pooler stands between the clone's helper and this server"),
            errhint("Connect to the server itself."));
  return hello;
}

// Nothing but frames goes to the helper: a warning in mid-copy would be sent by a flush that blocks (trap 73).
void silence_messages() {
  SetConfigOption("client_min_messages", "error", PGC_USERSET, PGC_S_SESSION);
}

// A helper's host that is gone is noticed in a minute, not in hours. Where the server asks for
// less, that holds.
void watch_peer() {
  struct {
    const char* name;
    int limit;
  } constexpr kSettings[] = {{"tcp_keepalives_idle", 10},
                             {"tcp_keepalives_interval", 5},
                             {"tcp_keepalives_count", 4},
                             // Not less: output waits as long while a helper's disk is busy.
                             {"tcp_user_timeout", 60 * 1000}};
  for (const auto& setting : kSettings) {
    int now = std::atoi(GetConfigOption(setting.name, false, false));
    if (now > 0 && now <= setting.limit) continue;
    char value[16];
    snprintf(value, sizeof(value), "%d", setting.limit);
    SetConfigOption(setting.name, value, PGC_USERSET, PGC_S_SESSION);
  }
}

// Does this error end the clone, or only this connection, which the helper replaces: one that
// was lost or terminated, a statement cancelled (by recovery too, trap 80), no memory.
bool ends_clone(int sqlstate) {
  switch (ERRCODE_TO_CATEGORY(sqlstate)) {
    case ERRCODE_CONNECTION_EXCEPTION:
    case ERRCODE_TRANSACTION_ROLLBACK:
    case ERRCODE_OPERATOR_INTERVENTION:
      return false;
    default:
      return sqlstate != ERRCODE_OUT_OF_MEMORY;
  }
}

void leave_session(int, Datum) {
  Connection& mine = connection;
  if (mine.session.record == nullptr) return;
  if (mine.slot != nullptr) {
    session::Locked::begin();
    if (mine.slot->pid == MyProcPid) mine.slot->pid = 0;
    session::Locked::end();
  } else {
    session::Record& record = *mine.session.record;
    session::Locked::begin();
    bool was_control =
        record.generation == mine.session.generation && record.control_pid == MyProcPid;
    bool has_started = record.phase > protocol::Phase::kPreparing;
    if (was_control) record.control_pid = 0;
    pid_t worker = record.worker_pid;
    session::Locked::end();
    if (was_control) session::enter_attached(mine.session, false);
    session::wake(worker);
    // Until the worker holds it too, the session's memory goes with this connection.
    if (was_control && worker == 0 && !has_started)
      session::finish(mine.session, protocol::State::kFailed,
                      "the helper's connection ended before the clone's worker had started");
  }
}

void converse() {
  Channel& channel = connection.channel;
  silence_messages();
  watch_peer();
  open_channel(channel);
  Hello hello = receive_hello(channel);
  check_donor();
  // Before the answer: a helper that is refused afterwards may have sent requests by then, and loses with
  // the connection what it has not read yet.
  if (hello.role != 0 || hello.token != protocol::Token{})
    connection.session = session::attach(hello.token);
  welcome();
  connection.is_control = hello.role == 0;
  if (connection.is_control)
    serve_control(connection, hello);
  else
    serve_stream(connection, hello);
  close_channel();
}

}  // namespace

void serve(Oid records) {
  connection = {};
  connection.records = records;
  static bool registered = false;
  if (!registered) before_shmem_exit(leave_session, 0);
  registered = true;

  MemoryContext outer = CurrentMemoryContext;
  PG_TRY();
  {
    converse();
    leave_session(0, 0);
    session::detach(connection.session);
  }
  PG_CATCH();
  {
    LWLockReleaseAll();
    MemoryContextSwitchTo(outer);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    // The first cause is kept in the session: a helper that sees only the end of
    // this connection asks for it on the control connection.
    if (connection.session.record != nullptr && ends_clone(error->sqlerrcode)) {
      if (connection.slot != nullptr)
        session::note_error(connection.session, error->message);
      else if (connection.is_control)
        end_clone(connection.session, protocol::State::kFailed, error->message);
    }
    settle_output();
    error->elevel = FATAL;
    ThrowErrorData(error);
  }
  PG_END_TRY();
}

}  // namespace sender
