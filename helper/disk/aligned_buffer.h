// aligned_buffer.h: memory that O_DIRECT takes.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace standby_clone {

// Enough for every block device in use; statx() may ask for less.
inline constexpr std::size_t kDirectAlignment = 4096;

class AlignedBuffer {
 public:
  explicit AlignedBuffer(std::size_t size)
      : data_(static_cast<std::byte*>(std::aligned_alloc(kDirectAlignment, size))) {
    if (!data_) throw std::bad_alloc();
  }
  std::byte* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace standby_clone
