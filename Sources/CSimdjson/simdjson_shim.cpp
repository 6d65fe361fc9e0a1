#include "CSimdjson.h"

#include <cmath>
#include <cstring>
#include <new>
#include <simdjson.h>
#include <string>
#include <vector>

using simdjson::dom::element;
using simdjson::dom::element_type;

struct millrace_json {
    simdjson::dom::parser parser;
    std::vector<char> padded;  // simdjson reads past the end: records are copied here first
    std::vector<std::string> joined;  // arrays of strings, one buffer a field
    size_t bytes_max;
    const char *message = "no error";

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
    case element_type::UINT64:  // above INT64_MAX only
        field.kind = MILLRACE_JSON_UINT;
        field.integer = static_cast<int64_t>(value.get_uint64().value_unsafe());
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

static millrace_json_outcome refuse(
    millrace_json *parser, millrace_json_outcome outcome, const char *message
) {
    parser->message = message;
    return outcome;
}

static millrace_json_outcome refuse(millrace_json *parser, simdjson::error_code code) {
    const char *message = simdjson::error_message(code);
    switch (code) {
    case simdjson::UTF8_ERROR: return refuse(parser, MILLRACE_JSON_INVALID_UTF8, message);
    case simdjson::DEPTH_ERROR: return refuse(parser, MILLRACE_JSON_TOO_DEEP, message);
    case simdjson::CAPACITY: return refuse(parser, MILLRACE_JSON_TOO_LARGE, message);
    case simdjson::MEMALLOC: return refuse(parser, MILLRACE_JSON_OUT_OF_MEMORY, message);
    default: return refuse(parser, MILLRACE_JSON_INVALID, message);
    }
}

extern "C" millrace_json_outcome millrace_json_object(
    millrace_json *parser, const void *bytes, size_t count, const millrace_json_name *names,
    size_t names_count, millrace_json_field *fields
) {
    if (count > parser->bytes_max) {
        return refuse(parser, simdjson::CAPACITY);
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
            return refuse(parser, code);
        }
        if (root.get_object().get(object) != simdjson::SUCCESS) {
            return refuse(parser, MILLRACE_JSON_NOT_AN_OBJECT, "the document is not an object");
        }
        for (size_t i = 0; i < names_count; i += 1) {
            fields[i] = millrace_json_field{};
        }
        for (auto field : object) {
            for (size_t i = 0; i < names_count; i += 1) {
                if (field.key.size() == names[i].count
                    && std::memcmp(field.key.data(), names[i].bytes, names[i].count) == 0) {
                    read_field(parser, i, field.value, fields[i]);
                }
            }
        }
        return MILLRACE_JSON_OK;
    } catch (const std::bad_alloc &) {
        return refuse(parser, simdjson::MEMALLOC);
    }
}

extern "C" const char *millrace_json_message(const millrace_json *parser) {
    return parser->message;
}
