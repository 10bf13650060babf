// stream.h: one connection with its thread: asks for chunks, checks and expands what
// comes, writes it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "helper/connection/connection.h"
#include "helper/disk/aligned_buffer.h"
#include "helper/stream/active_files.h"

struct ZSTD_DCtx_s;

namespace standby_clone {

// What all streams of a clone share. Outlives them.
struct CopyJob {
  const FileList& list;
  Plan& plan;
  ActiveFiles& files;
  CopyCounters& counters;
  const StopSource& stop;
  // Called at once for a page whose checksum is wrong, from any stream's thread.
  std::function<void(const std::string& path, std::uint32_t count, std::uint32_t block)>
      report_bad_pages;
  // While it is set nothing more is asked for.
  const std::atomic<bool>* is_paused = nullptr;
};

class Stream {
 public:
  // `connection` has been welcomed as a stream already.
  Stream(std::unique_ptr<Connection> connection, CopyJob& job);
  ~Stream();

  // Until the plan is empty and all is written, or a stop is requested.
  void run();

  // After run(): a small file into memory (pg_control).
  std::string read_small_file(const std::string& path, std::uint32_t size);

  // Ends the connection in order.
  void close();

 private:
  // A request on its way; answers come in the order of the requests.
  struct Pending {
    std::uint32_t tag = 0;
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    std::uint32_t request_size = 0;
  };
  // The chunk being received.
  struct Chunk {
    std::uint32_t received = 0;
    std::uint32_t crc = 0;
    bool has_content = false;
  };

  bool ask_for_more();
  void handle(const Message& message);
  void take_data(const protocol::Data& data);
  void take_end(const protocol::RangeEnd& end);
  std::uint32_t expand(const protocol::Data& data, std::byte* to);

  std::unique_ptr<Connection> connection_;
  CopyJob& job_;
  AlignedBuffer chunk_bytes_;
  AlignedBuffer expanded_;
  std::unique_ptr<ZSTD_DCtx_s, std::size_t (*)(ZSTD_DCtx_s*)> zstd_;
  std::deque<Pending> pending_;
  Chunk chunk_;
  Piece piece_;                   // what is left of it is asked for next
  bool has_piece_ = false;
  std::uint32_t next_tag_ = 1;
  std::uint32_t plain_outstanding_ = 0;
  std::uint32_t requests_outstanding_ = 0;
};

}  // namespace standby_clone
