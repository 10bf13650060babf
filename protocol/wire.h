// wire.h: how fields become bytes and back. A message names its fields once, in
// fields(); the writer and the reader both walk that list, so the two sides
// cannot disagree. Integers are little-endian; a text is a 16-bit (Text) or
// 32-bit (LongText) length and its bytes; fixed byte arrays go as they are.
//
// Nothing here allocates, throws or owns: both sides may leave by longjmp.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace protocol {

using Bytes = std::span<const std::byte>;
using Text = std::string_view;

// A text that may be longer than 64 KiB - 1. Points into the message it was
// read from.
struct LongText {
  std::string_view text;
};

template <class T>
concept Number = std::integral<T> || std::is_enum_v<T>;

class Writer {
 public:
  explicit Writer(std::span<std::byte> out) : out_(out) {}

  template <class... F>
  void operator()(const F&... field) { (put(field), ...); }

  // Bytes written; 0 when they did not fit.
  std::size_t size() const { return fits_ ? used_ : 0; }

 private:
  template <Number T>
  void put(const T& value) {
    auto bits = static_cast<std::uint64_t>(value);
    std::array<std::byte, sizeof(T)> raw;
    for (std::size_t index = 0; index < sizeof(T); ++index)
      raw[index] = static_cast<std::byte>(bits >> (8 * index));
    put(raw);
  }
  template <std::size_t N>
  void put(const std::array<std::byte, N>& raw) { put_bytes(raw.data(), N); }
  void put(const Text& text) {
    if (text.size() > UINT16_MAX) fits_ = false;
    put(static_cast<std::uint16_t>(text.size()));
    put_bytes(text.data(), text.size());
  }
  void put(const LongText& text) {
    if (text.text.size() > UINT32_MAX) fits_ = false;
    put(static_cast<std::uint32_t>(text.text.size()));
    put_bytes(text.text.data(), text.text.size());
  }
  void put(const Bytes& rest) { put_bytes(rest.data(), rest.size()); }
  void put_bytes(const void* from, std::size_t size) {
    if (!fits_ || size > out_.size() - used_) {
      fits_ = false;
      return;
    }
    if (size > 0) std::memcpy(out_.data() + used_, from, size);
    used_ += size;
  }

  std::span<std::byte> out_;
  std::size_t used_ = 0;
  bool fits_ = true;
};

class Reader {
 public:
  explicit Reader(Bytes in) : in_(in) {}

  template <class... F>
  void operator()(F&... field) { (get(field), ...); }

  bool good() const { return good_; }
  bool at_end() const { return used_ == in_.size(); }

 private:
  template <Number T>
  void get(T& value) {
    std::array<std::byte, sizeof(T)> raw{};
    get(raw);
    std::uint64_t bits = 0;
    for (std::size_t index = 0; index < sizeof(T); ++index)
      bits |= static_cast<std::uint64_t>(raw[index]) << (8 * index);
    value = static_cast<T>(bits);
  }
  template <std::size_t N>
  void get(std::array<std::byte, N>& raw) {
    Bytes bytes = take(N);
    if (bytes.size() == N) std::memcpy(raw.data(), bytes.data(), N);
  }
  void get(Text& text) {
    std::uint16_t size = 0;
    get(size);
    text = as_text(take(size));
  }
  void get(LongText& text) {
    std::uint32_t size = 0;
    get(size);
    text.text = as_text(take(size));
  }
  // All that is left.
  void get(Bytes& rest) { rest = take(in_.size() - used_); }

  Bytes take(std::size_t size) {
    if (!good_ || size > in_.size() - used_) {
      good_ = false;
      return {};
    }
    Bytes taken = in_.subspan(used_, size);
    used_ += size;
    return taken;
  }
  static Text as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  Bytes in_;
  std::size_t used_ = 0;
  bool good_ = true;
};

// A whole message: its kind, then its fields. Returns the bytes written, 0 when
// `out` is too small.
template <class Message>
std::size_t encode(std::span<std::byte> out, const Message& message) {
  Writer writer(out);
  writer(Message::kKind);
  Message::fields(writer, message);
  return writer.size();
}

// False if `in` is not exactly one such message: another kind, too short, or
// bytes left over. Texts in `message` point into `in`. Enumerators and limits
// are the caller's to check: valid(message) where a message has one.
template <class Message>
bool decode(Bytes in, Message& message) {
  Reader reader(in);
  std::remove_const_t<decltype(Message::kKind)> kind{};
  reader(kind);
  if (kind != Message::kKind) return false;
  Message::fields(reader, message);
  return reader.good() && reader.at_end();
}

// The first byte of a message; 0 for an empty one.
template <class Kind>
Kind kind_of(Bytes in) {
  return in.empty() ? Kind{} : static_cast<Kind>(in.front());
}

}  // namespace protocol
