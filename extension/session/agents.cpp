// agents.cpp: the list of connected agents.
#include "extension/session/agents.h"

#include "extension/pg/insides.h"

namespace session {
namespace {

// Another layout gets another number here. Not one for each build (shared.cpp): agents stay connected when
// the library is replaced, and are seen all the same.
constexpr int kAgentsLayout = 2;
constexpr char kLockName[] = "pg_standby_clone_agents";

struct Agents {
  LWLock lock;
  Agent places[kAgentMax];
};
// Out of the slack the server leaves, beside what shared.h takes.
static_assert(sizeof(Agents) <= 8192);

Agents* agents() {
  static Agents* attached = nullptr;
  if (attached != nullptr) return attached;
  char name[pg::kSharedNameSize];
  snprintf(name, sizeof(name), "pg_standby_clone agents %d %zu", kAgentsLayout, sizeof(Agents));
  bool found = false;
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  auto* memory = static_cast<Agents*>(ShmemInitStruct(name, sizeof(Agents), &found));
  if (!found) {
    std::memset(static_cast<void*>(memory), 0, sizeof(Agents));
    pg::make_lock(&memory->lock, kLockName);
  }
  LWLockRelease(AddinShmemInitLock);
  pg::name_lock(&memory->lock, kLockName);
  attached = memory;
  return attached;
}

void leave_agents(int, Datum) { detach_agent(); }

}  // namespace

void attach_agent(const Agent& agent) {
  Agents* all = agents();
  static bool registered = false;
  if (!registered) before_shmem_exit(leave_agents, 0);
  registered = true;

  Agent other{};
  Agent* place = nullptr;
  LWLockAcquire(&all->lock, LW_EXCLUSIVE);
  for (Agent& candidate : all->places) {
    if (candidate.pid == MyProcPid) place = &candidate;
    if (candidate.pid == 0 && place == nullptr) place = &candidate;
    if (candidate.pid != 0 && candidate.pid != MyProcPid &&
        std::strcmp(candidate.target, agent.target) == 0)
      other = candidate;
  }
  if (other.pid == 0 && place != nullptr) {
    // The own place may come after a free one.
    for (Agent& candidate : all->places)
      if (candidate.pid == MyProcPid) place = &candidate;
    bool is_same = place->pid == MyProcPid && std::strcmp(place->target, agent.target) == 0;
    TimestampTz since = is_same ? place->connected_since : agent.connected_since;
    *place = agent;
    place->connected_since = since;
  }
  LWLockRelease(&all->lock);
  if (other.pid != 0)
    ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
            errmsg("an agent for \"%s\" is connected already", agent.target),
            errdetail("It is process %d, connected from %s for \"%s\".", other.pid,
                      other.client_addr[0] != '\0' ? other.client_addr : "this host",
                      other.destination),
            errhint("Stop that agent, or give this one another --name."));
  if (place == nullptr)
    ereport(ERROR, errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
            errmsg("%d agents are connected already", kAgentMax),
            errhint("Stop one that is not needed."));
}

void detach_agent() {
  Agents* all = agents();
  LWLockAcquire(&all->lock, LW_EXCLUSIVE);
  for (Agent& agent : all->places)
    if (agent.pid == MyProcPid) agent.pid = 0;
  LWLockRelease(&all->lock);
}

bool has_agent(const char* target, Oid role) {
  Agents* all = agents();
  bool found = false;
  LWLockAcquire(&all->lock, LW_SHARED);
  for (const Agent& agent : all->places)
    if (agent.pid != 0 && agent.database == MyDatabaseId &&
        (!OidIsValid(role) || agent.role == role) && std::strcmp(agent.target, target) == 0)
      found = true;
  LWLockRelease(&all->lock);
  return found;
}

bool is_agent(const char* target) {
  Agents* all = agents();
  bool found = false;
  LWLockAcquire(&all->lock, LW_SHARED);
  for (const Agent& agent : all->places)
    if (agent.pid == MyProcPid && std::strcmp(agent.target, target) == 0) found = true;
  LWLockRelease(&all->lock);
  return found;
}

int copy_agents(Agent* out) {
  Agents* all = agents();
  int count = 0;
  LWLockAcquire(&all->lock, LW_SHARED);
  for (const Agent& agent : all->places)
    if (agent.pid != 0 && agent.database == MyDatabaseId) out[count++] = agent;
  LWLockRelease(&all->lock);
  qsort(out, count, sizeof(Agent), [](const void* left, const void* right) {
    auto a = static_cast<const Agent*>(left)->connected_since;
    auto b = static_cast<const Agent*>(right)->connected_since;
    return a < b ? -1 : a > b ? 1 : 0;
  });
  return count;
}

}  // namespace session
