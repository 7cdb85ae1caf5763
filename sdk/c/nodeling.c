/* nodeling for C, the whole of it: values, frames, the pipes, the threads. See nodeling.h for what it offers.
 *
 * The main thread reads and answers what needs no handler; as many threads as --concurrency says run calls; one
 * lock guards the table of calls, another the channel. Invariant: every call that was taken gets exactly one
 * terminal frame, and nothing is said of it afterwards.
 */
#define _GNU_SOURCE
#include "nodeling.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* -- memory and buffers ------------------------------------------------------------------------------------ */

static void die(const char *what) {
    fprintf(stderr, "nodeling: %s\n", what);
    _exit(70);
}

static void *grab(void *old, size_t size) {
    void *found = realloc(old, size ? size : 1);
    if (!found) die("out of memory");
    return found;
}

static char *copy_bytes(const char *bytes, size_t size) {
    char *found = grab(NULL, size + 1);
    if (size) memcpy(found, bytes, size);
    found[size] = 0;
    return found;
}

typedef struct {
    char *bytes;
    size_t size, room;
} buffer;

static void put(buffer *to, const void *bytes, size_t size) {
    if (to->size + size + 1 > to->room) {
        to->room = (to->size + size + 64) * 2;
        to->bytes = grab(to->bytes, to->room);
    }
    if (size) memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
    to->bytes[to->size] = 0;
}

static void puts_to(buffer *to, const char *text) { put(to, text, strlen(text)); }

static void printf_to(buffer *to, const char *format, ...) {
    char text[128];
    va_list rest;
    va_start(rest, format);
    vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    puts_to(to, text);
}

static char *vformat(const char *format, va_list rest) {
    char *text = NULL;
    if (vasprintf(&text, format, rest) < 0) die("a message cannot be formatted");
    return text;
}

/* -- values ------------------------------------------------------------------------------------------------ */

typedef struct {
    char *bytes;
    size_t size;
} span;

struct nl_value {
    nl_kind kind;
    union {
        bool truth;
        int64_t integer;
        double number;
        span text;
        struct {
            nl_value **items;
            span *names; /* of an object */
            size_t size, room;
        } many;
    } as;
};

static nl_value *fresh(nl_kind kind) {
    nl_value *found = grab(NULL, sizeof *found);
    memset(found, 0, sizeof *found);
    found->kind = kind;
    return found;
}

nl_value *nl_null(void) { return fresh(NL_NULL); }
nl_value *nl_list(void) { return fresh(NL_LIST); }
nl_value *nl_object(void) { return fresh(NL_OBJECT); }
nl_value *nl_text(const char *text) { return nl_text_of(text, strlen(text)); }

nl_value *nl_bool(bool value) {
    nl_value *found = fresh(NL_BOOL);
    found->as.truth = value;
    return found;
}

nl_value *nl_integer(int64_t value) {
    nl_value *found = fresh(NL_INTEGER);
    found->as.integer = value;
    return found;
}

nl_value *nl_number(double value) {
    nl_value *found = fresh(NL_NUMBER);
    found->as.number = value;
    return found;
}

nl_value *nl_text_of(const char *bytes, size_t size) {
    nl_value *found = fresh(NL_TEXT);
    found->as.text = (span){copy_bytes(bytes, size), size};
    return found;
}

static bool is_many(const nl_value *value) {
    return value && (value->kind == NL_LIST || value->kind == NL_OBJECT);
}

void nl_free(nl_value *value) {
    if (!value) return;
    if (value->kind == NL_TEXT) free(value->as.text.bytes);
    if (is_many(value)) {
        for (size_t n = 0; n < value->as.many.size; n++) {
            nl_free(value->as.many.items[n]);
            if (value->as.many.names) free(value->as.many.names[n].bytes);
        }
        free(value->as.many.items);
        free(value->as.many.names);
    }
    free(value);
}

static void append(nl_value *many, span name, nl_value *item) {
    if (many->as.many.size == many->as.many.room) {
        size_t room = many->as.many.room = many->as.many.room * 2 + 4;
        many->as.many.items = grab(many->as.many.items, room * sizeof *many->as.many.items);
        if (many->kind == NL_OBJECT) {
            many->as.many.names = grab(many->as.many.names, room * sizeof *many->as.many.names);
        }
    }
    many->as.many.items[many->as.many.size] = item;
    if (many->kind == NL_OBJECT) many->as.many.names[many->as.many.size] = name;
    many->as.many.size++;
}

nl_value *nl_copy(const nl_value *value) {
    if (!value) return NULL;
    if (value->kind == NL_TEXT) return nl_text_of(value->as.text.bytes, value->as.text.size);
    nl_value *found = fresh(value->kind);
    if (!is_many(value)) {
        found->as = value->as;
        return found;
    }
    for (size_t n = 0; n < value->as.many.size; n++) {
        span name = {NULL, 0};
        if (value->kind == NL_OBJECT) {
            name = value->as.many.names[n];
            name.bytes = copy_bytes(name.bytes, name.size);
        }
        append(found, name, nl_copy(value->as.many.items[n]));
    }
    return found;
}

void nl_push(nl_value *list, nl_value *item) {
    if (!nl_is(list, NL_LIST)) die("nl_push takes a list");
    append(list, (span){NULL, 0}, item);
}

static long index_of(const nl_value *object, const char *name, size_t size) {
    if (!nl_is(object, NL_OBJECT)) return -1;
    for (size_t n = 0; n < object->as.many.size; n++) {
        span own = object->as.many.names[n];
        if (own.size == size && !memcmp(own.bytes, name, size)) return (long)n;
    }
    return -1;
}

static void set_of(nl_value *object, const char *name, size_t size, nl_value *item) {
    long at = index_of(object, name, size);
    if (at < 0) {
        append(object, (span){copy_bytes(name, size), size}, item);
        return;
    }
    nl_free(object->as.many.items[at]);
    object->as.many.items[at] = item;
}

void nl_set(nl_value *object, const char *name, nl_value *item) {
    if (!nl_is(object, NL_OBJECT)) die("nl_set takes an object");
    set_of(object, name, strlen(name), item);
}

nl_kind nl_kind_of(const nl_value *value) { return value ? value->kind : NL_NULL; }
bool nl_is(const nl_value *value, nl_kind kind) { return value && value->kind == kind; }

bool nl_as_bool(const nl_value *value, bool otherwise) {
    return nl_is(value, NL_BOOL) ? value->as.truth : otherwise;
}

int64_t nl_as_integer(const nl_value *value, int64_t otherwise) {
    return nl_is(value, NL_INTEGER) ? value->as.integer : otherwise;
}

double nl_as_number(const nl_value *value, double otherwise) {
    if (nl_is(value, NL_INTEGER)) return (double)value->as.integer;
    return nl_is(value, NL_NUMBER) ? value->as.number : otherwise;
}

const char *nl_as_text(const nl_value *value, size_t *size) {
    if (!nl_is(value, NL_TEXT)) return NULL;
    if (size) *size = value->as.text.size;
    return value->as.text.bytes;
}

size_t nl_size(const nl_value *value) { return is_many(value) ? value->as.many.size : 0; }

const nl_value *nl_at(const nl_value *value, size_t index) {
    return index < nl_size(value) ? value->as.many.items[index] : NULL;
}

const char *nl_name_at(const nl_value *object, size_t index, size_t *size) {
    if (!nl_is(object, NL_OBJECT) || index >= nl_size(object)) return NULL;
    if (size) *size = object->as.many.names[index].size;
    return object->as.many.names[index].bytes;
}

const nl_value *nl_get(const nl_value *object, const char *name) {
    long at = index_of(object, name, strlen(name));
    return at < 0 ? NULL : object->as.many.items[at];
}

/* -- JSON: reading ----------------------------------------------------------------------------------------- */

/* What is no JSON at all stops the reading; what is JSON outside the profile (F4) is noted as `odd` and read on,
 * so that the call it came with can be told. */
typedef struct {
    const char *at, *end;
    int depth, deepest;
    const char *wrong; /* static texts */
    const char *odd;
} reader;

static pthread_once_t plain_once = PTHREAD_ONCE_INIT;
static locale_t plain; /* numbers are written with a point, whatever the node's locale is */

static void make_plain(void) {
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain) die("there is no C locale");
}

static double to_double(const char *text) {
    pthread_once(&plain_once, make_plain);
    locale_t before = uselocale(plain);
    double found = strtod(text, NULL);
    uselocale(before);
    return found;
}

static void skip_space(reader *in) {
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r')) in->at++;
}

static void *wrong(reader *in, const char *what) {
    if (!in->wrong) in->wrong = what;
    return NULL;
}

static void odd(reader *in, const char *what) {
    if (!in->odd) in->odd = what;
}

/* The length of the UTF-8 sequence at `at`; 0 for none. */
static size_t sequence(const unsigned char *at, size_t left) {
    unsigned char c = at[0];
    size_t size = c < 0x80 ? 1 : c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (!size || size > left) return 0;
    for (size_t n = 1; n < size; n++)
        if ((at[n] & 0xc0) != 0x80) return 0;
    if (c == 0xe0 && at[1] < 0xa0) return 0;
    if (c == 0xed && at[1] > 0x9f) return 0; /* surrogates */
    if (c == 0xf0 && at[1] < 0x90) return 0;
    if (c == 0xf4 && at[1] > 0x8f) return 0;
    return size;
}

static void put_code(buffer *to, uint32_t code) {
    char bytes[4];
    size_t size;
    if (code < 0x80) {
        bytes[0] = (char)code, size = 1;
    } else if (code < 0x800) {
        bytes[0] = (char)(0xc0 | code >> 6), bytes[1] = (char)(0x80 | (code & 0x3f)), size = 2;
    } else if (code < 0x10000) {
        bytes[0] = (char)(0xe0 | code >> 12), bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (code & 0x3f)), size = 3;
    } else {
        bytes[0] = (char)(0xf0 | code >> 18), bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
        bytes[2] = (char)(0x80 | (code >> 6 & 0x3f)), bytes[3] = (char)(0x80 | (code & 0x3f)), size = 4;
    }
    put(to, bytes, size);
}

static bool hex4(reader *in, uint32_t *code) {
    *code = 0;
    if (in->end - in->at < 4) return false;
    for (int n = 0; n < 4; n++, in->at++) {
        char c = *in->at;
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return false;
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

static bool read_escape(reader *in, buffer *to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (in->at >= in->end) return false;
    char c = *in->at++;
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        put(to, &into[known - from], 1);
        return true;
    }
    uint32_t code, low;
    if (c != 'u' || !hex4(in, &code)) return false;
    if (code >= 0xd800 && code < 0xdc00 && in->end - in->at >= 6 && in->at[0] == '\\' && in->at[1] == 'u') {
        reader ahead = *in;
        ahead.at += 2;
        if (!hex4(&ahead, &low)) return false;
        if (low >= 0xdc00 && low < 0xe000) {
            in->at = ahead.at;
            put_code(to, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
            return true;
        }
    }
    if (code >= 0xd800 && code < 0xe000) {
        odd(in, "a text holds a lone surrogate, which is no character");
        code = 0xfffd;
    }
    put_code(to, code);
    return true;
}

static bool read_text(reader *in, span *found) {
    buffer to = {0};
    put(&to, "", 0);
    in->at++;
    while (in->at < in->end && *in->at != '"') {
        unsigned char c = (unsigned char)*in->at;
        if (c == '\\') {
            in->at++;
            if (!read_escape(in, &to)) goto bad;
            continue;
        }
        size_t size = c < 0x20 ? 0 : sequence((const unsigned char *)in->at, (size_t)(in->end - in->at));
        if (!size) goto bad;
        put(&to, in->at, size);
        in->at += size;
    }
    if (in->at >= in->end) goto bad;
    in->at++;
    *found = (span){to.bytes, to.size};
    return true;
bad:
    free(to.bytes);
    wrong(in, "a text is not well formed");
    return false;
}

static bool is_digit(const reader *in) { return in->at < in->end && *in->at >= '0' && *in->at <= '9'; }

static bool digits(reader *in) {
    if (!is_digit(in)) return false;
    while (is_digit(in)) in->at++;
    return true;
}

static nl_value *read_number(reader *in) {
    const char *start = in->at;
    bool is_whole = true;
    if (*in->at == '-') in->at++;
    if (in->at < in->end && *in->at == '0') in->at++;
    else if (!digits(in)) return wrong(in, "a number is not well formed");
    if (in->at < in->end && *in->at == '.') {
        in->at++, is_whole = false;
        if (!digits(in)) return wrong(in, "a number is not well formed");
    }
    if (in->at < in->end && (*in->at == 'e' || *in->at == 'E')) {
        in->at++, is_whole = false;
        if (in->at < in->end && (*in->at == '+' || *in->at == '-')) in->at++;
        if (!digits(in)) return wrong(in, "a number is not well formed");
    }
    size_t size = (size_t)(in->at - start);
    if (is_whole && size <= 17) {
        int64_t value = 0;
        for (const char *at = start + (*start == '-'); at < in->at; at++) value = value * 10 + (*at - '0');
        if (value <= NL_LARGEST_INTEGER) return nl_integer(*start == '-' ? -value : value);
    }
    if (is_whole) {
        odd(in, "an integer lies outside of what every language holds exactly; write it as text");
        return nl_integer(0);
    }
    char *text = copy_bytes(start, size);
    double value = to_double(text);
    free(text);
    if (!isfinite(value)) odd(in, "a number is too large");
    return nl_number(isfinite(value) ? value : 0);
}

/* Go to the end of a list or an object that lies deeper than a value may be, without descending. */
static void skip_deep(reader *in) {
    size_t open = 0;
    for (bool in_text = false; in->at < in->end; in->at++) {
        char c = *in->at;
        if (in_text) {
            if (c == '\\') in->at++;
            else if (c == '"') in_text = false;
            continue;
        }
        if (c == '"') in_text = true;
        if (c == '[' || c == '{') open++;
        if ((c == ']' || c == '}') && --open == 0) {
            in->at++;
            return;
        }
    }
    if (in->at > in->end) in->at = in->end;
    wrong(in, "the text ends inside a value");
}

static nl_value *read_value(reader *in);

static int by_name(const void *one, const void *other) {
    const span *a = *(span *const *)one, *b = *(span *const *)other;
    int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
    if (!order) order = a->size < b->size ? -1 : a->size > b->size;
    return order ? order : a < b ? -1 : a > b;
}

/* Of members with one name the last is kept. */
static void keep_last(nl_value *object) {
    size_t size = object->as.many.size, left = 0;
    if (size < 2) return;
    span **order = grab(NULL, size * sizeof *order), *names = object->as.many.names;
    for (size_t n = 0; n < size; n++) order[n] = &names[n];
    qsort(order, size, sizeof *order, by_name);
    for (size_t n = 0; n + 1 < size; n++) {
        span *a = order[n], *b = order[n + 1];
        if (a->size == b->size && !memcmp(a->bytes, b->bytes, a->size)) {
            size_t at = (size_t)(a - names);
            nl_free(object->as.many.items[at]);
            object->as.many.items[at] = NULL;
        }
    }
    free(order);
    for (size_t n = 0; n < size; n++) {
        if (!object->as.many.items[n]) {
            free(names[n].bytes);
            continue;
        }
        names[left] = names[n];
        object->as.many.items[left++] = object->as.many.items[n];
    }
    object->as.many.size = left;
}

static nl_value *read_many(reader *in, nl_kind kind) {
    char close = kind == NL_LIST ? ']' : '}';
    if (in->depth >= in->deepest) {
        odd(in, "a value is nested more than 64 levels deep");
        skip_deep(in);
        return in->wrong ? NULL : nl_null();
    }
    nl_value *found = fresh(kind);
    in->at++, in->depth++;
    skip_space(in);
    bool is_first = true;
    while (in->at < in->end && *in->at != close) {
        span name = {NULL, 0};
        if (!is_first) {
            if (*in->at != ',') goto bad;
            in->at++;
            skip_space(in);
        }
        is_first = false;
        if (kind == NL_OBJECT) {
            if (in->at >= in->end || *in->at != '"' || !read_text(in, &name)) goto bad;
            skip_space(in);
            if (in->at >= in->end || *in->at != ':') {
                free(name.bytes);
                goto bad;
            }
            in->at++;
        }
        nl_value *item = read_value(in);
        if (!item) {
            free(name.bytes);
            goto bad;
        }
        append(found, name, item);
        skip_space(in);
    }
    if (in->at >= in->end) goto bad;
    in->at++, in->depth--;
    if (kind == NL_OBJECT) keep_last(found);
    return found;
bad:
    nl_free(found);
    return wrong(in, "a list or an object is not well formed");
}

static nl_value *read_word(reader *in) {
    static const char *const words[] = {"null", "true", "false"};
    for (int n = 0; n < 3; n++) {
        size_t size = strlen(words[n]);
        if ((size_t)(in->end - in->at) >= size && !memcmp(in->at, words[n], size)) {
            in->at += size;
            return n ? nl_bool(n == 1) : nl_null();
        }
    }
    return wrong(in, "there is no value where one should be");
}

static nl_value *read_value(reader *in) {
    skip_space(in);
    if (in->at >= in->end) return wrong(in, "the text ends where a value should be");
    char c = *in->at;
    if (c == '{') return read_many(in, NL_OBJECT);
    if (c == '[') return read_many(in, NL_LIST);
    if (c == '-' || is_digit(in)) return read_number(in);
    if (c != '"') return read_word(in);
    span text;
    if (!read_text(in, &text)) return NULL;
    nl_value *found = fresh(NL_TEXT);
    found->as.text = text;
    return found;
}

static nl_value *read_whole(reader *in) {
    nl_value *found = read_value(in);
    skip_space(in);
    if (found && in->at < in->end) {
        nl_free(found);
        return wrong(in, "something stands behind the value");
    }
    return found;
}

static void say(char *fault, size_t size, const char *what) {
    if (fault && size) snprintf(fault, size, "%s", what);
}

nl_value *nl_parse(const char *text, size_t size, char *fault, size_t fault_size) {
    reader in = {.at = text, .end = text + size, .deepest = NL_DEEPEST};
    nl_value *found = read_whole(&in);
    if (found && !in.odd) return found;
    nl_free(found);
    say(fault, fault_size, in.wrong ? in.wrong : in.odd);
    return NULL;
}

/* -- JSON: writing ----------------------------------------------------------------------------------------- */

static const char *write_text(buffer *to, const char *bytes, size_t size) {
    put(to, "\"", 1);
    for (size_t at = 0; at < size;) {
        unsigned char c = (unsigned char)bytes[at];
        size_t length = sequence((const unsigned char *)bytes + at, size - at);
        if (!length) return "a text is not UTF-8";
        if (c == '"' || c == '\\') {
            char pair[2] = {'\\', (char)c};
            put(to, pair, 2);
        } else if (c < 0x20) {
            printf_to(to, "\\u%04x", c);
        } else {
            put(to, bytes + at, length);
        }
        at += length;
    }
    put(to, "\"", 1);
    return NULL;
}

static const char *write_number(buffer *to, double value) {
    if (!isfinite(value)) return "NaN and Infinity are no JSON; use null instead";
    char text[40];
    pthread_once(&plain_once, make_plain);
    locale_t before = uselocale(plain);
    for (int precision = 15; precision <= 17; precision++) { /* the shortest that reads back as the same number */
        snprintf(text, sizeof text, "%.*g", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    uselocale(before);
    puts_to(to, text);
    if (!strpbrk(text, ".e")) puts_to(to, ".0"); /* else it would come back as an integer */
    return NULL;
}

/* `escaped`: names that begin like a handle get one more `$`, and handles stay (section 8). */
static const char *write_value(buffer *to, const nl_value *value, int depth, bool escaped);
static bool is_handle(const nl_value *value);

static bool is_dollar_blob(const char *name, size_t size, size_t least) {
    size_t dollars = 0;
    while (dollars < size && name[dollars] == '$') dollars++;
    return dollars >= least && size - dollars == 4 && !memcmp(name + dollars, "blob", 4);
}

static const char *write_many(buffer *to, const nl_value *value, int depth, bool escaped) {
    bool is_object = value->kind == NL_OBJECT;
    if (depth >= NL_DEEPEST) return "the value is nested more than 64 levels deep";
    bool escapes = escaped && !is_handle(value);
    put(to, is_object ? "{" : "[", 1);
    for (size_t n = 0; n < value->as.many.size; n++) {
        const char *fault = NULL;
        if (n) put(to, ",", 1);
        if (is_object) {
            span name = value->as.many.names[n];
            size_t start = to->size;
            fault = write_text(to, name.bytes, name.size);
            if (!fault && escapes && is_dollar_blob(name.bytes, name.size, 1)) {
                to->size = start;
                puts_to(to, "\"$");
                put(to, name.bytes, name.size);
                puts_to(to, "\"");
            }
            if (fault) return fault;
            put(to, ":", 1);
        }
        fault = write_value(to, value->as.many.items[n], depth + 1, escaped);
        if (fault) return fault;
    }
    put(to, is_object ? "}" : "]", 1);
    return NULL;
}

static const char *write_value(buffer *to, const nl_value *value, int depth, bool escaped) {
    switch (nl_kind_of(value)) {
    case NL_NULL: puts_to(to, "null"); return NULL;
    case NL_BOOL: puts_to(to, value->as.truth ? "true" : "false"); return NULL;
    case NL_INTEGER:
        if (value->as.integer > NL_LARGEST_INTEGER || value->as.integer < -NL_LARGEST_INTEGER) {
            return "an integer lies outside of what every language holds exactly; write it as text";
        }
        printf_to(to, "%lld", (long long)value->as.integer);
        return NULL;
    case NL_NUMBER: return write_number(to, value->as.number);
    case NL_TEXT: return write_text(to, value->as.text.bytes, value->as.text.size);
    default: return write_many(to, value, depth, escaped);
    }
}

char *nl_write(const nl_value *value, size_t *size, char *fault, size_t fault_size) {
    buffer to = {0};
    const char *what = write_value(&to, value, 0, false);
    if (what) {
        free(to.bytes);
        say(fault, fault_size, what);
        return NULL;
    }
    if (size) *size = to.size;
    return to.bytes;
}

/* -- the worker's state ------------------------------------------------------------------------------------ */

enum { FEATURE_BLOB, FEATURE_CANCEL, FEATURE_CREDIT, FEATURE_DRAIN, FEATURE_LOG, FEATURE_PING, FEATURE_PROGRESS, FEATURE_STREAM, FEATURES };
static const char *const feature_names[] = {"blob", "cancel", "credit", "drain", "log", "ping", "progress", "stream"};
static const char *const level_names[] = {"debug", "info", "warning", "error"};

#define LOGS_A_SECOND 1000
#define PROGRESS_SECONDS 0.1
#define LONGEST_BLOB (256u * 1024 * 1024)
#define MOST_CAUSES 5
#define LAST_WORDS_SECONDS 1.0 /* what busy handlers get when the host is gone; section 9 allows two */

struct nl_call {
    nl_call *next, *next_queued;
    char *id;         /* as JSON */
    nl_value *params; /* of the frame */
    nl_value *input;
    atomic_bool cancelled;
    bool is_queued, is_ended;
    double deadline; /* seconds since the epoch; 0: none */
    int log_level;
    bool wants_progress, wants_stream;
    int64_t credit; /* -1: as many as it likes */
    /* what it said */
    bool has_progress, is_progress_due;
    double progress_at, done, total;
    char *progress_message;
    int64_t chunks, dropped;
    nl_value *collected, *vars, *deleted, *metrics;
    /* how it failed */
    bool has_failed, has_retry, retryable, has_wait, is_unstarted;
    int code;
    int64_t wait;
    char *dotted, *message, *type;
    nl_value *details, *causes;
};

static struct {
    pthread_mutex_t lock, out;
    pthread_cond_t work, moved; /* a call waits; credit came, a call ended */
    nl_handler handler;
    const char *name, *version, *reads;
    int concurrency, read_fd, write_fd, blob_fd, log_level;
    bool has[FEATURES], is_draining, is_over;
    char *shutdown_id;
    size_t max_frame, spill;
    nl_call *calls, *queue, **queue_end;
    int in_flight;
    double log_window;
    int logged;
    atomic_uint blobs;
} W = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .out = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .moved = PTHREAD_COND_INITIALIZER,
    .version = "0.0.0",
    .concurrency = 1,
    .blob_fd = -1,
    .log_level = 1,
    .max_frame = 16 * 1024 * 1024,
    .spill = 1024 * 1024,
};

static double now(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static bool is_past(double deadline) { return deadline > 0 && now(CLOCK_REALTIME) >= deadline; }

/* -- frames out -------------------------------------------------------------------------------------------- */

static void send_bytes(const char *bytes, size_t size) {
    while (size) {
        ssize_t wrote = write(W.write_fd, bytes, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) _exit(0); /* nobody reads any more */
        bytes += wrote, size -= (size_t)wrote;
    }
}

/* Write a frame whole; its line end is added here. */
static void send_frame(buffer *frame) {
    put(frame, "\n", 1);
    pthread_mutex_lock(&W.out);
    send_bytes(frame->bytes, frame->size);
    pthread_mutex_unlock(&W.out);
    free(frame->bytes);
}

static buffer reply_to(const char *id) {
    buffer frame = {0};
    puts_to(&frame, "{\"jsonrpc\":\"2.0\",\"id\":");
    puts_to(&frame, id);
    return frame;
}

/* Write a text that may hold anything: what is no UTF-8 becomes a question mark. */
static void write_clean(buffer *to, const char *text) {
    size_t size = strlen(text);
    char *clean = copy_bytes(text, size);
    for (size_t at = 0; at < size;) {
        size_t length = sequence((const unsigned char *)clean + at, size - at);
        if (!length) clean[at] = '?';
        at += length ? length : 1;
    }
    write_text(to, clean, size);
    free(clean);
}

static void refuse(const char *id, int code, const char *message, const char *more) {
    buffer frame = reply_to(id);
    printf_to(&frame, ",\"error\":{\"code\":%d,\"message\":", code);
    write_clean(&frame, message);
    puts_to(&frame, ",\"data\":{\"type\":\"ProtocolError\",\"retryable\":false,\"started\":false");
    puts_to(&frame, more);
    puts_to(&frame, "}}}");
    send_frame(&frame);
}

/* -- secrets ----------------------------------------------------------------------------------------------- */

static char *masked(const nl_call *call, const char *text) {
    char *found = copy_bytes(text, strlen(text));
    const nl_value *secrets = call ? nl_get(call->params, "secrets") : NULL;
    for (size_t n = 0; n < nl_size(secrets); n++) {
        const char *secret = nl_as_text(nl_at(secrets, n), NULL);
        if (!secret || !*secret) continue;
        buffer to = {0};
        const char *from = found;
        for (const char *at; (at = strstr(from, secret)); from = at + strlen(secret)) {
            put(&to, from, (size_t)(at - from));
            puts_to(&to, "***");
        }
        puts_to(&to, from);
        free(found);
        found = to.bytes;
    }
    return found;
}

static void mask_value(const nl_call *call, nl_value *value) {
    if (nl_is(value, NL_TEXT)) {
        char *text = masked(call, value->as.text.bytes);
        if (strlen(value->as.text.bytes) == value->as.text.size) { /* a NUL inside: no secret of ours */
            free(value->as.text.bytes);
            value->as.text = (span){text, strlen(text)};
        } else {
            free(text);
        }
    }
    for (size_t n = 0; n < nl_size(value); n++) mask_value(call, value->as.many.items[n]);
}

/* -- blobs ------------------------------------------------------------------------------------------------- */

/* The parts of a handle; false when it is none. */
static bool handle_of(const nl_value *value, const char **path, int64_t *size, const char **encoding) {
    if (!nl_is(value, NL_OBJECT) || nl_size(value) != 1) return false;
    const nl_value *about = nl_get(value, "$blob");
    *path = nl_as_text(nl_get(about, "path"), NULL);
    *size = nl_as_integer(nl_get(about, "size"), -1);
    *encoding = nl_as_text(nl_get(about, "encoding"), NULL);
    return *path && *size >= 0 && *encoding;
}

static bool is_plain_name(const char *path) {
    return *path && !strchr(path, '/') && strcmp(path, ".") && strcmp(path, "..");
}

/* A handle is known by its file's being in the folder: nobody guesses such a name. */
static bool is_handle(const nl_value *value) {
    const char *path, *encoding;
    int64_t size;
    struct stat about;
    if (W.blob_fd < 0 || !handle_of(value, &path, &size, &encoding) || !is_plain_name(path)) return false;
    return !fstatat(W.blob_fd, path, &about, AT_SYMLINK_NOFOLLOW) && S_ISREG(about.st_mode);
}

static int open_blob(const char *path, int64_t size) {
    struct stat about;
    if (W.blob_fd < 0 || !is_plain_name(path)) return -1;
    int fd = openat(W.blob_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fstat(fd, &about) || !S_ISREG(about.st_mode) || about.st_size != size) {
        close(fd);
        return -1;
    }
    return fd;
}

static nl_value *read_blob(int fd, int64_t size) {
    if (size > LONGEST_BLOB) return NULL;
    char *bytes = grab(NULL, (size_t)size);
    size_t got = 0;
    while (got < (size_t)size) {
        ssize_t count = read(fd, bytes + got, (size_t)size - got);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        got += (size_t)count;
    }
    nl_value *found = got == (size_t)size ? nl_parse(bytes, got, NULL, 0) : NULL;
    free(bytes);
    return found;
}

/* Put values in the place of their handles, and take one `$` from escaped names. NULL, or what is wrong. */
static const char *resolve(nl_value **place) {
    nl_value *value = *place;
    const char *path, *encoding;
    int64_t size;
    if (nl_is(value, NL_OBJECT) && nl_get(value, "$blob")) {
        if (!handle_of(value, &path, &size, &encoding)) return "a blob's reference is not well formed";
        int fd = open_blob(path, size);
        if (fd < 0) return "a blob is no regular file of its size in the folder";
        bool is_json = !strcmp(encoding, "json");
        nl_value *found = is_json ? read_blob(fd, size) : NULL;
        close(fd);
        if (is_json && !found) return "a blob holds no value";
        if (is_json) {
            nl_free(value);
            *place = found;
        }
        return NULL;
    }
    for (size_t n = 0; n < nl_size(value); n++) {
        if (value->kind == NL_OBJECT) {
            span *name = &value->as.many.names[n];
            if (is_dollar_blob(name->bytes, name->size, 2)) {
                memmove(name->bytes, name->bytes + 1, name->size);
                name->size--;
            }
        }
        const char *fault = resolve(&value->as.many.items[n]);
        if (fault) return fault;
    }
    return NULL;
}

/* Write a file and put the reference to it into `to`; false when the disk refuses. */
static bool put_blob(buffer *to, const void *bytes, size_t size, const char *media_type, const char *encoding) {
    char name[64], fresh_name[72];
    snprintf(name, sizeof name, "n%ld-%u", (long)getpid(), atomic_fetch_add(&W.blobs, 1u));
    snprintf(fresh_name, sizeof fresh_name, "%s.tmp", name);
    int fd = openat(W.blob_fd, fresh_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    const char *at = bytes;
    bool is_good = true;
    for (size_t left = size; left && is_good;) {
        ssize_t wrote = write(fd, at, left);
        if (wrote < 0 && errno == EINTR) continue;
        is_good = wrote > 0;
        if (is_good) at += wrote, left -= (size_t)wrote;
    }
    is_good = !close(fd) && is_good;
    if (!is_good || renameat(W.blob_fd, fresh_name, W.blob_fd, name)) {
        unlinkat(W.blob_fd, fresh_name, 0);
        return false;
    }
    puts_to(to, "{\"$blob\":{\"path\":");
    write_text(to, name, strlen(name));
    printf_to(to, ",\"size\":%zu,\"media_type\":", size);
    write_clean(to, media_type);
    printf_to(to, ",\"encoding\":\"%s\"}}", encoding);
    return true;
}

static bool holds_handle(const nl_value *value) {
    if (is_handle(value)) return true;
    for (size_t n = 0; n < nl_size(value); n++)
        if (holds_handle(nl_at(value, n))) return true;
    return false;
}

/* Write a value that leaves the node: what is long becomes a blob, in parts where it holds handles. */
static const char *write_out(buffer *to, const nl_value *value, int depth) {
    size_t start = to->size;
    const char *fault = write_value(to, value, depth, true);
    bool spills = W.has[FEATURE_BLOB] && W.blob_fd >= 0 && to->size - start > W.spill;
    if (fault || !spills || is_handle(value)) return fault;
    if (!holds_handle(value)) {
        buffer plainly = {0};
        fault = write_value(&plainly, value, depth, false);
        to->size = start;
        if (!fault && !put_blob(to, plainly.bytes, plainly.size, "application/json", "json")) {
            fault = "a blob cannot be written; is the disk full?";
        }
        free(plainly.bytes);
        return fault;
    }
    to->size = start;
    bool is_object = value->kind == NL_OBJECT;
    put(to, is_object ? "{" : "[", 1);
    for (size_t n = 0; n < nl_size(value) && !fault; n++) {
        if (n) put(to, ",", 1);
        if (is_object) {
            span name = value->as.many.names[n];
            buffer own = {0};
            if (is_dollar_blob(name.bytes, name.size, 1)) put(&own, "$", 1);
            put(&own, name.bytes, name.size);
            fault = write_text(to, own.bytes, own.size);
            free(own.bytes);
            put(to, ":", 1);
        }
        if (!fault) fault = write_out(to, nl_at(value, n), depth + 1);
    }
    put(to, is_object ? "}" : "]", 1);
    return fault;
}

/* -- a call's own words ------------------------------------------------------------------------------------ */

static const nl_value *context_of(const nl_call *call) { return nl_get(call->params, "context"); }

static const char *context_text(const nl_call *call, const char *name) {
    const char *found = nl_as_text(nl_get(context_of(call), name), NULL);
    return found ? found : "";
}

const char *nl_run_id(const nl_call *call) { return context_text(call, "run_id"); }
const char *nl_step(const nl_call *call) { return context_text(call, "step"); }
const char *nl_idempotency_key(const nl_call *call) { return context_text(call, "idempotency_key"); }
const char *nl_work_dir(const nl_call *call) { return context_text(call, "work_dir"); }
int64_t nl_attempt(const nl_call *call) { return nl_as_integer(nl_get(context_of(call), "attempt"), 1); }

const char *nl_traceparent(const nl_call *call) {
    const char *found = nl_as_text(nl_get(nl_get(call->params, "_meta"), "traceparent"), NULL);
    return found ? found : "";
}

static const nl_value *object_or_none(const nl_value *found) {
    static const nl_value none = {.kind = NL_OBJECT};
    return nl_is(found, NL_OBJECT) ? found : &none;
}

const nl_value *nl_config(const nl_call *call) { return object_or_none(nl_get(call->params, "config")); }
const nl_value *nl_secrets(const nl_call *call) { return object_or_none(nl_get(call->params, "secrets")); }

const char *nl_secret(const nl_call *call, const char *name) {
    return nl_as_text(nl_get(nl_secrets(call), name), NULL);
}

double nl_deadline(const nl_call *call) { return call->deadline; }
bool nl_cancelled(const nl_call *call) { return atomic_load(&call->cancelled) || is_past(call->deadline); }

/* Whether the manifest's `reads` covers a name, as in `vars.limit` or `vars.*`. */
static bool reads(const char *area, const char *name) {
    char wanted[256], whole[64];
    snprintf(wanted, sizeof wanted, "%s.%s", area, name);
    snprintf(whole, sizeof whole, "%s.*", area);
    for (const char *at = W.reads; at && *at;) {
        size_t size = strcspn(at, ",");
        bool is_it = (size == strlen(wanted) && !memcmp(at, wanted, size)) || (size == strlen(whole) && !memcmp(at, whole, size));
        if (is_it) return true;
        at += size + (at[size] == ',');
    }
    return false;
}

static const nl_value *sent(nl_call *call, const char *area, const char *member, const char *name) {
    const nl_value *found = nl_get(nl_get(context_of(call), member), name);
    if (found || reads(area, name)) return found;
    buffer message = {0};
    puts_to(&message, area), put(&message, ".", 1), puts_to(&message, name);
    puts_to(&message, " was not sent; name it in `reads` of the manifest");
    nl_fail_as(call, "context.not_sent", message.bytes);
    free(message.bytes);
    return NULL;
}

const nl_value *nl_var(nl_call *call, const char *key) { return sent(call, "vars", "vars", key); }
const nl_value *nl_request(nl_call *call, const char *part) { return sent(call, "request", "request", part); }

static nl_value *made(nl_value **place, nl_kind kind) {
    if (!*place) *place = fresh(kind);
    return *place;
}

static void forget(nl_value *list, const char *text) {
    for (size_t n = 0; n < nl_size(list); n++) {
        if (strcmp(list->as.many.items[n]->as.text.bytes, text)) continue;
        nl_free(list->as.many.items[n]);
        list->as.many.items[n] = list->as.many.items[--list->as.many.size];
        return;
    }
}

void nl_set_var(nl_call *call, const char *key, nl_value *value) {
    forget(call->deleted, key);
    nl_set(made(&call->vars, NL_OBJECT), key, value);
}

void nl_delete_var(nl_call *call, const char *key) {
    long at = index_of(call->vars, key, strlen(key));
    if (at >= 0) {
        nl_value *vars = call->vars;
        size_t last = --vars->as.many.size;
        nl_free(vars->as.many.items[at]);
        free(vars->as.many.names[at].bytes);
        vars->as.many.items[at] = vars->as.many.items[last];
        vars->as.many.names[at] = vars->as.many.names[last];
    }
    forget(call->deleted, key);
    nl_push(made(&call->deleted, NL_LIST), nl_text(key));
}

void nl_metric(nl_call *call, const char *name, double value) {
    bool is_whole = value == floor(value) && fabs(value) <= (double)NL_LARGEST_INTEGER;
    nl_set(made(&call->metrics, NL_OBJECT), name, is_whole ? nl_integer((int64_t)value) : nl_number(value));
}

static buffer event_of(const char *method, const nl_call *call) {
    buffer frame = {0};
    puts_to(&frame, "{\"jsonrpc\":\"2.0\",\"method\":\"");
    puts_to(&frame, method);
    puts_to(&frame, "\",\"params\":{\"id\":");
    puts_to(&frame, call->id);
    return frame;
}

static int level_of(const char *name, int otherwise) {
    for (int n = 0; name && n < 4; n++)
        if (!strcmp(name, level_names[n])) return n;
    return otherwise;
}

/* One more line within this second? */
static bool may_log(void) {
    double at = now(CLOCK_MONOTONIC);
    pthread_mutex_lock(&W.lock);
    if (at - W.log_window >= 1) W.log_window = at, W.logged = 0;
    bool may = W.logged < LOGS_A_SECOND;
    if (may) W.logged++;
    pthread_mutex_unlock(&W.lock);
    return may;
}

void nl_log_data(nl_call *call, const char *level, const char *message, nl_value *data) {
    int weight = level_of(level, 1);
    if (!W.has[FEATURE_LOG] || weight < call->log_level) goto end;
    if (!may_log()) {
        call->dropped++;
        goto end;
    }
    buffer frame = event_of("node/log", call);
    printf_to(&frame, ",\"level\":\"%s\",\"message\":", level_names[weight]);
    char *text = masked(call, message);
    write_clean(&frame, text);
    free(text);
    if (data) {
        size_t start = frame.size;
        mask_value(call, data);
        puts_to(&frame, ",\"data\":");
        if (write_value(&frame, data, 0, false)) frame.size = start; /* what cannot travel is left out */
    }
    puts_to(&frame, "}}");
    if (frame.size > W.max_frame) {
        call->dropped++;
        free(frame.bytes);
    } else {
        send_frame(&frame);
    }
end:
    nl_free(data);
}

void nl_log(nl_call *call, const char *level, const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    char *message = vformat(format, rest);
    va_end(rest);
    nl_log_data(call, level, message, NULL);
    free(message);
}

static void send_progress(nl_call *call) {
    call->is_progress_due = false;
    call->progress_at = now(CLOCK_MONOTONIC);
    buffer frame = event_of("node/progress", call);
    puts_to(&frame, ",\"progress\":");
    write_number(&frame, call->done);
    if (call->total > 0) {
        puts_to(&frame, ",\"total\":");
        write_number(&frame, call->total);
    }
    if (call->progress_message) {
        char *text = masked(call, call->progress_message);
        puts_to(&frame, ",\"message\":");
        write_clean(&frame, text);
        free(text);
    }
    puts_to(&frame, "}}");
    send_frame(&frame);
}

void nl_progress(nl_call *call, double done, double total, const char *message) {
    if (!call->wants_progress || !W.has[FEATURE_PROGRESS] || !isfinite(done) || !isfinite(total)) return;
    free(call->progress_message);
    call->progress_message = message ? copy_bytes(message, strlen(message)) : NULL;
    call->done = done, call->total = total;
    bool is_soon = call->has_progress && now(CLOCK_MONOTONIC) - call->progress_at < PROGRESS_SECONDS;
    call->has_progress = call->is_progress_due = true;
    if (!is_soon) send_progress(call);
}

bool nl_chunk(nl_call *call, nl_value *part) {
    if (!call->wants_stream || !W.has[FEATURE_STREAM]) {
        nl_push(made(&call->collected, NL_LIST), part);
        return !nl_cancelled(call);
    }
    pthread_mutex_lock(&W.lock);
    while (!call->credit && !nl_cancelled(call) && !W.is_over) pthread_cond_wait(&W.moved, &W.lock);
    if (call->credit > 0) call->credit--;
    bool is_over = W.is_over || nl_cancelled(call);
    pthread_mutex_unlock(&W.lock);
    const char *fault = NULL;
    if (!is_over) {
        buffer frame = event_of("node/chunk", call);
        printf_to(&frame, ",\"seq\":%lld,\"data\":", (long long)call->chunks);
        fault = write_out(&frame, part, 0);
        puts_to(&frame, "}}");
        bool is_long = !fault && frame.size > W.max_frame;
        if (fault || is_long) {
            free(frame.bytes);
            nl_fail(call, is_long ? NL_TOO_LARGE : NL_INVALID_OUTPUT, "a part of the output cannot travel: %s",
                    is_long ? "its frame is over the cap" : fault);
            nl_fail_retry(call, false);
        } else {
            call->chunks++;
            send_frame(&frame);
        }
    }
    nl_free(part);
    return !is_over && !call->has_failed;
}

int nl_open_blob(nl_call *call, const nl_value *blob) {
    const char *path, *encoding;
    int64_t size;
    int fd = handle_of(blob, &path, &size, &encoding) ? open_blob(path, size) : -1;
    if (fd < 0) nl_fail(call, NL_INVALID_INPUT, "the blob is no regular file of its size in the folder");
    return fd;
}

nl_value *nl_write_blob(nl_call *call, const void *bytes, size_t size, const char *media_type) {
    if (!W.has[FEATURE_BLOB] || W.blob_fd < 0) {
        return nl_fail(call, NL_UNSUPPORTED, "the host takes no bytes by reference");
    }
    buffer to = {0};
    nl_value *found = put_blob(&to, bytes, size, media_type, "raw") ? nl_parse(to.bytes, to.size, NULL, 0) : NULL;
    free(to.bytes);
    return found ? found : nl_fail(call, NL_TRANSIENT, "a blob cannot be written; is the disk full?");
}

/* -- failing ----------------------------------------------------------------------------------------------- */

static void fail_with(nl_call *call, int code, char *message) {
    free(call->message);
    free(call->dotted);
    call->has_failed = true, call->code = code, call->message = message, call->dotted = NULL;
}

nl_value *nl_fail(nl_call *call, int code, const char *format, ...) {
    va_list rest;
    va_start(rest, format);
    fail_with(call, code, vformat(format, rest));
    va_end(rest);
    return NULL;
}

nl_value *nl_fail_as(nl_call *call, const char *dotted_code, const char *message) {
    fail_with(call, NL_USER_ERROR, copy_bytes(message, strlen(message)));
    call->dotted = copy_bytes(dotted_code, strlen(dotted_code));
    return NULL;
}

void nl_fail_type(nl_call *call, const char *type) {
    free(call->type);
    call->type = copy_bytes(type, strlen(type));
}

void nl_fail_retry(nl_call *call, bool retryable) { call->has_retry = true, call->retryable = retryable; }
void nl_fail_retry_after(nl_call *call, int64_t milliseconds) { call->has_wait = true, call->wait = milliseconds; }

void nl_fail_details(nl_call *call, nl_value *details) {
    nl_free(call->details);
    call->details = details;
}

void nl_fail_cause(nl_call *call, const char *type, const char *message) {
    nl_value *cause = nl_object();
    nl_set(cause, "type", nl_text(type));
    nl_set(cause, "message", nl_text(message));
    nl_push(made(&call->causes, NL_LIST), cause);
}

/* -- the terminal frame ------------------------------------------------------------------------------------ */

static void write_cause(buffer *to, const nl_call *call, size_t at) {
    const nl_value *cause = nl_at(call->causes, at);
    puts_to(to, ",\"cause\":{\"type\":");
    write_clean(to, nl_as_text(nl_get(cause, "type"), NULL));
    char *text = masked(call, nl_as_text(nl_get(cause, "message"), NULL));
    puts_to(to, ",\"message\":");
    write_clean(to, text);
    free(text);
    if (at + 1 < nl_size(call->causes) && at + 1 < MOST_CAUSES) write_cause(to, call, at + 1);
    put(to, "}", 1);
}

static buffer error_frame(nl_call *call) {
    buffer frame = reply_to(call->id);
    bool is_hosts = call->code >= 9000 && call->code < 10000; /* those are the host's to give */
    printf_to(&frame, ",\"error\":{\"code\":%d,\"message\":", is_hosts ? NL_USER_ERROR : call->code);
    char *text = masked(call, call->message ? call->message : "failed");
    write_clean(&frame, text);
    free(text);
    puts_to(&frame, ",\"data\":{\"type\":");
    write_clean(&frame, call->type ? call->type : "NodeError");
    if (call->dotted) puts_to(&frame, ",\"code\":"), write_clean(&frame, call->dotted);
    if (call->has_retry) printf_to(&frame, ",\"retryable\":%s", call->retryable ? "true" : "false");
    if (call->is_unstarted) puts_to(&frame, ",\"started\":false");
    if (call->has_wait) printf_to(&frame, ",\"retry_after_ms\":%lld", (long long)call->wait);
    if (is_hosts) nl_set(made(&call->details, NL_OBJECT), "code", nl_integer(call->code));
    if (call->details) {
        size_t start = frame.size;
        mask_value(call, call->details);
        puts_to(&frame, ",\"details\":");
        if (write_value(&frame, call->details, 0, false)) frame.size = start; /* what cannot travel is left out */
    }
    if (call->causes) write_cause(&frame, call, 0);
    puts_to(&frame, "}}}");
    return frame;
}

static void put_member(buffer *to, const char *name, const nl_value *value, const char **fault) {
    if (!value || *fault) return;
    puts_to(to, name);
    *fault = write_value(to, value, 0, false);
}

static buffer result_frame(nl_call *call, const nl_value *output, const char **fault) {
    bool is_parts = nl_is(output, NL_NULL) && call->collected;
    buffer frame = reply_to(call->id);
    puts_to(&frame, ",\"result\":{\"output\":");
    *fault = write_out(&frame, is_parts ? call->collected : output, 0);
    put_member(&frame, ",\"vars\":", call->vars, fault);
    put_member(&frame, ",\"deleted\":", call->deleted, fault);
    if (call->chunks) printf_to(&frame, ",\"chunks\":%lld", (long long)call->chunks);
    if (call->dropped) nl_metric(call, "dropped", (double)call->dropped);
    put_member(&frame, ",\"metrics\":", call->metrics, fault);
    puts_to(&frame, "}}");
    return frame;
}

static void free_call(nl_call *call) {
    free(call->id);
    nl_free(call->params);
    free(call->progress_message);
    free(call->dotted);
    free(call->message);
    free(call->type);
    nl_value *const owned[] = {call->input, call->collected, call->vars, call->deleted, call->metrics, call->details, call->causes};
    for (size_t n = 0; n < sizeof owned / sizeof *owned; n++) nl_free(owned[n]);
    free(call);
}

/* With the lock held: nothing is in flight and the host asked for the end. */
static void end_if_drained(void) {
    if (!W.shutdown_id || W.in_flight) return;
    buffer frame = reply_to(W.shutdown_id);
    puts_to(&frame, ",\"result\":{}}");
    send_frame(&frame);
    fflush(NULL);
    _exit(0);
}

/* Answer a call and forget it: the one place where a call ends. */
static void end_call(nl_call *call, nl_value *output) {
    bool is_cancelled = atomic_load(&call->cancelled);
    if (call->is_progress_due) send_progress(call);
    const char *fault = NULL;
    buffer frame = {0};
    if (is_cancelled) {
        nl_fail(call, -32800, "cancelled");
        nl_fail_retry(call, false);
    } else if (!output && !call->has_failed) {
        nl_fail(call, NL_INVALID_OUTPUT, "the handler gave neither an output nor an error");
        nl_fail_retry(call, false);
    }
    if (!call->has_failed) {
        frame = result_frame(call, output, &fault);
        if (fault || frame.size > W.max_frame) {
            nl_fail(call, fault ? NL_INVALID_OUTPUT : NL_TOO_LARGE, fault ? "the output cannot travel: %s" : "the answer is over the cap of a frame%s",
                    fault ? fault : "");
            nl_fail_retry(call, false);
            free(frame.bytes);
        }
    }
    if (call->has_failed) {
        frame = error_frame(call);
        if (frame.size > W.max_frame) {
            free(frame.bytes);
            nl_free(call->details), nl_free(call->causes);
            call->details = call->causes = NULL;
            nl_fail(call, NL_TOO_LARGE, "the error is over the cap of a frame");
            frame = error_frame(call);
        }
    }
    pthread_mutex_lock(&W.lock);
    for (nl_call **at = &W.calls; *at; at = &(*at)->next) {
        if (*at != call) continue;
        *at = call->next;
        break;
    }
    send_frame(&frame);
    W.in_flight--;
    pthread_cond_broadcast(&W.moved);
    end_if_drained();
    pthread_mutex_unlock(&W.lock);
    nl_free(output);
    free_call(call);
}

/* -- running calls ----------------------------------------------------------------------------------------- */

static void run_call(nl_call *call) {
    nl_value *output = NULL;
    const nl_value *given = nl_get(call->params, "input");
    const char *fault = NULL;
    if (is_past(call->deadline)) {
        nl_fail(call, NL_DEADLINE, "the deadline had passed before the call began");
        call->is_unstarted = true;
    }
    call->input = given ? nl_copy(given) : nl_null();
    if (!call->has_failed) fault = resolve(&call->input);
    if (fault) {
        nl_fail(call, NL_INVALID_INPUT, "the input cannot be read: %s", fault);
        nl_fail_retry(call, false);
    }
    if (!call->has_failed) output = W.handler(call, call->input);
    fflush(stdout); /* what it printed is a log line now, not at the end of the process */
    if (call->has_failed) {
        nl_free(output);
        output = NULL;
    }
    end_call(call, output);
}

static void *serve_calls(void *unused) {
    (void)unused;
    pthread_mutex_lock(&W.lock);
    for (;;) {
        while (!W.queue) pthread_cond_wait(&W.work, &W.lock);
        nl_call *call = W.queue;
        W.queue = call->next_queued;
        if (!W.queue) W.queue_end = &W.queue;
        call->is_queued = false;
        pthread_mutex_unlock(&W.lock);
        run_call(call);
        pthread_mutex_lock(&W.lock);
    }
    return NULL;
}

static void take_call(const char *id, nl_value *params) {
    const nl_value *meta = nl_get(params, "_meta"), *stream = nl_get(meta, "stream");
    nl_call *call = grab(NULL, sizeof *call);
    memset(call, 0, sizeof *call);
    atomic_init(&call->cancelled, false);
    call->id = copy_bytes(id, strlen(id));
    call->params = params;
    call->deadline = nl_as_number(nl_get(params, "deadline"), 0) / 1000;
    call->log_level = level_of(nl_as_text(nl_get(meta, "log_level"), NULL), W.log_level);
    call->wants_progress = nl_as_bool(nl_get(meta, "progress"), false);
    call->wants_stream = nl_is(stream, NL_OBJECT);
    call->credit = W.has[FEATURE_CREDIT] ? nl_as_integer(nl_get(stream, "credit"), -1) : -1;
    pthread_mutex_lock(&W.lock);
    call->next = W.calls, W.calls = call;
    call->is_queued = true;
    *W.queue_end = call, W.queue_end = &call->next_queued;
    W.in_flight++;
    pthread_cond_signal(&W.work);
    pthread_mutex_unlock(&W.lock);
}

/* -- frames in --------------------------------------------------------------------------------------------- */

static char *id_text(const nl_value *id) {
    bool is_id = nl_is(id, NL_INTEGER) || nl_is(id, NL_TEXT);
    return is_id ? nl_write(id, NULL, NULL, 0) : NULL;
}

static nl_call *find_call(const char *id) { /* with the lock held */
    for (nl_call *call = W.calls; call; call = call->next)
        if (!strcmp(call->id, id)) return call;
    return NULL;
}

static bool is_one_of(const nl_value *list, const char *word) {
    for (size_t n = 0; n < nl_size(list); n++) {
        const char *text = nl_as_text(nl_at(list, n), NULL);
        if (text && !strcmp(text, word)) return true;
    }
    return false;
}

static void open_blob_folder(const nl_value *folder) {
    const char *path = nl_as_text(folder, NULL);
    if (W.blob_fd >= 0) close(W.blob_fd);
    W.blob_fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

static void on_hello(const char *id, const nl_value *params) {
    const nl_value *versions = nl_get(params, "protocol"), *limits = nl_get(params, "limits");
    bool is_common = false;
    for (size_t n = 0; n < nl_size(versions); n++) is_common |= nl_as_integer(nl_at(versions, n), 0) == NL_PROTOCOL;
    if (!is_common) {
        refuse(id, 4100, "there is no common version of the protocol", ",\"supported\":[1]");
        return;
    }
    pthread_mutex_lock(&W.lock);
    for (int n = 0; n < FEATURES; n++) W.has[n] = is_one_of(nl_get(params, "features"), feature_names[n]);
    int64_t cap = nl_as_integer(nl_get(limits, "max_frame_bytes"), 0), spill = nl_as_integer(nl_get(limits, "spill_bytes"), 0);
    if (cap > 0) W.max_frame = (size_t)cap;
    if (spill > 0) W.spill = (size_t)spill;
    W.log_level = level_of(nl_as_text(nl_get(params, "log_level"), NULL), W.log_level);
    open_blob_folder(nl_get(params, "blob_dir"));
    pthread_mutex_unlock(&W.lock);
    buffer frame = reply_to(id);
    puts_to(&frame, ",\"result\":{\"protocol\":1,\"node\":{\"name\":");
    write_clean(&frame, W.name ? W.name : "node");
    puts_to(&frame, ",\"version\":");
    write_clean(&frame, W.version);
    puts_to(&frame, "},\"sdk\":{\"name\":\"nodeling\",\"version\":\"" NL_VERSION "\",\"language\":\"c\"},\"features\":[");
    const char *between = "";
    for (int n = 0; n < FEATURES; n++) {
        if (!W.has[n]) continue;
        puts_to(&frame, between), put(&frame, "\"", 1), puts_to(&frame, feature_names[n]), put(&frame, "\"", 1);
        between = ",";
    }
    printf_to(&frame, "],\"max_concurrency\":%d}}", W.concurrency);
    send_frame(&frame);
}

/* Why a call is not taken: a code, and what to say; 0 when it is. */
static int refusal_of(const char *id, const nl_value *params, const char **message) {
    const char *node = nl_as_text(nl_get(params, "node"), NULL);
    static const char *const objects[] = {"config", "secrets", "context", "_meta"};
    for (size_t n = 0; n < sizeof objects / sizeof *objects; n++) {
        const nl_value *part = nl_get(params, objects[n]);
        if (!part || part->kind == NL_OBJECT || part->kind == NL_NULL) continue;
        *message = "a part of the call that should be an object is none";
        return -32602;
    }
    *message = "this process serves another node";
    if (W.name && node && strcmp(node, W.name)) return NL_UNKNOWN_NODE;
    pthread_mutex_lock(&W.lock);
    bool is_known = find_call(id) != NULL, is_draining = W.shutdown_id != NULL;
    pthread_mutex_unlock(&W.lock);
    *message = is_known ? NULL : "the process is shutting down";
    return is_known ? -1 : is_draining ? NL_OVERLOADED : 0;
}

static bool on_invoke(const char *id, nl_value *params, const char *odd_value) {
    const char *message = NULL;
    int code = refusal_of(id, params, &message);
    if (!code && odd_value) code = NL_INVALID_INPUT, message = odd_value;
    if (!code) {
        take_call(id, params);
        return true;
    }
    if (message) refuse(id, code, message, "");
    else fprintf(stderr, "nodeling: a call came with the number of one that still runs (%s)\n", id);
    return false;
}

/* End a call that has not begun; with the lock held, which is let go of. */
static void end_queued(nl_call *call) {
    for (nl_call **at = &W.queue; *at; at = &(*at)->next_queued) {
        if (*at != call) continue;
        *at = call->next_queued;
        break;
    }
    W.queue_end = &W.queue;
    while (*W.queue_end) W.queue_end = &(*W.queue_end)->next_queued;
    pthread_mutex_unlock(&W.lock);
    end_call(call, NULL);
}

static void on_notification(const char *method, const nl_value *params) {
    char *id = id_text(nl_get(params, "id"));
    if (!id) return;
    pthread_mutex_lock(&W.lock);
    nl_call *call = find_call(id);
    free(id);
    if (call && !strcmp(method, "node/cancel")) {
        atomic_store(&call->cancelled, true);
        pthread_cond_broadcast(&W.moved);
        if (call->is_queued) {
            end_queued(call);
            return;
        }
    }
    if (call && !strcmp(method, "node/credit") && call->credit >= 0) {
        int64_t more = nl_as_integer(nl_get(params, "n"), 0);
        if (more > 0) call->credit += more;
        pthread_cond_broadcast(&W.moved);
    }
    pthread_mutex_unlock(&W.lock);
}

static void on_ping(const char *id) {
    pthread_mutex_lock(&W.lock);
    int count = W.in_flight;
    pthread_mutex_unlock(&W.lock);
    buffer frame = reply_to(id);
    printf_to(&frame, ",\"result\":{\"inflight\":%d}}", count);
    send_frame(&frame);
}

static void on_shutdown(const char *id) {
    pthread_mutex_lock(&W.lock);
    if (!W.shutdown_id) W.shutdown_id = copy_bytes(id, strlen(id));
    end_if_drained();
    pthread_mutex_unlock(&W.lock);
}

/* Take `params` out of a frame, so that it may outlive it. */
static nl_value *taken(nl_value *frame) {
    long at = index_of(frame, "params", 6);
    if (at < 0) return nl_object();
    nl_value *found = frame->as.many.items[at];
    frame->as.many.items[at] = nl_null();
    return found;
}

static void on_request(const char *id, const char *method, nl_value *frame, const char *odd_value) {
    const nl_value *params = nl_get(frame, "params");
    if (params && params->kind != NL_OBJECT) {
        refuse(id, -32602, "params is an object", "");
    } else if (!strcmp(method, "node/invoke")) {
        nl_value *own = taken(frame);
        if (!on_invoke(id, own, odd_value)) nl_free(own);
    } else if (!strcmp(method, "node/hello")) {
        on_hello(id, params);
    } else if (!strcmp(method, "node/ping")) {
        on_ping(id);
    } else if (!strcmp(method, "node/shutdown")) {
        on_shutdown(id);
    } else {
        refuse(id, -32601, "this node knows no such method", "");
    }
}

static void on_line(const char *line, size_t size) {
    if (size && line[size - 1] == '\r') size--;
    size_t blank = 0;
    while (blank < size && (line[blank] == ' ' || line[blank] == '\t')) blank++;
    if (blank == size) return;
    /* the envelope, its params and a value: two levels more than a value may have */
    reader in = {.at = line, .end = line + size, .deepest = NL_DEEPEST + 2};
    nl_value *frame = read_whole(&in);
    if (!frame) {
        refuse("null", -32700, in.wrong, "");
        return;
    }
    const char *version = nl_as_text(nl_get(frame, "jsonrpc"), NULL);
    const char *method = nl_as_text(nl_get(frame, "method"), NULL);
    const nl_value *given = nl_get(frame, "id");
    char *id = id_text(given);
    if (!nl_is(frame, NL_OBJECT) || !version || strcmp(version, "2.0") || !method || (given && !id)) {
        refuse(id ? id : "null", -32600, "a frame is an object with jsonrpc 2.0 and a method", "");
    } else if (id) {
        on_request(id, method, frame, in.odd);
    } else {
        on_notification(method, nl_get(frame, "params"));
    }
    free(id);
    nl_free(frame);
}

/* A line over the cap: the call it names in its first 4 KiB is told. */
static void on_long_line(const char *line, size_t size) {
    const char *at = memmem(line, size < 4096 ? size : 4096, "\"id\":", 5);
    char id[32] = "null";
    if (at) {
        at += 5;
        while (*at == ' ') at++;
        size_t digits_size = strspn(at, "0123456789");
        if (digits_size && digits_size < sizeof id) memcpy(id, at, digits_size), id[digits_size] = 0;
    }
    refuse(id, NL_TOO_LARGE, "the frame is over the cap", "");
}

static bool split_lines(buffer *held, bool *is_skipping, size_t *skipped, const char *bytes, size_t size) {
    while (size) {
        const char *end = memchr(bytes, '\n', size);
        size_t part = end ? (size_t)(end - bytes) : size;
        if (!*is_skipping) put(held, bytes, part);
        else *skipped += part;
        if (!*is_skipping && held->size > W.max_frame + 1) {
            on_long_line(held->bytes, held->size);
            *is_skipping = true, *skipped = held->size, held->size = 0;
        }
        if (*is_skipping && *skipped > 4 * W.max_frame) return false;
        if (end) {
            bool has_return = held->size && held->bytes[held->size - 1] == '\r';
            if (!*is_skipping && held->size - has_return > W.max_frame) on_long_line(held->bytes, held->size);
            else if (!*is_skipping && held->size) on_line(held->bytes, held->size);
            *is_skipping = false, held->size = 0;
            part++;
        }
        bytes += part, size -= part;
    }
    return true;
}

/* -- the process ------------------------------------------------------------------------------------------- */

/* The host is gone: cancel what runs, give it a moment, and end whatever it does. */
static void leave(void) {
    pthread_mutex_lock(&W.lock);
    W.is_over = true;
    for (nl_call *call = W.calls; call; call = call->next) atomic_store(&call->cancelled, true);
    pthread_cond_broadcast(&W.moved);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)LAST_WORDS_SECONDS;
    while (W.in_flight && !pthread_cond_timedwait(&W.moved, &W.lock, &until)) continue;
    pthread_mutex_unlock(&W.lock);
    fflush(NULL);
    _exit(0);
}

static int above(int fd) {
    int found = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (found < 0) die("the channel cannot be opened");
    return found;
}

/* Take the channel away from everything else in this process: what is printed becomes a log line. */
static void open_channel(void) {
    const char *fds = getenv("NODELING_FDS");
    if (fds) {
        if (sscanf(fds, "%d,%d", &W.read_fd, &W.write_fd) != 2) die("NODELING_FDS does not name two descriptors");
        if (fcntl(W.read_fd, F_SETFD, FD_CLOEXEC) || fcntl(W.write_fd, F_SETFD, FD_CLOEXEC)) {
            die("NODELING_FDS names descriptors that are not open");
        }
        unsetenv("NODELING_FDS");
        return;
    }
    W.read_fd = above(0), W.write_fd = above(1);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(2, 1) < 0) die("stdin and stdout cannot be turned");
    if (nothing > 2) close(nothing);
}

static const char *option(int argc, char **argv, int *at, const char *name) {
    size_t size = strlen(name);
    const char *word = argv[*at];
    if (strncmp(word, name, size)) return NULL;
    if (word[size] == '=') return word + size + 1;
    if (!word[size] && *at + 1 < argc) return argv[++*at];
    return NULL;
}

static void read_options(int argc, char **argv) {
    for (int at = 1; at < argc; at++) {
        const char *found;
        if ((found = option(argc, argv, &at, "--name"))) W.name = found;
        else if ((found = option(argc, argv, &at, "--version"))) W.version = found;
        else if ((found = option(argc, argv, &at, "--reads"))) W.reads = found;
        else if ((found = option(argc, argv, &at, "--concurrency"))) W.concurrency = atoi(found);
    }
    if (W.concurrency < 1 || W.concurrency > 4096) die("--concurrency is a number from 1 to 4096");
}

int nl_serve(int argc, char **argv, nl_handler handler) {
    if (!getenv("NODELING")) {
        fprintf(stderr, "%s is a node: its host starts it.\nTo run it by hand: nodectl test DIR, or nodectl run FILE\n", argv[0]);
        return 64;
    }
    read_options(argc, argv);
    open_channel();
    fflush(stdout);
    W.handler = handler;
    W.queue_end = &W.queue;
    for (int n = 0; n < W.concurrency; n++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve_calls, NULL)) die("a thread cannot be started");
        pthread_detach(thread);
    }
    buffer held = {0};
    bool is_skipping = false;
    size_t skipped = 0;
    char *bytes = grab(NULL, 65536);
    for (;;) {
        ssize_t count = read(W.read_fd, bytes, 65536);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break; /* a line that is not finished is dropped with it */
        if (!split_lines(&held, &is_skipping, &skipped, bytes, (size_t)count)) {
            fprintf(stderr, "nodeling: a line is longer than four times the cap\n");
            break;
        }
    }
    leave();
    return 0;
}
