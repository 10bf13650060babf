// order.h: what a helper may ask for, and when: the stages of a clone's conversation, a row each, which the control
// connection and the streams go by alike. What its stage does not name is refused. No header of the server's: a
// unit test walks it.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "protocol/phase.h"
#include "protocol/request.h"

namespace session {

using protocol::Phase;
using protocol::RequestKind;

// In the order in which a clone goes through them.
enum class Stage : std::uint8_t {
  kNone,
  kSurvey,
  kStarting,
  kOpen,  // the window: only here is anything read, or listed for a clone
  kListing,
  kEnding,
  kEnded,
  kHandingOver,
  kHandedOver,
  kOver,
};

constexpr std::uint32_t set_of(std::initializer_list<RequestKind> kinds) {
  std::uint32_t set = 0;
  for (RequestKind kind : kinds) set |= 1u << static_cast<unsigned>(kind);
  return set;
}

struct StageRow {
  Stage stage;
  std::uint32_t requests;  // that are heard in it
  Phase furthest;          // that the helper may say it is in
  bool may_complete;       // is "completed" an outcome?
  bool may_inherit;        // may a helper that was started again go on?
  const char* sentence;
};

// Heard as long as the clone is known: the lease, and a farewell.
inline constexpr std::uint32_t kAlways =
    set_of({RequestKind::kHeartbeat, RequestKind::kPauseAck, RequestKind::kOutcome});
inline constexpr std::uint32_t kInherit = set_of({RequestKind::kInherit});
inline constexpr std::uint32_t kReads =
    set_of({RequestKind::kRead, RequestKind::kCompare, RequestKind::kPageHashes, RequestKind::kNewerPages});
inline constexpr std::uint32_t kEndAgain = set_of({RequestKind::kEnd});  // what is asked again when a connection
inline constexpr std::uint32_t kAckAgain = set_of({RequestKind::kAckLabel});  // was lost with its answer

inline constexpr StageRow kStages[] = {
    {Stage::kNone, set_of({RequestKind::kProbe, RequestKind::kSurvey, RequestKind::kWalHash, RequestKind::kBegin,
                            RequestKind::kList}), Phase::kQueued, false, false,
     "no clone has begun on this connection"},
    {Stage::kSurvey, 0, Phase::kQueued, false, false, "a list without a clone is being sent"},
    {Stage::kStarting, kAlways | kInherit, Phase::kCheckpoint, false, true,
     "the backup has not started yet"},
    {Stage::kOpen, kAlways | kInherit | kReads | set_of({RequestKind::kList, RequestKind::kChanges, RequestKind::kEnd}),
     Phase::kCopying, false, true, "the backup runs"},
    {Stage::kListing, kAlways | kReads, Phase::kCopying, false, false, "a list is being sent"},
    {Stage::kEnding, kAlways | kInherit | kEndAgain, Phase::kWal, false, false, "the backup is being ended"},
    {Stage::kEnded, kAlways | kInherit | kEndAgain | kAckAgain, Phase::kFinishing, false, false,
     "the backup has ended"},
    {Stage::kHandingOver, kAlways | kInherit | kAckAgain, Phase::kFinishing, false, false,
     "the slot is being handed over"},
    {Stage::kHandedOver, kAlways | kInherit | kAckAgain, Phase::kStreaming, true, false,
     "the slot is the standby's"},
    {Stage::kOver, kAlways | kInherit, Phase::kStreaming, true, false, "the clone has ended"},
};

constexpr const StageRow& row_of(Stage stage) { return kStages[static_cast<unsigned>(stage)]; }

// Of whatever the wire says.
constexpr bool may_ask(Stage stage, RequestKind kind) {
  auto number = static_cast<unsigned>(kind);
  return number < 32 && (row_of(stage).requests >> number & 1) != 0;
}

constexpr const char* name_of(RequestKind kind) {
  switch (kind) {
    case RequestKind::kHello: return "Hello";
    case RequestKind::kBegin: return "Begin";
    case RequestKind::kList: return "List";
    case RequestKind::kRead: return "Read";
    case RequestKind::kCompare: return "Compare";
    case RequestKind::kPageHashes: return "PageHashes";
    case RequestKind::kHeartbeat: return "Heartbeat";
    case RequestKind::kPauseAck: return "PauseAck";
    case RequestKind::kEnd: return "End";
    case RequestKind::kAckLabel: return "AckLabel";
    case RequestKind::kOutcome: return "Outcome";
    case RequestKind::kProbe: return "Probe";
    case RequestKind::kSurvey: return "Survey";
    case RequestKind::kWalHash: return "WalHash";
    case RequestKind::kChanges: return "Changes";
    case RequestKind::kNewerPages: return "NewerPages";
    case RequestKind::kInherit: return "Inherit";
  }
  return "a request of no kind";
}

// An ERROR unless it may be asked for now.
void require(Stage stage, RequestKind kind);

}  // namespace session
