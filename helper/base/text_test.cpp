// text_test.cpp: bytes that no encoding knows.
#include "helper/base/text.h"

#include <gtest/gtest.h>

namespace standby_clone {
namespace {

TEST(Readable, leaves_utf8_alone) {
  EXPECT_EQ(readable("/a/日本 ü €\n\t𝄞"), "/a/日本 ü €\n\t𝄞");
}

TEST(Readable, shows_what_is_none) {
  EXPECT_EQ(readable("s\xff"), "s\\xff");
  EXPECT_EQ(readable("\xc3"), "\\xc3") << "a letter that ends early";
  EXPECT_EQ(readable("\xe6\x97/"), "\\xe6\\x97/");
  EXPECT_EQ(readable("\xc0\xaf"), "\\xc0\\xaf") << "longer than need be";
  EXPECT_EQ(readable("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "half of a pair";
  EXPECT_EQ(readable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond the last one";
  EXPECT_EQ(readable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(readable("\033[2J"), "\\x1b[2J");
}

TEST(Readable, for_a_database_of_another_encoding) {
  EXPECT_EQ(readable("/ü", true), "/\\xc3\\xbc");
}

TEST(Cut, leaves_no_half_letter) {
  EXPECT_EQ(cut("üü", 3), "ü");
  EXPECT_EQ(cut("üü", 4), "üü");
  EXPECT_EQ(cut("日", 2), "");
  EXPECT_EQ(cut("abc", 2), "ab");
}

}  // namespace
}  // namespace standby_clone
