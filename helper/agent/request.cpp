// request.cpp: the options of a request, each by the rules of the command line.
#include "helper/agent/request.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "helper/base/failure.h"

namespace standby_clone {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& what) {
  fail(Kind::kUsage, "the request cannot be carried out: " + what,
       "Install the same version of pg_standby_clone on both hosts.");
}

std::string text_of(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return std::to_string(value.get<std::int64_t>());
  refuse(fmt::format("its option \"{}\" is neither a text nor a whole number", name));
}

bool truth_of(const std::string& name, const Json& value) {
  if (!value.is_boolean()) refuse(fmt::format("its option \"{}\" is neither true nor false", name));
  return value.get<bool>();
}

void set_delta(const Json& value, Request& request) {
  if (value.is_boolean()) {
    request.delta = value.get<bool>();
    return;
  }
  auto way = value.is_string() ? parse_delta(value.get<std::string>()) : std::nullopt;
  if (!way) refuse("its option \"delta\" is neither true, nor false, nor a way that this agent knows");
  request.delta = true;
  request.way = *way;
}

void set_jobs(const std::string& text, Options& options) {
  auto jobs = parse_jobs(text);
  if (!jobs) refuse(fmt::format("\"{}\" is not a number of streams", text));
  options.jobs = *jobs;
}

void set_rate(const std::string& text, Options& options) {
  auto rate = parse_rate(text);
  if (!rate) refuse(fmt::format("\"{}\" is not a transfer rate", text));
  options.max_rate = *rate;
}

void set_checkpoint(const std::string& text, Options& options) {
  if (text != "fast" && text != "spread")
    refuse(fmt::format("unknown checkpoint mode \"{}\"", text));
  options.fast_checkpoint = text == "fast";
}

}  // namespace

Request parse_request(std::int64_t id, const std::string& options) {
  Json root = Json::parse(options, nullptr, false);
  if (!root.is_object()) refuse("its options are no JSON object");
  Request request;
  request.id = id;
  for (const auto& [name, value] : root.items()) {
    if (name == "jobs") request.jobs = text_of(name, value);
    else if (name == "compress") request.compress = text_of(name, value);
    else if (name == "max_rate") request.max_rate = text_of(name, value);
    else if (name == "gentle") request.gentle = truth_of(name, value);
    else if (name == "checkpoint") request.checkpoint = text_of(name, value);
    else if (name == "delta") set_delta(value, request);
    else if (name == "start") request.start = truth_of(name, value);
    else if (name != "expires") refuse(fmt::format("this agent does not know its option \"{}\"", name));
  }
  return request;
}

Options options_of(const Options& agent, const Request& request) {
  Options options = agent;
  options.request_id = request.id;
  options.request_uuid = request.uuid;
  if (request.jobs) set_jobs(*request.jobs, options);
  if (request.compress) set_compression(*request.compress, options);
  if (request.max_rate) set_rate(*request.max_rate, options);
  if (request.checkpoint) set_checkpoint(*request.checkpoint, options);
  if (request.gentle) options.gentle = *request.gentle;
  options.delta = request.delta;
  options.way = request.way;
  if (request.start) options.start = *request.start;
  return options;
}

}  // namespace standby_clone
