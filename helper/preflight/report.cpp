// report.cpp: the table, and JSON.
#include "helper/preflight/report.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include "helper/base/message.h"

namespace standby_clone {
namespace {

using Json = nlohmann::ordered_json;

constexpr unsigned kNarrowest = 40, kOutsideTerminal = 100;
constexpr std::size_t kVerdictWidth = std::char_traits<char>::length("warning");

unsigned width_of_output() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
    return kOutsideTerminal;
  return std::max<unsigned>(size.ws_col, kNarrowest);
}

std::string painted(Verdict verdict, bool in_colour) {
  std::string word = fmt::format("{:<{}}", name_of(verdict), kVerdictWidth);
  if (!in_colour) return word;
  const char* colour = verdict == Verdict::kOk ? "32" : verdict == Verdict::kWarning ? "35" : "31";
  return fmt::format("\033[01;{}m{}\033[0m", colour, word);
}

// Lines of at most `width`; a line that begins with a blank stays whole, it is to be copied.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  std::istringstream paragraphs(text);
  for (std::string paragraph; std::getline(paragraphs, paragraph);) {
    if (paragraph.starts_with(' ')) {
      lines.push_back(paragraph);
      continue;
    }
    std::string line;
    std::istringstream words(paragraph);
    for (std::string word; words >> word;) {
      if (!line.empty() && line.size() + 1 + word.size() > width) {
        lines.push_back(line);
        line.clear();
      }
      line += (line.empty() ? "" : " ") + word;
    }
    lines.push_back(line);
  }
  return lines;
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string verdict_of(const Findings& findings) {
  std::size_t errors = findings.count(Verdict::kError);
  std::size_t warnings = findings.count(Verdict::kWarning);
  if (errors > 0)
    return fmt::format("a clone would fail: {}, {}", counted(errors, "error"),
                       counted(warnings, "warning"));
  return warnings > 0 ? fmt::format("a clone can be made: {}", counted(warnings, "warning"))
                      : "a clone can be made";
}

void put_json(const Json& object) {
  std::string line = object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
}

}  // namespace

std::string table_of(const Findings& findings, unsigned width, bool in_colour) {
  std::size_t name_width = std::strlen("check");
  for (const auto& finding : findings.all()) name_width = std::max(name_width, finding.check.size());
  const std::size_t indent = name_width + 2 + kVerdictWidth + 2;
  const std::size_t room = width > indent + kNarrowest / 2 ? width - indent : kNarrowest / 2;
  std::string table = fmt::format("{:<{}}  {:<{}}  {}\n", "check", name_width, "status",
                                  kVerdictWidth, "detail");
  auto put_lines = [&](const std::vector<std::string>& lines, std::string first) {
    for (const auto& line : lines) {
      table += first + line + "\n";
      first = std::string(indent, ' ');
    }
  };
  for (const auto& finding : findings.all()) {
    put_lines(wrapped(finding.detail, room),
              fmt::format("{:<{}}  {}  ", finding.check, name_width,
                          painted(finding.verdict, in_colour)));
    if (finding.verdict != Verdict::kOk && !finding.hint.empty())
      put_lines(wrapped("-> " + finding.hint, room), std::string(indent, ' '));
  }
  return table + verdict_of(findings) + "\n";
}

void print_table(const Findings& findings) {
  std::fputs(table_of(findings, width_of_output(), wants_colour(stdout)).c_str(), stdout);
}

void print_json(const Findings& findings) {
  for (const auto& finding : findings.all())
    put_json({{"type", "check"},
              {"check", finding.check},
              {"status", name_of(finding.verdict)},
              {"detail", finding.detail},
              {"hint", finding.hint.empty() ? Json(nullptr) : Json(finding.hint)}});
  put_json({{"type", "result"},
            {"state", name_of(findings.verdict())},
            {"errors", findings.count(Verdict::kError)},
            {"warnings", findings.count(Verdict::kWarning)},
            {"exit_code", findings.exit_code()}});
}

}  // namespace standby_clone
