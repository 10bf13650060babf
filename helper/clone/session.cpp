// session.cpp: reaching the donor.
#include "helper/clone/session.h"

#include <fmt/format.h>
#include <unistd.h>

#include "helper/preflight/donor.h"
#include "helper/preflight/preflight.h"
#include "helper/wal/receiver.h"

namespace standby_clone {
namespace {

std::string destination_of(const Options& options) {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return std::string(name) + ":" + options.data_directory;
}

}  // namespace

void Session::connect() {
  connection_ = std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase, nullptr, stop_);
  address_ = connection_->address();
  std::string schema = find_extension(*connection_);
  check(schema);
  procedure_ = schema + ".pg_standby_clone_stream()";
  if (options_.start) hot_settings_ = read_hot_settings(*connection_);
  donor_ = enter(*connection_, procedure_, {}, 0, stop_);
  control_ = std::make_unique<Control>(*connection_, stop_);
  // Before anything is begun: this shows whether the standby will be let in, too.
  wal_connection_ =
      std::make_unique<Connection>(donor_of(options_), Purpose::kReplication, &address_, stop_);
  identify(*wal_connection_, donor_.system_identifier);
  if (!options_.stream_wal) wal_connection_.reset();

  stream_count_ = std::min(options_.jobs, donor_.max_streams);
  if (stream_count_ < options_.jobs)
    progress_.note(fmt::format("the donor allows {} streams (pg_standby_clone.max_streams)",
                               stream_count_));
  if (options_.verify_checksums && !donor_.has_checksums)
    progress_.detail("the donor has no page checksums to verify");
}

void Session::check(const std::string& schema) const {
  Findings findings = check_donor(options_, *connection_, schema, stop_);
  for (const auto& finding : findings.all())
    if (finding.verdict == Verdict::kWarning)
      progress_.warn(finding.hint.empty() ? finding.detail : finding.detail + "\n" + finding.hint);
  findings.stop_on_error();
}

void Session::begin() {
  protocol::Begin request;
  std::string destination = destination_of(options_);
  request.target = options_.name;
  request.destination = destination;
  request.slot_name = options_.slot;
  request.label = options_.label;
  request.slot_given = options_.slot_given;
  request.fast_checkpoint = options_.fast_checkpoint;
  request.verify_checksums = options_.verify_checksums;
  request.advance_slot = options_.stream_wal;
  request.compression = options_.compression;
  request.compression_level = options_.compression_level;
  request.streams = stream_count_;
  request.max_rate = options_.max_rate;
  request.wal_sender_pid = wal_connection_ ? wal_connection_->backend_pid() : 0;
  facts_ = control_->begin(request);
}

std::unique_ptr<Connection> Session::open_stream(std::uint16_t number) const {
  auto connection =
      std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase, &address_, stop_);
  enter(*connection, procedure_, facts_.token, number, stop_);
  return connection;
}

std::optional<bool> Session::standby_streams_by_name() {
  if (!watch_)
    watch_ = std::make_unique<Connection>(donor_of(options_), Purpose::kDatabase, &address_, stop_);
  Rows rows = watch_->query(
      fmt::format("SELECT pg_catalog.count(*) FILTER (WHERE application_name = {} AND state = "
                  "'streaming'), pg_catalog.count(*) FILTER (WHERE state IS NULL) "
                  "FROM pg_catalog.pg_stat_replication",
                  quote_literal(options_.name)),
      Kind::kLostDonor);
  if (rows.empty() || rows[0][0] != "0") return true;
  if (rows[0][1] != "0") return std::nullopt;
  return false;
}

std::string Session::standby_conninfo() const {
  return connection_->standby_conninfo(options_.name, options_.write_password,
                                       donor_.server_version >= 170000);
}

}  // namespace standby_clone
