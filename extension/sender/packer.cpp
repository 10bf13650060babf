// packer.cpp: zstd, its context kept for the life of the stream.
#include "extension/sender/packer.h"

#include <zstd.h>

#include "protocol/frame.h"

namespace sender {
namespace {

using protocol::Compression;

// While a stream sends everything as it is, one frame in so many tells what compression
// would bring; the first one above all: over a slow link the next ones are long in coming.
constexpr std::uint32_t kTrialInterval = 16;

char* output() {
  static char* buffer = nullptr;
  if (buffer == nullptr)
    buffer = static_cast<char*>(MemoryContextAlloc(TopMemoryContext, protocol::kFrameMax));
  return buffer;
}

ZSTD_CCtx* context() {
  static ZSTD_CCtx* zstd = nullptr;
  if (zstd == nullptr) zstd = ZSTD_createCCtx();
  if (zstd == nullptr)
    ereport(ERROR, errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
            errdetail("No zstd compression context could be made."));
  return zstd;
}

}  // namespace

int level_for_next(Packer& packer, const session::SessionArea& area) {
  if (area.compression == Compression::kNone) return 0;
  if (area.compression == Compression::kZstd) return area.compression_level;
  bool is_trial = packer.frames++ % kTrialInterval == 0 &&
                  (packer.control.wants_trial || packer.control.ratio[1] == 0);
  int level = level_of(packer.control);
  if (level == 0 && is_trial) level = kLevels[1];
  return level > 0 && worth_trying(packer.incompressible) ? level : 0;
}

std::span<char> pack(Packer& packer, Meter& meter, int level, std::span<const char> plain) {
  char* payload = output() + protocol::Data::kHeaderSize;
  std::uint64_t began = session::monotonic_us();
  // Only what is smaller than the plain bytes is worth expanding again.
  std::size_t packed = ZSTD_compressCCtx(context(), payload, plain.size() - 1, plain.data(),
                                         plain.size(), level);
  if (ZSTD_isError(packed)) packed = plain.size();
  Window& window = meter.window;
  window.packing_us += session::monotonic_us() - began;
  window.packed_bytes += plain.size();
  window.packed_wire_bytes += packed;
  if (!note_packed(packer.incompressible, plain.size(), packed)) return {};
  return {payload, packed};
}

void judge(Packer& packer, const session::SessionArea& area, session::StreamSlot& slot,
           const Window& window) {
  packer.frames = 0;
  int level = area.compression == Compression::kAuto
                  ? judge_window(packer.control, window, session::monotonic_us())
                  : area.compression_level;
  pg_atomic_write_u32(&slot.compression_level, static_cast<std::uint32_t>(level));
}

}  // namespace sender
