// findings.cpp: what follows from a list of findings.
#include "helper/preflight/findings.h"

#include <algorithm>
#include <fmt/format.h>

namespace standby_clone {

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk: return "ok";
    case Verdict::kWarning: return "warning";
    case Verdict::kError: return "error";
  }
  return "error";
}

std::size_t Findings::count(Verdict verdict) const {
  return static_cast<std::size_t>(
      std::count_if(all_.begin(), all_.end(),
                    [&](const Finding& finding) { return finding.verdict == verdict; }));
}

Verdict Findings::verdict() const {
  Verdict worst = Verdict::kOk;
  for (const auto& finding : all_) worst = std::max(worst, finding.verdict);
  return worst;
}

int Findings::exit_code() const {
  for (const auto& finding : all_)
    if (finding.verdict == Verdict::kError) return standby_clone::exit_code(finding.kind);
  return 0;
}

void Findings::stop_on_error() const {
  auto first = std::find_if(all_.begin(), all_.end(), [](const Finding& finding) {
    return finding.verdict == Verdict::kError;
  });
  if (first == all_.end()) return;
  std::string hint = first->hint;
  std::size_t others = count(Verdict::kError) - 1;
  if (others > 0)
    hint += fmt::format("{}There {} {} more: see pg_standby_clone check.", hint.empty() ? "" : "\n",
                        others == 1 ? "is" : "are", others);
  standby_clone::fail(first->kind, first->detail, hint);
}

}  // namespace standby_clone
