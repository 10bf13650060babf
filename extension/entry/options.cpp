// options.cpp: one row per option, with its check.
#include "extension/entry/options.h"

#include "extension/pg/text.h"
#include "protocol/limits.h"
#include "protocol/rate.h"

namespace entry {
namespace {

// How long a request waits for its agent unless it says so itself.
constexpr char kDefaultExpires[] = "1 hour";

[[noreturn]] void bad_value(const char* option, const char* allowed) {
  ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
          errmsg("invalid value for option \"%s\" of a clone request", option),
          errhint("It can be %s.", allowed));
  pg_unreachable();
}

const char* text_of(const JsonbValue& value) {
  if (value.type != jbvString) return nullptr;
  return pnstrdup(value.val.string.val, value.val.string.len);
}

bool is_one_of(const JsonbValue& value, std::initializer_list<const char*> words) {
  const char* text = text_of(value);
  if (text == nullptr) return false;
  for (const char* word : words)
    if (std::strcmp(text, word) == 0) return true;
  return false;
}

// A whole number from `least` to `most`.
bool is_whole(const char* digits, int least, int most) {
  if (digits[0] == '\0' || std::strspn(digits, "0123456789") != std::strlen(digits)) return false;
  return std::strlen(digits) <= 6 && atoi(digits) >= least && atoi(digits) <= most;
}

bool is_jobs(const JsonbValue& value) {
  if (value.type != jbvNumeric) return is_one_of(value, {"auto"});
  const char* digits =
      DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
  return is_whole(digits, 1, protocol::kStreamsMax);
}

bool is_compression(const JsonbValue& value) {
  if (is_one_of(value, {"auto", "none", "zstd"})) return true;
  const char* text = text_of(value);
  return text != nullptr && std::strncmp(text, "zstd:", 5) == 0 && is_whole(text + 5, 1, 19);
}

bool is_rate(const JsonbValue& value) {
  const char* text = text_of(value);
  return text != nullptr && protocol::parse_rate(view(text)).has_value();
}

bool is_checkpoint(const JsonbValue& value) { return is_one_of(value, {"fast", "spread"}); }

bool is_boolean(const JsonbValue& value) { return value.type == jbvBool; }

bool is_delta(const JsonbValue& value) {
  return is_boolean(value) || is_one_of(value, {"auto", "replay", "changes", "compare"});
}

bool is_text(const JsonbValue& value) { return value.type == jbvString; }

constexpr struct {
  const char* name;
  bool (*is_allowed)(const JsonbValue& value);
  const char* allowed;
} kOptions[] = {
    {"jobs", is_jobs, "a number from 1 to 64, or \"auto\""},
    {"compress", is_compression, "\"auto\", \"none\", \"zstd\", or \"zstd:LEVEL\" with a level from 1 to 19"},
    {"max_rate", is_rate,
     "a text with kilobytes per second, from 32 to 1048576, or a number with suffix k or M"},
    {"checkpoint", is_checkpoint, "\"fast\" or \"spread\""},
    {"gentle", is_boolean, "true or false"},
    {"delta", is_delta, "true, false, \"auto\", \"replay\", \"changes\" or \"compare\""},
    {"start", is_boolean, "true or false"},
    {"expires", is_text, "an interval, such as \"2 hours\""},
};
static_assert(protocol::kStreamsMax == 64);

void explain_expires(void*) { errcontext("option \"expires\" of a clone request"); }

TimestampTz after(const char* interval_text) {
  ErrorContextCallback context{};
  context.callback = explain_expires;
  context.previous = error_context_stack;
  error_context_stack = &context;
  Datum interval = DirectFunctionCall3(interval_in, CStringGetDatum(interval_text),
                                       ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
  TimestampTz now = GetCurrentTimestamp();
  TimestampTz then = DatumGetTimestampTz(
      DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), interval));
  error_context_stack = context.previous;
  if (then <= now) bad_value("expires", "an interval longer than nothing, such as \"2 hours\"");
  return then;
}

void check_option(const char* name, const JsonbValue& value) {
  for (const auto& option : kOptions) {
    if (std::strcmp(option.name, name) != 0) continue;
    if (!option.is_allowed(value)) bad_value(name, option.allowed);
    return;
  }
  ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
          errmsg("unknown option \"%s\" of a clone request", name),
          errhint("Options are jobs, compress, max_rate, gentle, checkpoint, delta, start and expires. "
                  "Where the data goes is said on the standby host."));
}

}  // namespace

TimestampTz check_options(Jsonb* options) {
  if (!JB_ROOT_IS_OBJECT(options))
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("the options of a clone request must be a JSON object"),
            errhint("For example: {\"jobs\": 8, \"start\": true}"));
  const char* expires = kDefaultExpires;
  JsonbIterator* iterator = JsonbIteratorInit(&options->root);
  JsonbValue key, value;
  while (true) {
    // Values are not walked into: no option is an object or an array.
    JsonbIteratorToken token = JsonbIteratorNext(&iterator, &key, true);
    if (token == WJB_DONE) break;
    if (token != WJB_KEY) continue;
    JsonbIteratorNext(&iterator, &value, true);
    const char* name = pnstrdup(key.val.string.val, key.val.string.len);
    check_option(name, value);
    if (std::strcmp(name, "expires") == 0) expires = text_of(value);
  }
  return after(expires);
}

}  // namespace entry
