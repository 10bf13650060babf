// example_test.cpp: docs/protocol.md says what the code does: its worked example is
// decoded byte by byte, its tables are compared with the messages.
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "protocol/crc32c.h"
#include "protocol/frame.h"
#include "protocol/request.h"
#include "protocol/version.h"

namespace protocol {
namespace {

std::string document() {
  std::string here = __FILE__;
  auto slash = here.rfind('/');
  std::string path =
      (slash == std::string::npos ? "." : here.substr(0, slash)) + "/../docs/protocol.md";
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

using Example = std::map<std::string, std::vector<std::byte>>;

// The blocks "```hex NAME", as bytes.
Example read_example(const std::string& text) {
  Example example;
  std::vector<std::byte>* current = nullptr;
  for (const std::string& line : lines_of(text)) {
    if (line.starts_with("```")) {
      current = line.starts_with("```hex ") ? &example[line.substr(7)] : nullptr;
      continue;
    }
    if (current == nullptr) continue;
    std::istringstream bytes(line.substr(0, line.find(';')));
    for (std::string byte; bytes >> byte;) {
      char* end = nullptr;
      auto value = std::strtoul(byte.c_str(), &end, 16);
      EXPECT_TRUE(byte.size() == 2 && *end == '\0') << line;
      current->push_back(static_cast<std::byte>(value));
    }
  }
  return example;
}

// What the example shall mean; true if it means exactly that.
bool means_what_it_says(const Example& example) {
  auto bytes = [&](const char* name) {
    auto found = example.find(name);
    return found == example.end() ? Bytes() : Bytes(found->second);
  };
  Hello hello;
  Read read;
  Data data;
  RangeEnd end;
  if (!decode(bytes("Hello"), hello) || !decode(bytes("Read"), read) ||
      !decode(bytes("Data"), data) || !decode(bytes("RangeEnd"), end))
    return false;
  Token token;
  for (std::size_t index = 0; index < token.size(); ++index)
    token[index] = static_cast<std::byte>(0xA0 + index);
  const std::string_view payload(reinterpret_cast<const char*>(data.payload.data()),
                                 data.payload.size());
  return hello.protocol_version == kProtocolVersion && hello.role == 1 && hello.token == token &&
         hello.backend_pid == 4711 && hello.helper_version == "0.1.0" && read.tag == 7 &&
         read.offset == 0 && read.length == 3 && read.path == "PG_VERSION" && read.waited == 25 &&
         data.coding == Coding::kPlain && data.tag == read.tag && data.plain_size == 3 &&
         data.offset == 0 && payload == "15\n" && data.crc == crc32c(data.payload) &&
         end.tag == read.tag && end.status == RangeStatus::kRead &&
         end.length == data.plain_size && end.checksum_failures == 0 && end.first_bad_block == 0;
}

TEST(Document, its_example_means_what_it_says) {
  Example example = read_example(document());
  EXPECT_EQ(example.size(), 4u);
  EXPECT_EQ(example["Hello"].size(), 32u);
  EXPECT_TRUE(means_what_it_says(example));
}

TEST(Document, its_example_hangs_on_every_bit) {
  Example example = read_example(document());
  for (auto& [name, bytes] : example) {
    for (auto& byte : bytes)
      for (int bit = 0; bit < 8; ++bit) {
        byte ^= static_cast<std::byte>(1 << bit);
        EXPECT_FALSE(means_what_it_says(example)) << name;
        byte ^= static_cast<std::byte>(1 << bit);
      }
    auto whole = bytes;
    bytes.pop_back();
    EXPECT_FALSE(means_what_it_says(example)) << name;
    bytes = whole;
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(means_what_it_says(example)) << name;
    bytes = whole;
  }
}

// The cells of a table's row, without the spaces around them.
std::vector<std::string> cells_of(const std::string& row) {
  std::vector<std::string> cells;
  for (std::size_t at = row.find('|'); at != std::string::npos && at + 1 < row.size();) {
    auto next = row.find('|', at + 1);
    if (next == std::string::npos) break;
    auto cell = row.substr(at + 1, next - at - 1);
    auto first = cell.find_first_not_of(' ');
    cells.push_back(first == std::string::npos
                        ? ""
                        : cell.substr(first, cell.find_last_not_of(' ') - first + 1));
    at = next;
  }
  return cells;
}

std::string section(const std::string& text, const std::string& title) {
  auto begin = text.find("\n## " + title + "\n");
  EXPECT_NE(begin, std::string::npos) << title;
  return text.substr(begin, text.find("\n## ", begin + 4) - begin);
}

// The types of a message's fields, as the document spells them.
class TypeNames {
 public:
  template <class... F>
  void operator()(F&... field) { (add(field), ...); }
  std::string names;

 private:
  template <Number T>
  void add(T&) {
    constexpr bool is_signed = std::is_signed_v<T> && !std::is_enum_v<T>;
    append((is_signed ? "i" : "u") + std::to_string(8 * sizeof(T)));
  }
  void add(Token&) { append("Token"); }
  void add(Text&) { append("Text"); }
  void add(LongText&) { append("LongText"); }
  void add(Bytes&) { append("rest"); }
  void append(const std::string& name) { names += (names.empty() ? "" : " ") + name; }
};

// "`tag` u32, `path` Text" as "u32 Text"; an Lsn is a u64.
std::string types_in(const std::string& cell) {
  std::istringstream words(cell);
  std::string types;
  for (std::string word; words >> word;) {
    if (word.front() == '`') continue;
    if (word.back() == ',') word.pop_back();
    if (word == "Lsn") word = "u64";
    types += (types.empty() ? "" : " ") + word;
  }
  return types;
}

// Name and types by kind, as the table of a section says.
std::map<int, std::pair<std::string, std::string>> messages_in(const std::string& part) {
  std::map<int, std::pair<std::string, std::string>> messages;
  for (const std::string& line : lines_of(part)) {
    auto cells = cells_of(line);
    if (cells.size() == 4 && !cells[0].empty() && std::isdigit(cells[0][0]))
      messages[std::stoi(cells[0])] = {cells[1], types_in(cells[3])};
  }
  return messages;
}

template <class Message>
void add_message(std::map<int, std::pair<std::string, std::string>>& messages, const char* name) {
  Message message;
  TypeNames types;
  Message::fields(types, message);
  messages[static_cast<int>(Message::kKind)] = {name, types.names};
}

TEST(Document, lists_every_message_with_its_fields) {
  std::map<int, std::pair<std::string, std::string>> requests, frames;
  add_message<Hello>(requests, "Hello");
  add_message<Begin>(requests, "Begin");
  add_message<List>(requests, "List");
  add_message<Read>(requests, "Read");
  add_message<Compare>(requests, "Compare");
  add_message<PageHashes>(requests, "PageHashes");
  add_message<Heartbeat>(requests, "Heartbeat");
  add_message<PauseAck>(requests, "PauseAck");
  add_message<End>(requests, "End");
  add_message<AckLabel>(requests, "AckLabel");
  add_message<Outcome>(requests, "Outcome");
  add_message<Probe>(requests, "Probe");
  add_message<Survey>(requests, "Survey");
  add_message<WalHash>(requests, "WalHash");
  add_message<Changes>(requests, "Changes");
  add_message<NewerPages>(requests, "NewerPages");
  add_message<Inherit>(requests, "Inherit");
  add_message<Welcome>(frames, "Welcome");
  add_message<Begun>(frames, "Begun");
  add_message<Entries>(frames, "Entries");
  add_message<ListEnd>(frames, "ListEnd");
  add_message<Data>(frames, "Data");
  add_message<RangeEnd>(frames, "RangeEnd");
  add_message<Digest>(frames, "Digest");
  add_message<PageDigest>(frames, "PageDigest");
  add_message<Status>(frames, "Status");
  add_message<Label>(frames, "Label");
  add_message<ProbeResult>(frames, "ProbeResult");
  add_message<Alive>(frames, "Alive");
  add_message<SurveyResult>(frames, "SurveyResult");
  add_message<WalHashResult>(frames, "WalHashResult");
  add_message<Changed>(frames, "Changed");
  add_message<ChangesEnd>(frames, "ChangesEnd");
  add_message<NewerDigest>(frames, "NewerDigest");
  std::string text = document();
  EXPECT_EQ(messages_in(section(text, "Requests")), requests);
  EXPECT_EQ(messages_in(section(text, "Frames")), frames);
}

TEST(Document, states_the_limits_of_the_code) {
  std::map<std::string, std::uint64_t> stated;
  for (const std::string& line : lines_of(section(document(), "Limits"))) {
    auto cells = cells_of(line);
    if (cells.size() == 3 && cells[0].starts_with("`k"))
      stated[cells[0].substr(1, cells[0].size() - 2)] = std::stoull(cells[1]);
  }
  const std::map<std::string, std::uint64_t> real = {
      {"kProtocolVersion", kProtocolVersion},
      {"kChunkSize", kChunkSize},
      {"kHashPageSize", kHashPageSize},
      {"kFramePlainMax", kFramePlainMax},
      {"kFrameMax", kFrameMax},
      {"kRequestMax", kRequestMax},
      {"kPathMax", kPathMax},
      {"kTextMax", kTextMax},
      {"kNameMax", kNameMax},
      {"kOutstandingPlainMax", kOutstandingPlainMax},
      {"kOutstandingRequestMax", kOutstandingRequestMax},
      {"kStreamsMax", kStreamsMax},
      {"kHeartbeatIntervalMs", kHeartbeatIntervalMs},
      {"kSilenceMs", kSilenceMs},
      {"kAliveIntervalMs", kAliveIntervalMs},
      {"kReceiveTimeoutMinMs", kReceiveTimeoutMinMs}};
  EXPECT_EQ(stated, real);
}

TEST(Document, uses_the_words_of_phases_states_and_methods) {
  auto quoted = [](const std::string& word) { return "`" + word + "`"; };
  std::string phases = "Phases, from 0: ", states = "States, from 0: ", methods = "Methods, from 0: ";
  for (int index = 0; index < kPhaseCount; ++index)
    phases += (index > 0 ? ", " : "") + quoted(name_of(static_cast<Phase>(index)));
  for (int index = 0; index < kStateCount; ++index)
    states += (index > 0 ? ", " : "") + quoted(name_of(static_cast<State>(index)));
  for (int index = 0; index < kMethodCount; ++index)
    methods += (index > 0 ? ", " : "") + quoted(name_of(static_cast<Method>(index)));
  std::string text = document();
  EXPECT_NE(text.find(phases + "."), std::string::npos) << phases;
  EXPECT_NE(text.find(states + "."), std::string::npos) << states;
  EXPECT_NE(text.find(methods + "."), std::string::npos) << methods;
}

}  // namespace
}  // namespace protocol
