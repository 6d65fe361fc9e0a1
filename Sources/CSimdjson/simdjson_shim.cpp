#include "CSimdjson.h"

#include <cmath>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <string>
#include <vector>

using simdjson::dom::element;
using simdjson::dom::element_type;

namespace {
constexpr int not_an_object = 1000;
constexpr int too_large = 1001;
constexpr int out_of_memory = 1002;
}  // namespace

struct millrace_json {
    simdjson::dom::parser parser;
    std::vector<char> padded;  // simdjson reads past the end: records are copied here first
    std::vector<std::string> joined;  // arrays of strings, one buffer a field
    size_t bytes_max;

    explicit millrace_json(size_t limit) : parser(limit), bytes_max(limit) {}
};

static void read_strings(
    millrace_json *owner, size_t slot, simdjson::dom::array array, millrace_json_field &field
) {
    std::string &text = owner->joined[slot];
    text.clear();
    field.kind = MILLRACE_JSON_STRINGS;
    field.integer = 0;
    for (element item : array) {
        std::string_view view;
        if (item.get_string().get(view) != simdjson::SUCCESS) {
            field.kind = MILLRACE_JSON_OTHER;
            return;
        }
        for (char byte : view) {
            text.push_back(byte == '\n' ? ' ' : byte);
        }
        text.push_back('\n');
        field.integer += 1;
    }
    field.text = text.data();
    field.count = text.size();
}

static void read_field(millrace_json *owner, size_t slot, element value, millrace_json_field &field) {
    field = millrace_json_field{};
    switch (value.type()) {
    case element_type::STRING: {
        std::string_view view = value.get_string().value_unsafe();
        field.kind = MILLRACE_JSON_STRING;
        field.text = view.data();
        field.count = view.size();
        return;
    }
    case element_type::INT64:
        field.kind = MILLRACE_JSON_INT;
        field.integer = value.get_int64().value_unsafe();
        field.real = static_cast<double>(field.integer);
        return;
    case element_type::UINT64:  // above INT64_MAX only: no field of ours is that large
        field.kind = MILLRACE_JSON_DOUBLE;
        field.real = static_cast<double>(value.get_uint64().value_unsafe());
        return;
    case element_type::DOUBLE:
        field.kind = MILLRACE_JSON_DOUBLE;
        field.real = value.get_double().value_unsafe();
        return;
    case element_type::BOOL:
        field.kind = MILLRACE_JSON_BOOL;
        field.integer = value.get_bool().value_unsafe() ? 1 : 0;
        return;
    case element_type::NULL_VALUE:
        field.kind = MILLRACE_JSON_NULL;
        return;
    case element_type::ARRAY:
        read_strings(owner, slot, value.get_array().value_unsafe(), field);
        return;
    case element_type::OBJECT:
        field.kind = MILLRACE_JSON_OTHER;
        return;
    }
}

extern "C" millrace_json *millrace_json_create(size_t bytes_max, size_t depth_max) {
    millrace_json *made = new (std::nothrow) millrace_json(bytes_max);
    if (made == nullptr) {
        return nullptr;
    }
    // A first small capacity; the parser grows by itself up to bytes_max and keeps the depth.
    if (made->parser.allocate(4096, depth_max) != simdjson::SUCCESS) {
        delete made;
        return nullptr;
    }
    return made;
}

extern "C" void millrace_json_destroy(millrace_json *parser) { delete parser; }

extern "C" int millrace_json_object(
    millrace_json *parser, const void *bytes, size_t count, const millrace_json_name *names,
    size_t names_count, millrace_json_field *fields
) {
    for (size_t i = 0; i < names_count; i += 1) {
        fields[i] = millrace_json_field{};
    }
    if (count > parser->bytes_max) {
        return too_large;
    }
    try {
        if (parser->padded.size() < count + simdjson::SIMDJSON_PADDING) {
            parser->padded.resize(count * 2 + simdjson::SIMDJSON_PADDING);
        }
        if (parser->joined.size() < names_count) {
            parser->joined.resize(names_count);
        }
        if (count > 0) {
            std::memcpy(parser->padded.data(), bytes, count);
        }
        simdjson::dom::object object;
        simdjson::dom::element root;
        auto code = parser->parser.parse(parser->padded.data(), count, false).get(root);
        if (code != simdjson::SUCCESS) {
            return static_cast<int>(code);
        }
        if (root.get_object().get(object) != simdjson::SUCCESS) {
            return not_an_object;
        }
        for (auto field : object) {
            for (size_t i = 0; i < names_count; i += 1) {
                if (field.key.size() == names[i].count
                    && std::memcmp(field.key.data(), names[i].bytes, names[i].count) == 0) {
                    read_field(parser, i, field.value, fields[i]);
                }
            }
        }
        return 0;
    } catch (const std::bad_alloc &) {
        return out_of_memory;
    }
}

extern "C" const char *millrace_json_message(int code) {
    switch (code) {
    case 0: return "no error";
    case not_an_object: return "the document is not an object";
    case too_large: return "the document is larger than the limit";
    case out_of_memory: return "memory ran out";
    default: return simdjson::error_message(static_cast<simdjson::error_code>(code));
    }
}
