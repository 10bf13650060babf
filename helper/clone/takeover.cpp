// takeover.cpp: identity first, then the probe.
//
// The probe comes before pg_control loses its name: should the directory be a running server's
// (a shared disk, another mount of it: its postmaster.pid then means nothing here), a checkpoint
// of that server would find its pg_control missing, and panic.
#include "helper/clone/takeover.h"

#include <fmt/format.h>
#include <random>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

std::string random_name() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

// Puts the probes, and takes them out whatever happens.
class Probes {
 public:
  Probes(Target& target, std::string name) : target_(target), name_(std::move(name)) {
    try {
      target_.put_probes(name_);
    } catch (...) {
      target_.remove_probes(name_);
      throw;
    }
  }
  ~Probes() { target_.remove_probes(name_); }

 private:
  Target& target_;
  const std::string name_;
};

void check_is_same_cluster(const Target& target, const ControlFile& donor) {
  std::string difference = difference_of(target.cluster(), donor);
  if (difference.empty()) return;
  fail(Kind::kTargetRefused,
       fmt::format("the cluster in \"{}\" is not one that can become the donor's: {}", target.path(),
                   difference),
       "Nothing was changed. Choose another --pgdata, or an empty one for a full clone.");
}

}  // namespace

void check_identity(Target& target, Control& control, const DonorFacts& donor) {
  if (target.state() == Target::State::kResumed && target.session() &&
      target.session()->system_identifier != donor.system_identifier)
    fail(Kind::kTargetRefused,
         fmt::format("the unfinished clone in \"{}\" is of another cluster: its system identifier "
                     "is {}, the donor's {}",
                     target.path(), target.session()->system_identifier, donor.system_identifier),
         "Nothing was changed. Name that cluster's server as the donor; or, if the clone is not "
         "needed, empty the directory.");
  if (target.state() != Target::State::kCluster) return;
  if (target.cluster().system_identifier != donor.system_identifier) {
    ControlFile theirs = target.cluster();
    theirs.system_identifier = donor.system_identifier;
    check_is_same_cluster(target, theirs);
  }
  const std::string name = random_name();
  ProbeFacts facts;
  {
    Probes probes(target, name);
    facts = control.probe(name);
  }
  if (!facts.found.empty())
    fail(Kind::kTargetRefused,
         fmt::format("\"{}\" is, or leads to, the donor's own directory: what was put there was found "
                     "in \"{}\" of the donor's data directory",
                     target.path(), facts.found.substr(0, facts.found.rfind(protocol::kProbePrefix))),
         "Nothing was changed. Choose another --pgdata; if it is a tablespace, give it a directory of "
         "its own with --tablespace-mapping; if it is pg_wal, use --waldir.");
  auto theirs = ControlFile::parse(facts.control_file);
  if (!theirs)
    fail(Kind::kCorrupted, "the donor's pg_control cannot be read",
         "Check that both hosts run the same pg_standby_clone.");
  check_is_same_cluster(target, *theirs);
}

}  // namespace standby_clone
