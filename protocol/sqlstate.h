// sqlstate.h: SQLSTATEs of our own, class SC, by which a helper that comes back tells
// apart why its clone does not go on. All other errors carry PostgreSQL's.
#pragma once

namespace protocol {

// The clone has ended on the donor; the message says why.
inline constexpr char kCloneFailed[] = "SC001";
inline constexpr char kCloneCancelled[] = "SC002";
// Its lease is over: the helper came back too late.
inline constexpr char kLeaseOver[] = "SC003";
// Nothing is known of it: the server has been restarted, its library replaced by another build, or it
// is another server.
inline constexpr char kCloneUnknown[] = "SC004";

}  // namespace protocol
