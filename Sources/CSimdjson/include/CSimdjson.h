// The part of simdjson (C++) that Millrace uses, as C: take one JSON object apart.
#ifndef MILLRACE_CSIMDJSON_H
#define MILLRACE_CSIMDJSON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct millrace_json millrace_json;

/// The JSON type of a field; `absent` when the object does not have it.
typedef enum {
    MILLRACE_JSON_ABSENT = 0,
    MILLRACE_JSON_NULL,
    MILLRACE_JSON_BOOL,
    MILLRACE_JSON_INT,
    MILLRACE_JSON_UINT,
    MILLRACE_JSON_DOUBLE,
    MILLRACE_JSON_STRING,
    MILLRACE_JSON_STRINGS,
    MILLRACE_JSON_OTHER
} millrace_json_kind;

/// What became of a document.
typedef enum {
    MILLRACE_JSON_OK = 0,
    MILLRACE_JSON_INVALID,
    MILLRACE_JSON_INVALID_UTF8,
    MILLRACE_JSON_TOO_DEEP,
    MILLRACE_JSON_NOT_AN_OBJECT,
    MILLRACE_JSON_TOO_LARGE,
    MILLRACE_JSON_OUT_OF_MEMORY
} millrace_json_outcome;

/// A name to look for, as bytes.
typedef struct {
    const char *bytes;
    size_t count;
} millrace_json_name;

/// One field found. `text` is owned by the parser until the next parse. For MILLRACE_JSON_STRINGS
/// (an array of strings) `text` holds the strings one after the other, each followed by a newline
/// (newlines inside are turned into spaces), and `integer` is their number. MILLRACE_JSON_UINT is an integer above
/// INT64_MAX; `integer` then holds its bits.
typedef struct {
    millrace_json_kind kind;
    int64_t integer;
    double real;
    const char *text;
    size_t count;
} millrace_json_field;

/// A parser for documents of at most `bytes_max` bytes, nested at most `depth_max` deep; null when memory is out.
millrace_json *millrace_json_create(size_t bytes_max, size_t depth_max);
void millrace_json_destroy(millrace_json *parser);

/// Takes one object apart: `fields[i]` receives the field called `names[i]` (the last of duplicates).
/// The whole document is validated, UTF-8 included. The fields are valid only after MILLRACE_JSON_OK.
millrace_json_outcome millrace_json_object(
    millrace_json *parser, const void *bytes, size_t count, const millrace_json_name *names,
    size_t names_count, millrace_json_field *fields);

/// What was wrong with the last document, in English; a constant.
const char *millrace_json_message(const millrace_json *parser);

#ifdef __cplusplus
}
#endif
#endif
