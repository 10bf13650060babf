// stream.h: one connection with its thread: asks for chunks, checks and expands what
// comes, writes it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "helper/base/silence.h"
#include "helper/connection/connection.h"
#include "helper/disk/aligned_buffer.h"
#include "helper/plan/ways.h"
#include "helper/stream/active_files.h"
#include "helper/stream/compare.h"

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
  // Was the donor found silent after this time, by others? A stream that has heard nothing since
  // gives its connection up. Any thread; may be empty.
  std::function<bool(std::chrono::steady_clock::time_point heard)> donor_fell_silent_after = {};
  // A stream gives its connection up that owes it an answer and has been silent for so long while
  // the donor answers elsewhere; 0: never. Any thread; may be empty.
  std::chrono::milliseconds receive_timeout{0};
  std::function<bool()> donor_answers = {};
  // Called before that, with the file that was waited for; may fail with what ends the clone.
  std::function<void(std::string_view path)> on_silence = {};
  // Files that are here are compared, with this seed, and not just read.
  bool compares = false;
  std::uint64_t hash_seed = 0;
  // How each of these becomes current; none: all are compared.
  const Ways* ways = nullptr;
  // Called at once for a file whose pages do not tell when they were written, from any stream's thread: it is
  // compared. May be empty.
  std::function<void(std::string_view path)> report_unreliable = {};
};

class Stream {
 public:
  // `connection` has been welcomed as a stream already.
  Stream(std::unique_ptr<Connection> connection, CopyJob& job);
  ~Stream();

  // Until the plan is empty and all is written, or a stop is requested.
  void run();

  // After run(): a small file into memory (pg_control).
  std::string read_small_file(const std::string& path, std::uint32_t size) { return read_part(path, 0, size); }
  // What there is of a part of a file, into memory; empty if the file is gone. No other request is on its way.
  std::string read_part(const std::string& path, std::uint64_t offset, std::uint32_t size);

  // Ends the connection in order.
  void close();

  // After a lost connection: what was asked for and has not come whole is for others to read.
  void give_back();
  // The file of which the donor owes the next answer; empty: none.
  std::string_view owed() const {
    return pending_.empty() ? std::string_view() : path_of(pending_.front().file);
  }
  bool has_taken_a_chunk() const { return has_taken_a_chunk_; }

 private:
  // A chunk of which only pages are read. Kept by the requests for them.
  struct Patch {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;      // of the chunk, as the donor has it
    bool is_read_again = true;     // for the CRC of all of it
    std::uint32_t read_bytes = 0;
    std::vector<ChunkResult> reads;  // with the CRC that came over the wire
    std::size_t reads_left = 0;
    bool is_gone = false, is_bad = false;
  };
  enum class AskKind { kRead, kCompare, kPageHashes, kNewerPages };
  // A request, to be sent or on its way; answers come in the order of the requests.
  struct Ask {
    AskKind kind = AskKind::kRead;
    std::uint32_t file = 0;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    std::vector<LocalChunk> chunks;  // kCompare: what is here
    std::shared_ptr<Patch> patch;    // kRead: a part of this
    std::uint32_t tag = 0;
    std::uint32_t request_size = 0;
  };
  // The chunk being received.
  struct Chunk {
    std::uint32_t received = 0;
    std::uint32_t crc = 0;
    bool has_content = false;
  };

  bool is_running_low() const;
  // For what comes next. `owed`: the file that the donor owes bytes of, empty if it owes none.
  void wait(std::string_view owed);
  void give_back(std::uint32_t file, const Patch& patch);
  bool ask_for_more();
  bool take_piece();
  void ask_to_read(const Piece& piece);
  void ask_to_compare(const Piece& piece);
  void ask_what_is_newer(const Piece& piece);
  void ask_for_blocks(const Piece& piece, const BlockSet& blocks);
  void ask_for_pages(std::uint32_t file, Patch&& patch, const std::vector<PageRange>& ranges);
  void queue(Ask& ask);
  void handle(const Message& message);
  void take_data(const protocol::Data& data);
  void charge(std::atomic<std::uint64_t>& account);
  std::uint8_t waited_percent() const;
  std::uint32_t expand(const protocol::Data& data, std::byte* to);
  void take_end(const protocol::RangeEnd& end);
  void take_digest(const protocol::Digest& digest);
  void take_page_digest(const protocol::PageDigest& digest);
  void take_newer_digest(const protocol::NewerDigest& digest);
  Ask take_pending(AskKind kind, std::uint32_t tag);
  void patch_done(std::uint32_t file, const Patch& patch);
  void keep(std::uint32_t file, ChunkResult result);
  std::span<const std::byte> read_local(std::uint32_t file, std::uint64_t offset,
                                        std::uint32_t length);
  const File& file_of(std::uint32_t file) const { return job_.list.files[file]; }
  std::string_view path_of(std::uint32_t file) const { return job_.list.path(file_of(file)); }

  std::unique_ptr<Connection> connection_;
  CopyJob& job_;
  AlignedBuffer chunk_bytes_;
  AlignedBuffer expanded_;
  std::optional<AlignedBuffer> local_bytes_;  // what is here; chunk_bytes_ holds what comes
  std::unique_ptr<ZSTD_DCtx_s, std::size_t (*)(ZSTD_DCtx_s*)> zstd_;
  std::deque<Ask> asks_;     // to be sent, before anything else is taken from the plan
  std::deque<Ask> pending_;  // on their way
  Chunk chunk_;
  std::size_t compares_outstanding_ = 0;
  std::chrono::steady_clock::time_point charged_until_;  // of this stream's time
  std::uint64_t lately_us_ = 0, waited_lately_us_ = 0;     // older time counts less
  std::uint32_t next_tag_ = 1;
  std::uint32_t plain_outstanding_ = 0;
  std::uint32_t requests_outstanding_ = 0;
  bool has_taken_a_chunk_ = false;
  std::chrono::steady_clock::time_point heard_ = std::chrono::steady_clock::now();
  Silence silence_;
};

}  // namespace standby_clone
