// survey.cpp: the list of files as `check` asks for it.
#include "helper/preflight/survey.h"

#include <chrono>
#include <fmt/format.h>

#include "helper/base/size.h"
#include "protocol/version.h"

namespace standby_clone {
namespace {

using Clock = std::chrono::steady_clock;

Message next_message(Connection& connection, const StopSource& stop) {
  auto deadline = Clock::now() + kAnswerLimit;
  while (true) {
    if (auto message = connection.receive()) return std::move(*message);
    if (stop.requested()) fail(Kind::kCancelled, "stopped");
    if (connection.copy_ended() || Clock::now() > deadline)
      fail(Kind::kLostDonor, fmt::format("the donor said nothing of its files for {} s", kAnswerLimit.count()),
           "Look at what its processes wait for (pg_stat_activity).");
    connection.wait(1000);
  }
}

template <class Frame>
Frame decode_or_distrust(const Message& message) {
  Frame frame;
  if (!protocol::decode(message.bytes(), frame))
    fail(Kind::kCorrupted, "the donor's answer cannot be trusted: a frame is malformed",
         "Check that both hosts run the same pg_standby_clone.");
  return frame;
}

}  // namespace

FileList list_files_of(Connection& connection, const std::string& schema, const StopSource& stop,
                       const std::function<void(std::size_t)>& tell) {
  connection.start_copy_both("CALL " + schema + ".pg_standby_clone_stream()", Kind::kPreflight);
  protocol::Hello hello;
  hello.protocol_version = protocol::kProtocolVersion;
  hello.backend_pid = connection.backend_pid();
  hello.helper_version = protocol::kVersion;
  connection.send_request(hello);
  decode_or_distrust<protocol::Welcome>(next_message(connection, stop));
  connection.send_request(protocol::List{});
  FileList list;
  while (true) {
    Message message = next_message(connection, stop);
    auto kind = protocol::kind_of<protocol::FrameKind>(message.bytes());
    if (kind == protocol::FrameKind::kAlive) continue;
    if (kind == protocol::FrameKind::kListEnd) {
      list.check_end(decode_or_distrust<protocol::ListEnd>(message));
      return list;
    }
    list.add_batch(decode_or_distrust<protocol::Entries>(message));
    tell(list.files.size());
  }
}

void take_sizes(const FileList& list, DonorReport& report, Findings& findings) {
  report.data.bytes = list.bytes_total;
  for (const Tablespace& tablespace : list.tablespaces) {
    DonorPlace place{tablespace.target, 0};
    std::string prefix = tablespace.path + "/";
    for (const File& file : list.files)
      if (list.path(file).starts_with(prefix)) place.bytes += file.size;
    report.data.bytes -= place.bytes;
    std::erase_if(report.tablespaces, [&](const DonorPlace& known) { return known.directory == place.directory; });
    report.tablespaces.push_back(place);
  }
  findings.ok("size", fmt::format("{} in {} files{}", human_size(list.bytes_total), list.files.size() + 1,
                                  list.tablespaces.empty()
                                      ? ""
                                      : fmt::format(", {} tablespaces outside the data directory",
                                                    list.tablespaces.size())));
  std::string skipped;
  for (const auto& [path, why] : list.skipped) skipped += fmt::format("\n{} {}", path, why);
  if (!skipped.empty())
    findings.warn("links", "links and special files do not travel:" + skipped,
                  "Put what the standby needs of them there by hand.");
}

}  // namespace standby_clone
