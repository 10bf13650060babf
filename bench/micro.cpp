// micro.cpp: what each byte of a clone goes through, one by one (`make micro-bench`).
#include <benchmark/benchmark.h>

#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#include <cstring>
#include <random>
#include <vector>

#include "extension/sender/page_checksum.h"
#include "protocol/crc32c.h"
#include "protocol/frame.h"

namespace {

constexpr std::size_t kFrame = protocol::kFramePlainMax;

// Half random, half repeated: as hard for none of these as for a table.
std::vector<std::byte> bytes_of(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::mt19937_64 random(1);
  for (std::size_t at = 0; at < size; ++at)
    bytes[at] = at / 64 % 2 == 0 ? static_cast<std::byte>(random()) : std::byte{0x20};
  return bytes;
}

void count(benchmark::State& state, std::size_t size) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * size));
}

void frame_crc(benchmark::State& state) {
  auto bytes = bytes_of(kFrame);
  for (auto _ : state) benchmark::DoNotOptimize(protocol::crc32c(bytes));
  count(state, kFrame);
}
BENCHMARK(frame_crc);

void frame_crc_and_copy(benchmark::State& state) {
  auto bytes = bytes_of(kFrame);
  std::vector<std::byte> to(kFrame);
  for (auto _ : state) benchmark::DoNotOptimize(protocol::copy_with_crc32c(to.data(), bytes));
  count(state, kFrame);
}
BENCHMARK(frame_crc_and_copy);

void copy_alone(benchmark::State& state) {
  auto bytes = bytes_of(kFrame);
  std::vector<std::byte> to(kFrame);
  for (auto _ : state) {
    std::memcpy(to.data(), bytes.data(), kFrame);
    benchmark::ClobberMemory();
  }
  count(state, kFrame);
}
BENCHMARK(copy_alone);

void frame_encode_and_decode(benchmark::State& state) {
  auto payload = bytes_of(64);
  std::vector<std::byte> buffer(1024);
  for (auto _ : state) {
    protocol::Data data;
    data.tag = 7;
    data.plain_size = 64;
    data.payload = payload;
    std::size_t size = protocol::encode(std::span(buffer), data);
    protocol::Data back;
    benchmark::DoNotOptimize(protocol::decode({buffer.data(), size}, back));
  }
}
BENCHMARK(frame_encode_and_decode);

void zero_search(benchmark::State& state) {
  std::vector<char> bytes(kFrame);
  for (auto _ : state)
    benchmark::DoNotOptimize(std::memcmp(bytes.data(), bytes.data() + 1, kFrame - 1));
  count(state, kFrame);
}
BENCHMARK(zero_search);

void chunk_hash(benchmark::State& state) {
  auto bytes = bytes_of(protocol::kChunkSize);
  for (auto _ : state)
    benchmark::DoNotOptimize(XXH3_128bits_withSeed(bytes.data(), bytes.size(), 42));
  count(state, bytes.size());
}
BENCHMARK(chunk_hash);

void page_checksum(benchmark::State& state) {
  constexpr std::size_t kPage = 8192, kPages = kFrame / kPage;
  auto bytes = bytes_of(kFrame);
  // Pages that are not new (pd_upper set) and whose checksum is wrong: the search goes from
  // one to the next.
  for (std::size_t page = 0; page < kPages; ++page) bytes[page * kPage + 14] = std::byte{1};
  auto* pages = reinterpret_cast<char*>(bytes.data());
  for (auto _ : state)
    for (std::size_t at = 0; at < kPages;)
      at = sender::find_bad_page(pages, at, kPages, 0) + 1;
  count(state, kFrame);
}
BENCHMARK(page_checksum);

void manifest_crc_combine(benchmark::State& state) {
  std::uint32_t crc = 1;
  for (auto _ : state) {
    crc = protocol::crc32c_combine(crc, 0x12345678, protocol::kChunkSize);
    benchmark::DoNotOptimize(crc);
  }
}
BENCHMARK(manifest_crc_combine);

void zstd_frame(benchmark::State& state) {
  auto bytes = bytes_of(kFrame);
  std::vector<char> to(ZSTD_compressBound(kFrame));
  ZSTD_CCtx* context = ZSTD_createCCtx();
  for (auto _ : state)
    benchmark::DoNotOptimize(ZSTD_compressCCtx(context, to.data(), to.size(), bytes.data(), kFrame,
                                               static_cast<int>(state.range(0))));
  ZSTD_freeCCtx(context);
  count(state, kFrame);
}
BENCHMARK(zstd_frame)->Arg(1)->Arg(3)->Arg(5)->Arg(7)->Arg(9)->Arg(12);

}  // namespace

BENCHMARK_MAIN();
