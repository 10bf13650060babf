// settings.cpp: any bytes as the donor's postgresql.auto.conf: the standby's lines come last, and
// writing them twice is writing them once.
#include "helper/standby/settings_file.h"

#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string conninfo = "host=primary application_name='a b'";
  std::string once = standby_clone::standby_settings(text_of(data, size), conninfo, "slot", {});
  require(once.ends_with("\nprimary_conninfo = 'host=primary application_name=''a b'''\n"
                         "primary_slot_name = 'slot'\n"));
  require(standby_clone::standby_settings(once, conninfo, "slot", {}) == once);
  std::string quoted = standby_clone::quote_setting(text_of(data, size));
  require(quoted.size() >= size + 2 && quoted.front() == '\'' && quoted.back() == '\'');
  return 0;
}
