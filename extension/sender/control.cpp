// control.cpp: the loop of the control connection.
#include "extension/sender/control.h"

#include "extension/catalogue/list.h"
#include "extension/changes/packer.h"
#include "extension/changes/summaries.h"
#include "extension/changes/survey.h"
#include "extension/pg/compat.h"
#include "extension/pg/insides.h"
#include "extension/pg/text.h"
#include "extension/sender/probe.h"
#include "extension/session/order.h"
#include "extension/session/settings.h"
#include "extension/worker/slots.h"
#include "extension/worker/worker.h"
#include "protocol/frame.h"

namespace sender {
namespace {

using protocol::Bytes;
using protocol::State;
using protocol::Status;

// Control requests move no data; their wait is short so that changes of the session
// that nobody wakes us for are seen soon.
constexpr long kWaitMs = 1000;

// How long a helper may keep the connection of a clone that has ended.
constexpr std::uint64_t kGraceMs = 10 * 1000;

// How often a long answer is interrupted to hear what the helper says meanwhile: the clock is looked at for each
// file, the socket is not.
constexpr std::uint64_t kListenMs = 100;

// What Status said last; a difference is reported unasked.
struct Reported {
  State state;
  protocol::Phase phase;
  bool handed_over;
  std::int64_t id;
  std::uint64_t checksum_failures;
};

struct Control {
  Connection* connection;
  BackgroundWorkerHandle* worker;  // NULL after a reattach
  std::uint64_t begun_ms;
  std::uint64_t ended_ms;  // when the clone was first seen ended, or heard of since; 0: it lives
  bool label_awaited;
  bool status_owed;  // as soon as the socket takes it
  bool is_listing;
  std::uint64_t listened_ms;
  Reported reported;
};
static_assert(std::is_trivially_destructible_v<Control>);

bool has_session(const Control& control) { return control.connection->session.record != nullptr; }

session::Record& record_of(Control& control) { return *control.connection->session.record; }

[[noreturn]] void violation(const char* what) {
  ereport(ERROR, errcode(ERRCODE_PROTOCOL_VIOLATION),
          errmsg("unexpected request from a clone's helper: %s", what));
  pg_unreachable();
}

session::Stage stage_of(const Control& control) {
  if (!has_session(control)) return control.is_listing ? session::Stage::kSurvey : session::Stage::kNone;
  session::Stage stage = session::stage_of(control.connection->session);
  return control.is_listing && stage == session::Stage::kOpen ? session::Stage::kListing : stage;
}

// What is asked for out of turn is refused, well-formed or not.
template <class Message>
Message decode_or_fail(Control& control, Bytes request) {
  session::require(stage_of(control), Message::kKind);
  Message message;
  if (!protocol::decode(request, message)) violation("malformed");
  return message;
}

// The mean of the streams that are connected.
void put_shares(const session::SessionArea& area, Status& status) {
  std::uint32_t link = 0, disk = 0, cpu = 0, count = 0;
  for (const session::StreamSlot& slot : area.streams) {
    if (slot.pid == 0) continue;
    std::uint32_t shares = pg_atomic_read_u32(const_cast<pg_atomic_uint32*>(&slot.shares));
    link += shares & 0xFF;
    disk += shares >> 8 & 0xFF;
    cpu += shares >> 16 & 0xFF;
    ++count;
  }
  if (count == 0) return;
  status.link_share = static_cast<std::uint8_t>(link / count);
  status.disk_share = static_cast<std::uint8_t>(disk / count);
  status.cpu_share = static_cast<std::uint8_t>(cpu / count);
}

// Half of what is free: a clone that helps itself leaves room for others.
std::uint16_t spare_streams() {
  int free = MaxConnections - CountDBConnections(InvalidOid);
  return static_cast<std::uint16_t>(Max(0, free / 2));
}

// Requests are heard also while the helper reads nothing; answers to them must not pile up.
void send_status(Control& control) {
  control.status_owed = pq_is_send_pending();
  if (control.status_owed) return;
  session::View seen = session::look(control.connection->session);
  session::Record& record = record_of(control);
  Status status;
  status.id = seen.id;
  status.state = seen.state;
  status.phase = seen.phase;
  status.handed_over = seen.handed_over;
  status.lease_over = seen.lease_over;
  status.start_lsn = seen.start_lsn;
  status.start_timeline = seen.start_timeline;
  status.checksum_failures = pg_atomic_read_u64(&record.checksum_failures);
  status.wal_retained = pg_atomic_read_u64(&record.wal_retained);
  status.max_rate = pg_atomic_read_u64(&control.connection->session.area->max_rate);
  if (seen.phase >= protocol::Phase::kStarting && record.slot_name[0] != '\0') {
    slots::Consumer standby = slots::consumer_of(record.slot_name);
    status.standby_streams = standby.is_streaming;
    status.standby_replayed = standby.replayed;
  }
  put_shares(*control.connection->session.area, status);
  status.spare_streams = spare_streams();
  status.method = record.method;
  status.error = view(seen.error);
  control.reported = {seen.state, seen.phase, seen.handed_over, seen.id,
                      status.checksum_failures};
  send_message(status);
}

// --- begin ------------------------------------------------------------------

struct SlotCensus {
  int free;
  bool exists, is_active, is_logical, is_lost;
};

SlotCensus count_slots(const char* name) {
  SlotCensus census{};
  census.free = max_replication_slots;
  pg::for_each_slot([&](const pg::Slot& slot) {
    --census.free;
    if (std::strcmp(slot.name, name) != 0) return;
    census.exists = true;
    census.is_active = slot.holder != 0;
    census.is_lost = slot.is_lost;
    census.is_logical = slot.is_logical;
  });
  return census;
}

void check_slot(const char* name, bool given, bool must_be_made, const char* target) {
  SlotCensus census = count_slots(name);
  bool wanted = name[0] != '\0';
  if (wanted) pg::check_slot_name(name);
  if (wanted && given && !census.exists)
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_OBJECT),
            errmsg("replication slot \"%s\" does not exist", name),
            errhint("Create it with pg_create_physical_replication_slot(), or leave --slot out: the "
                    "clone then makes its own."));
  if (census.is_logical)
    ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
            errmsg("replication slot \"%s\" is a logical one", name),
            errhint("Choose another --name or --slot."));
  if (census.is_active)
    ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
            errmsg("replication slot \"%s\" is active: a standby uses it", name),
            errhint("Stop that standby first, or choose another --name or --slot."));
  char owner[NAMEDATALEN];
  bool is_owned = census.exists && slots::find_owner(name, owner);
  if (is_owned && std::strcmp(owner, target) != 0)
    ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
            errmsg("replication slot \"%s\" was made for a clone to \"%s\", which has not completed", name, owner),
            errhint("Choose another --slot; or run that clone again, or drop the slot."));
  // One that an earlier clone of this name has left behind is dropped, and made.
  if (must_be_made && census.exists && !is_owned)
    ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("replication slot \"%s\" already exists", name),
            errhint("Leave --create-slot out to use it as it is, or name another with --slot."));
  if (given && census.is_lost)
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("replication slot \"%s\" is lost: it held more WAL than max_slot_wal_keep_size allows",
                   name),
            errhint("Drop it and create it again, or leave --slot out."));
  int needed = 1 + (wanted && !census.exists ? 1 : 0);
  if (census.free < needed)
    ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
            errmsg("a clone needs %d free replication slots, this server has %d", needed,
                   census.free),
            errhint("Drop unused slots, or raise max_replication_slots."));
}

void send_begun(Control& control) {
  char slot[NAMEDATALEN];
  worker::temporary_slot_name(slot, control.connection->session.generation);
  protocol::Begun begun;
  begun.token = record_of(control).token;
  begun.hash_seed = record_of(control).hash_seed;
  begun.temporary_slot = view(slot);
  send_message(begun);
}

void begin(Control& control, const protocol::Begin& request) {
  if (request.target.empty() || request.target.size() >= NAMEDATALEN) violation("bad target name");
  if (request.slot_name.size() >= NAMEDATALEN) violation("bad slot name");
  if (request.streams < 1 || request.streams > settings::max_streams)
    ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
            errmsg("%u streams were asked for, this server allows %d", request.streams,
                   settings::max_streams),
            errhint("Use fewer --jobs, or raise pg_standby_clone.max_streams."));
  if (request.compression > protocol::Compression::kAuto) violation("unknown compression");
  if (static_cast<int>(request.method) >= protocol::kMethodCount) violation("unknown method");
  if ((request.method == protocol::Method::kReplay) != (request.replay_from != 0))
    violation("replay from nowhere, or a copy from somewhere");
  if (request.request_id < 0) violation("bad request number");
  if (request.request_id > 0 && RecoveryInProgress())
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("request %lld cannot be carried out from a standby",
                   static_cast<long long>(request.request_id)),
            errhint("Requests are the primary's; clone from the primary."));

  session::Wishes wishes{};
  wishes.target = checked_cstring(request.target, "the name");
  wishes.destination = checked_cstring(request.destination, "the destination");
  wishes.slot_name = checked_cstring(request.slot_name, "the slot's name");
  wishes.label = checked_cstring(request.label, "the label");
  ClientAddress client_addr;
  copy_client_address(client_addr);
  wishes.client_addr = client_addr;
  wishes.slot_given = request.slot_given == 1;
  wishes.fast_checkpoint = request.fast_checkpoint != 0;
  wishes.verify_checksums = request.verify_checksums != 0;
  wishes.advance_slot = request.advance_slot != 0;
  wishes.in_recovery = RecoveryInProgress();
  wishes.request_id = request.request_id;
  wishes.request_uuid = checked_cstring(request.request_uuid, "the request's uuid");
  wishes.records = wishes.in_recovery ? InvalidOid : control.connection->records;
  wishes.compression = request.compression;
  wishes.compression_level = request.compression_level;
  wishes.streams = request.streams;
  wishes.max_rate = request.max_rate;
  wishes.wal_sender_pid = request.wal_sender_pid;
  wishes.gentle = request.gentle != 0;
  wishes.replay_from = request.replay_from;
  wishes.method = request.method;
  check_slot(wishes.slot_name, wishes.slot_given, request.slot_given == 2, wishes.target);

  control.connection->session = session::open_session(wishes);
  control.worker = worker::start(control.connection->session);
  control.begun_ms = session::monotonic_ms();
  send_begun(control);
}

void inherit(Control& control) {
  if (session::row_of(stage_of(control)).may_inherit) return send_begun(control);
  end_clone(control.connection->session, State::kFailed, protocol::kHelperStartedAgain);
}

// The worker ended when the slot was the standby's already, and left to the helper's word how the clone went.
void settle(Control& control, State outcome) {
  session::Record& record = record_of(control);
  char owner[NAMEDATALEN];
  bool is_ours = record.slot_name[0] != '\0' && slots::find_owner(record.slot_name, owner) &&
                 std::strcmp(owner, record.target) == 0;
  if (is_ours && outcome == State::kCompleted) slots::disown(record.slot_name);
  if (is_ours && outcome != State::kCompleted) slots::drop(record.slot_name);
  session::finish(control.connection->session, outcome, outcome == State::kCompleted ? "" : "the helper gave up");
}

// A worker that could not be started (no process slot when its turn came) tells
// nobody; its handle does, or once it has been there its absence.
void check_worker(Control& control) {
  session::View seen = session::look(control.connection->session);
  if (protocol::is_ended(seen.state)) return;
  pid_t pid = 0;
  bool is_gone = control.worker != nullptr
                     ? GetBackgroundWorkerPid(control.worker, &pid) == BGWH_STOPPED
                     : seen.phase >= protocol::Phase::kCheckpoint && seen.worker_pid == 0;
  if (!is_gone) return;
  // In a shutdown of the server this process has been told to end as well.
  check_interrupts();
  control.worker = nullptr;
  if (seen.handed_over) {
    if (protocol::is_ended(seen.outcome)) settle(control, seen.outcome);
    return;
  }
  session::finish(control.connection->session, State::kFailed,
                  "the clone worker ended before it could say why; see the server's log");
}

// --- list -------------------------------------------------------------------

void serve_meanwhile(Control& control);

struct Batch {
  Control* control;
  std::byte* bytes;
  std::size_t used;
  std::uint64_t entry_count;
  std::uint64_t bytes_total;
};

constexpr std::size_t kBatchSize = 32 * 1024;

// Until the clone or the conversation ends, or another connection has taken this one's place and says End.
bool goes_on(const Control& control) {
  session::Stage stage = stage_of(control);
  return (stage == session::Stage::kListing || stage == session::Stage::kSurvey) &&
         !control.connection->channel.copy_done;
}

// Of a long answer.
template <class Message>
void send_part(Control& control, const Message& part) {
  while (pq_is_send_pending() && goes_on(control)) {
    wait_channel(control.connection->channel, kWaitMs);
    serve_meanwhile(control);
  }
  if (goes_on(control)) send_message(part);
}

void send_batch(Batch& batch) {
  if (batch.used == 0) return;
  protocol::Entries entries;
  entries.entries = protocol::Bytes(batch.bytes, batch.used);
  send_part(*batch.control, entries);
  batch.used = 0;
}

void add_to_batch(void* context, const protocol::Entry& entry) {
  auto& batch = *static_cast<Batch*>(context);
  constexpr std::size_t kEntryMax = 64 + 2 * MAXPGPATH;
  if (batch.used + kEntryMax > kBatchSize) send_batch(batch);
  protocol::Writer writer(std::span(batch.bytes + batch.used, kBatchSize - batch.used));
  protocol::Entry::fields(writer, entry);
  if (writer.size() == 0) elog(ERROR, "an entry of the clone's list does not fit its buffer");
  batch.used += writer.size();
  ++batch.entry_count;
  batch.bytes_total += entry.size;
}

// For each file, of which there may be millions, each of whose lstat() may take long. What is found goes out at
// least once a second: the helper sees that the list is being made.
bool listen(void* context) {
  auto& batch = *static_cast<Batch*>(context);
  Control& control = *batch.control;
  check_interrupts();
  if (silent_ms() >= protocol::kAliveIntervalMs) {
    if (batch.used == 0 && !has_session(control)) send_message(protocol::Alive{});
    send_batch(batch);
  }
  if (session::monotonic_ms() - control.listened_ms >= kListenMs) serve_meanwhile(control);
  return goes_on(control);
}

void list(Control& control) {
  Batch batch{};
  batch.control = &control;
  batch.bytes = static_cast<std::byte*>(palloc(kBatchSize));
  control.is_listing = true;
  catalogue::list_files(add_to_batch, listen, &batch);
  send_batch(batch);
  bool is_whole = goes_on(control);
  control.is_listing = false;
  pfree(batch.bytes);
  if (!is_whole) return;  // Status has said why
  protocol::ListEnd end;
  end.entry_count = batch.entry_count;
  end.bytes_total = batch.bytes_total;
  if (has_session(control)) pg_atomic_write_u64(&record_of(control).bytes_total, batch.bytes_total);
  send_message(end);
}

// --- changes ----------------------------------------------------------------

// A summarizer that has read nothing for so long, though there is WAL to read, is not waited for.
constexpr std::uint64_t kSummarizerStuckMs = 20 * 1000;

const char* with_position(const char* words, XLogRecPtr at) {
  return psprintf("%s %X/%X", words, static_cast<unsigned>(at >> 32), static_cast<unsigned>(at));
}

// Of [since, until) of the history of `timeline`, waited for until the summarizer is there. Empty: they are there;
// otherwise why they will not be.
const char* wait_for_summaries(Control& control, TimeLineID timeline, XLogRecPtr since, XLogRecPtr until,
                               changes::Summaries& summaries) {
  XLogRecPtr at = InvalidXLogRecPtr;
  std::uint64_t moved_ms = session::monotonic_ms();
  while (goes_on(control)) {
    // Before the look: a summary is there before it is counted as done.
    XLogRecPtr done = compat::summarized_up_to();
    summaries = changes::find_summaries(timeline, since, until);
    if (summaries.covered >= until) return "";
    if (!compat::summarizes_wal()) return "the donor does not summarize WAL";
    if (summaries.covered < Min(done, until))
      return with_position("the donor has no WAL summary of", summaries.covered);
    pfree(summaries.files);
    std::uint64_t now = session::monotonic_ms();
    if (compat::summarizer_at() != at) {
      at = compat::summarizer_at();
      moved_ms = now;
    }
    if (now - moved_ms > kSummarizerStuckMs)
      return with_position("the donor's WAL summarizer stands still at", at);
    compat::wake_summarizer();
    wait_channel(control.connection->channel, static_cast<long>(kListenMs));
    serve_meanwhile(control);
  }
  return "the clone has ended";
}

void send_forks(void* context, protocol::Bytes forks) {
  protocol::Changed changed;
  changed.forks = forks;
  send_part(*static_cast<Control*>(context), changed);
}

// Passes on what the merge finds, and listens.
struct Changing {
  Control* control;
  changes::Packer packer;

  static Changing& of(void* context) { return *static_cast<Changing*>(context); }
  static void begin(void* context, const changes::Fork& fork) { of(context).packer.begin(fork); }
  static void add(void* context, std::uint32_t first, std::uint32_t count) { of(context).packer.add(first, count); }
  static void end(void* context) { of(context).packer.end(); }
  static bool listen(void* context) {
    Control& control = *of(context).control;
    check_interrupts();
    if (session::monotonic_ms() - control.listened_ms >= kListenMs) serve_meanwhile(control);
    return goes_on(control);
  }
};

void answer_changes(Control& control, const protocol::Changes& request) {
  session::View seen = session::look(control.connection->session);
  control.is_listing = true;
  changes::Summaries summaries{};
  const char* why_not =
      wait_for_summaries(control, seen.start_timeline, request.since, seen.start_lsn, summaries);
  auto* buffer = static_cast<std::byte*>(palloc(kBatchSize));
  Changing changing{&control, changes::Packer(std::span(buffer, kBatchSize), send_forks, &control)};
  if (why_not[0] == '\0') {
    changes::Taker taker{&changing, Changing::begin, Changing::add, Changing::end, Changing::listen};
    const char* failure = changes::for_each_change(summaries, taker);
    if (failure != nullptr) why_not = failure;
    changing.packer.flush();
  }
  bool is_heard = goes_on(control);
  control.is_listing = false;
  pfree(buffer);
  if (!is_heard) return;  // Status has said why
  protocol::ChangesEnd end;
  end.is_whole = why_not[0] == '\0';
  end.fork_count = changing.packer.fork_count();
  end.reason = view(why_not);
  // Where summaries are, they name what was made or moved.
  if (!end.is_whole) changes::find_young_databases(request.young_from, end);
  send_message(end);
}

void answer_wal_hash(const protocol::WalHash& request) {
  if (request.from >= request.to || request.to - request.from > protocol::kWalHashMax)
    violation("WAL of no such length");
  send_message(changes::hash_wal(request));
}

// --- the rest ---------------------------------------------------------------

// The helper has made another WAL connection. The old one may be one that only this server
// takes for alive.
void follow_wal_sender(Control& control, pid_t now) {
  session::SessionArea& area = *control.connection->session.area;
  session::Locked::begin(LW_SHARED);
  bool is_other = now != 0 && now != area.wal_sender_pid;
  session::Locked::end();
  if (!is_other) return;
  worker::terminate_wal_sender(control.connection->session);
  session::Locked::begin();
  area.wal_sender_pid = now;
  session::Locked::end();
}

void raise(pg_atomic_uint64& counter, std::uint64_t least) {
  std::uint64_t seen = pg_atomic_read_u64(&counter);
  while (seen < least && !pg_atomic_compare_exchange_u64(&counter, &seen, least)) {
  }
}

void beat(Control& control, const protocol::Heartbeat& heartbeat) {
  if (heartbeat.phase > session::row_of(stage_of(control)).furthest)
    violation("a phase beyond what it has asked for");
  session::Record& record = record_of(control);
  if (heartbeat.method != record.method) {
    if (record.method != protocol::Method::kChanges || heartbeat.method != protocol::Method::kCompare)
      violation("another method than it began with");
    record.method = heartbeat.method;
  }
  pg_atomic_write_u64(&record.heartbeat_ms, session::monotonic_ms());
  session::enter_attached(control.connection->session, true);
  follow_wal_sender(control, heartbeat.wal_sender_pid);
  pg_atomic_write_u64(&record.durable_lsn, heartbeat.durable_lsn);
  pg_atomic_write_u64(&record.files_done, heartbeat.files_done);
  if (heartbeat.files_total > 0) {
    pg_atomic_write_u64(&record.files_total, heartbeat.files_total);
    pg_atomic_write_u64(&record.bytes_total, heartbeat.bytes_total);
    // The streams do not count pages that were kept. All is read: what was sent twice is counted once.
    if (heartbeat.phase > protocol::Phase::kCopying)
      pg_atomic_write_u64(&record.bytes_done, heartbeat.bytes_done);
    else
      raise(record.bytes_done, heartbeat.bytes_done);
    pg_atomic_write_u64(&record.bytes_kept, heartbeat.bytes_kept);
  }
  // Up to kCopying the worker alone knows; afterwards the helper does.
  if (heartbeat.phase > protocol::Phase::kCopying)
    session::enter_phase(control.connection->session, heartbeat.phase);
  send_status(control);
}

// A sign of life; nothing waits for it.
void hear_of_pause(Control& control) {
  pg_atomic_write_u64(&record_of(control).heartbeat_ms, session::monotonic_ms());
  ereport(DEBUG1, errmsg("pg_standby_clone: the helper of clone %lld has stopped asking",
                         static_cast<long long>(record_of(control).id)));
}

void request_end(Control& control) {
  session::Record& record = record_of(control);
  session::Locked::begin();
  record.end_requested = true;
  pid_t worker = record.worker_pid;
  session::Locked::end();
  session::wake(worker);
  control.label_awaited = true;
}

void acknowledge_label(Control& control) {
  session::Record& record = record_of(control);
  session::Locked::begin();
  record.ack_requested = true;
  pid_t worker = record.worker_pid;
  session::Locked::end();
  session::wake(worker);
}

void report_outcome(Control& control, const protocol::Outcome& outcome) {
  if (!protocol::is_ended(outcome.state) || outcome.state > State::kCancelled)
    violation("an outcome that is none");
  session::Stage stage = stage_of(control);
  if (outcome.state == State::kCompleted && !session::row_of(stage).may_complete)
    violation("a clone that is complete before its slot is handed over");
  const char* error = outcome.error.empty() ? "" : checked_cstring(outcome.error, "the error");
  end_clone(control.connection->session, outcome.state, error[0] != '\0' ? error : "the helper gave up");
}

void send_label(Control& control) {
  session::View seen = session::look(control.connection->session);
  const session::SessionArea& area = *control.connection->session.area;
  protocol::Label label;
  label.start_lsn = seen.start_lsn;
  label.start_timeline = seen.start_timeline;
  label.stop_lsn = seen.stop_lsn;
  label.stop_timeline = seen.stop_timeline;
  label.new_tablespaces = view(area.new_tablespaces);
  label.backup_label.text = {area.backup_label, area.label_size};
  send_message(label);
  control.label_awaited = false;
}

void dispatch(Control& control, Bytes request) {
  using Kind = protocol::RequestKind;
  switch (protocol::kind_of<Kind>(request)) {
    case Kind::kProbe: return answer_probe(decode_or_fail<protocol::Probe>(control, request));
    case Kind::kSurvey:
      return send_message(changes::survey(decode_or_fail<protocol::Survey>(control, request)));
    case Kind::kWalHash: return answer_wal_hash(decode_or_fail<protocol::WalHash>(control, request));
    case Kind::kBegin: return begin(control, decode_or_fail<protocol::Begin>(control, request));
    case Kind::kInherit:
      decode_or_fail<protocol::Inherit>(control, request);
      return inherit(control);
    case Kind::kList:
      decode_or_fail<protocol::List>(control, request);
      return list(control);
    case Kind::kChanges: return answer_changes(control, decode_or_fail<protocol::Changes>(control, request));
    case Kind::kHeartbeat: return beat(control, decode_or_fail<protocol::Heartbeat>(control, request));
    case Kind::kPauseAck:
      decode_or_fail<protocol::PauseAck>(control, request);
      return hear_of_pause(control);
    case Kind::kEnd:
      decode_or_fail<protocol::End>(control, request);
      return request_end(control);
    case Kind::kAckLabel:
      decode_or_fail<protocol::AckLabel>(control, request);
      return acknowledge_label(control);
    case Kind::kOutcome:
      return report_outcome(control, decode_or_fail<protocol::Outcome>(control, request));
    default: violation("not one of a control connection");
  }
}

// Tells the helper what has changed without its asking.
void report_changes(Control& control) {
  session::View seen = session::look(control.connection->session);
  const Reported& last = control.reported;
  if (seen.label_ready && control.label_awaited) send_label(control);
  std::uint64_t failures = pg_atomic_read_u64(&record_of(control).checksum_failures);
  if (control.status_owed || seen.state != last.state || seen.phase != last.phase ||
      seen.handed_over != last.handed_over || seen.id != last.id ||
      failures != last.checksum_failures)
    send_status(control);
}

void reattach(Control& control) {
  session::Record& record = record_of(control);
  session::Locked::begin();
  pid_t previous = record.control_pid;
  record.control_pid = MyProcPid;
  if (previous != 0 && previous != MyProcPid) kill(previous, SIGTERM);
  session::Locked::end();
  pg_atomic_write_u64(&record.heartbeat_ms, session::monotonic_ms());
  session::enter_attached(control.connection->session, true);
  send_status(control);
}

// A helper that hears that its clone has ended closes the connection. One that does not
// react is frozen: what it reads when it wakes up is in its socket already. So is one whose lease is over.
void leave_silent_helper(Control& control) {
  session::View seen = session::look(control.connection->session);
  if (!protocol::is_ended(seen.state)) return;
  std::uint64_t now = session::monotonic_ms();
  if (control.ended_ms == 0) control.ended_ms = now;
  if (!seen.lease_over && now - control.ended_ms < kGraceMs) return;
  session::refuse_ended(control.connection->session);
}

void look_after(Control& control) {
  if (!has_session(control)) return;
  check_worker(control);
  report_changes(control);
  leave_silent_helper(control);
}

// In the middle of a list.
void serve_meanwhile(Control& control) {
  control.listened_ms = session::monotonic_ms();
  Bytes request;
  while (take_request(control.connection->channel, request)) {
    check_interrupts();
    dispatch(control, request);
  }
  look_after(control);
}

}  // namespace

void end_clone(const session::Handle& session, State outcome, const char* error) {
  if (session::stage_of(session) == session::Stage::kOver) return;
  if (outcome != State::kCompleted) session::note_error(session, error);
  session::Record& record = *session.record;
  session::Locked::begin();
  record.outcome = outcome;
  pid_t worker = record.worker_pid;
  session::Locked::end();
  // In the wait for the checkpoint only a cancel is heard.
  if (outcome != State::kCompleted) worker::interrupt(session);
  session::wake(worker);
}

void serve_control(Connection& connection, const protocol::Hello& hello) {
  Control control{};
  control.connection = &connection;
  set_ps_display("standby clone control");
  if (hello.token != protocol::Token{}) reattach(control);
  while (true) {
    Bytes request;
    if (take_request(connection.channel, request)) {
      check_interrupts();
      dispatch(control, request);
    } else if (connection.channel.copy_done) {
      return;
    } else {
      wait_channel(connection.channel, kWaitMs);
    }
    look_after(control);
  }
}

}  // namespace sender
