// order_test.cpp: the table of stages as a whole: what must hold whatever its rows say.
#include "extension/session/order.h"

#include <gtest/gtest.h>

namespace session {
namespace {

constexpr RequestKind kAll[] = {
    RequestKind::kHello,      RequestKind::kBegin,    RequestKind::kList,     RequestKind::kRead,
    RequestKind::kCompare,    RequestKind::kPageHashes, RequestKind::kHeartbeat, RequestKind::kPauseAck,
    RequestKind::kEnd,        RequestKind::kAckLabel, RequestKind::kOutcome,  RequestKind::kProbe,
    RequestKind::kSurvey,     RequestKind::kWalHash,  RequestKind::kChanges, RequestKind::kNewerPages,
    RequestKind::kInherit};

TEST(Order, ARowForEachStageInItsPlace) {
  unsigned number = 0;
  for (const StageRow& row : kStages) EXPECT_EQ(static_cast<unsigned>(row.stage), number++) << row.sentence;
  EXPECT_EQ(number, static_cast<unsigned>(Stage::kOver) + 1);
}

TEST(Order, FilesAreListedAndReadInTheWindowAlone) {
  for (const StageRow& row : kStages) {
    bool is_window = row.stage == Stage::kOpen || row.stage == Stage::kListing;
    for (RequestKind kind : {RequestKind::kRead, RequestKind::kCompare, RequestKind::kPageHashes, RequestKind::kNewerPages})
      EXPECT_EQ(may_ask(row.stage, kind), is_window) << row.sentence;
    // Without a clone a list only tells what there is.
    bool may_list = row.stage == Stage::kOpen || row.stage == Stage::kNone;
    EXPECT_EQ(may_ask(row.stage, RequestKind::kList), may_list) << row.sentence;
    // What changed is told up to where the backup starts.
    EXPECT_EQ(may_ask(row.stage, RequestKind::kChanges), row.stage == Stage::kOpen) << row.sentence;
  }
}

TEST(Order, TheLeaseIsHeardAsLongAsThereIsAClone) {
  for (const StageRow& row : kStages)
    EXPECT_EQ(may_ask(row.stage, RequestKind::kHeartbeat), row.stage >= Stage::kStarting) << row.sentence;
}

// Before it there is nothing to inherit, after it nothing that an heir could still copy.
TEST(Order, AnHeirGoesOnUpToTheEndOfTheWindow) {
  for (const StageRow& row : kStages) {
    bool may_inherit = row.stage == Stage::kStarting || row.stage == Stage::kOpen;
    EXPECT_EQ(row.may_inherit, may_inherit) << row.sentence;
    bool is_heard = row.stage >= Stage::kStarting && row.stage != Stage::kListing;
    EXPECT_EQ(may_ask(row.stage, RequestKind::kInherit), is_heard) << row.sentence;
  }
}

TEST(Order, ACloneBeginsOnceAndIsCompleteOnlyWithItsSlot) {
  for (const StageRow& row : kStages) {
    EXPECT_EQ(may_ask(row.stage, RequestKind::kBegin), row.stage == Stage::kNone) << row.sentence;
    EXPECT_EQ(row.may_complete, row.stage >= Stage::kHandedOver) << row.sentence;
    EXPECT_FALSE(may_ask(row.stage, RequestKind::kHello)) << row.sentence;
  }
}

TEST(Order, ThePhaseThatMayBeSaidNeverGoesBack) {
  for (unsigned next = 1; next < std::size(kStages); ++next)
    EXPECT_GE(kStages[next].furthest, kStages[next - 1].furthest) << kStages[next].sentence;
}

TEST(Order, WhatTheWireMaySayIsNotTrusted) {
  for (unsigned number = 0; number < 256; ++number) {
    auto kind = static_cast<RequestKind>(number);
    bool is_known = false;
    for (RequestKind known : kAll) is_known = is_known || known == kind;
    if (is_known) continue;
    for (const StageRow& row : kStages) EXPECT_FALSE(may_ask(row.stage, kind)) << number;
    EXPECT_STREQ(name_of(kind), "a request of no kind");
  }
}

}  // namespace
}  // namespace session
