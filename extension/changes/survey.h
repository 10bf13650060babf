// survey.h: what this server knows of its past, for whoever wants to join it: which WAL is there, and whether a
// stretch of it is what another server has.
#pragma once

#include "extension/pg/server.h"
#include "protocol/frame.h"

namespace changes {

// What is flushed; of a standby, replayed.
XLogRecPtr end_of_wal();

// That this server writes, or replays.
TimeLineID current_timeline();

// Texts are in memory of the caller's context. Within a transaction.
protocol::SurveyResult survey(const protocol::Survey& request);

// The databases whose files may be younger than their pages' LSNs say: as protocol/frame.h says of ChangesEnd. Within a
// transaction, the backup begun: what is made later comes by its WAL. The oids are in memory of the caller's context.
void find_young_databases(std::uint64_t young_from, protocol::ChangesEnd& end);

// As protocol/request.h says of WalHash.
protocol::WalHashResult hash_wal(const protocol::WalHash& request);

// Is all WAL from there on in pg_wal, up to what is flushed (of a standby, replayed)?
bool has_wal_from(XLogRecPtr since);

}  // namespace changes
