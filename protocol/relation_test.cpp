// Which fork a path is, as WAL names it.
#include "protocol/relation.h"

#include <gtest/gtest.h>
#include <string>

namespace protocol {
namespace {

std::string shown(std::string_view path) {
  auto fork = main_fork_of(path);
  if (!fork) return "none";
  return std::to_string(fork->tablespace) + "/" + std::to_string(fork->database) + "/" +
         std::to_string(fork->relation) + "." + std::to_string(fork->segment);
}

TEST(Relation, a_main_fork_is_known_by_its_path) {
  EXPECT_EQ(shown("base/5/16384"), "1663/5/16384.0");
  EXPECT_EQ(shown("base/5/16384.12"), "1663/5/16384.12");
  EXPECT_EQ(shown("global/1260"), "1664/0/1260.0");
  EXPECT_EQ(shown("pg_tblspc/16500/PG_15_202209061/5/16384.1"), "16500/5/16384.1");
  EXPECT_EQ(shown("base/5/4294967295"), "1663/5/4294967295.0");
}

TEST(Relation, whatever_else_is_none) {
  for (const char* path :
       {"base/5/16384_vm", "base/5/16384_fsm.1", "base/5/16384_init", "base/5/PG_VERSION", "base/5/pg_filenode.map",
        "base/5/t3_16384", "base/5/16384.0", "base/5/016384", "base/5/4294967296", "base/4294967296/1", "base/16384",
        "base/x/16384", "global/pg_control", "global/5/16384", "pg_tblspc/16500/5/16384", "pg_tblspc/16500",
        "pg_tblspc/x/PG_15_202209061/5/16384", "pg_tblspc/16500/XX_15/5/16384", "pg_xact/0000", "16384", "",
        "base/5/16384/16385", "other/5/16384"})
    EXPECT_EQ(shown(path), "none") << path;
}

}  // namespace
}  // namespace protocol
