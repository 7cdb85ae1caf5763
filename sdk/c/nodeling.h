/* nodeling for C: a node is one function, and this header is all it needs.
 *
 *     #include "nodeling.h"
 *
 *     static nl_value *shout(nl_call *call, const nl_value *input) {
 *         const char *text = nl_as_text(nl_get(input, "text"), NULL);
 *         if (!text) return nl_fail(call, NL_INVALID_INPUT, "text is missing");
 *         ...
 *         return nl_text(text);
 *     }
 *
 *     int main(int argc, char **argv) { return nl_serve(argc, argv, shout); }
 *
 * The protocol, the threads, the pipes and the end of the process are nodeling.c's. When memory runs out the
 * process says so on stderr and ends; no function here returns NULL for that reason.
 */
#ifndef NODELING_H
#define NODELING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NL_VERSION "0.1.0"
#define NL_PROTOCOL 1

/* -- values: JSON, with integers told from other numbers ------------------------------------------------- */

typedef struct nl_value nl_value;

typedef enum { NL_NULL, NL_BOOL, NL_INTEGER, NL_NUMBER, NL_TEXT, NL_LIST, NL_OBJECT } nl_kind;

#define NL_LARGEST_INTEGER 9007199254740991LL /* 2^53 - 1: what every language holds exactly */
#define NL_DEEPEST 64                         /* levels of a value */

/* Makers. A value has one owner; what is put into a list or an object belongs to it from then on. */
nl_value *nl_null(void);
nl_value *nl_bool(bool value);
nl_value *nl_integer(int64_t value);
nl_value *nl_number(double value);
nl_value *nl_text(const char *text);                   /* up to its NUL */
nl_value *nl_text_of(const char *bytes, size_t size);  /* UTF-8, may hold NUL */
nl_value *nl_list(void);
nl_value *nl_object(void);
nl_value *nl_copy(const nl_value *value);
void nl_free(nl_value *value); /* of NULL: nothing */

void nl_push(nl_value *list, nl_value *item);
void nl_set(nl_value *object, const char *name, nl_value *item); /* replaces a member of that name */

/* Readers. All take NULL for "there is none", so that nl_as_text(nl_get(input, "a"), NULL) needs no guard. */
nl_kind nl_kind_of(const nl_value *value);
bool nl_is(const nl_value *value, nl_kind kind);
bool nl_as_bool(const nl_value *value, bool otherwise);
int64_t nl_as_integer(const nl_value *value, int64_t otherwise);
double nl_as_number(const nl_value *value, double otherwise);       /* of an integer too */
const char *nl_as_text(const nl_value *value, size_t *size);        /* NULL when it is no text */
size_t nl_size(const nl_value *value);                              /* items or members; 0 for the rest */
const nl_value *nl_at(const nl_value *value, size_t index);         /* an item, or a member's value */
const char *nl_name_at(const nl_value *object, size_t index, size_t *size);
const nl_value *nl_get(const nl_value *object, const char *name);   /* NULL when there is none */

/* JSON text. Both say in `fault` (may be NULL) what is wrong when they return NULL. */
nl_value *nl_parse(const char *text, size_t size, char *fault, size_t fault_size);
char *nl_write(const nl_value *value, size_t *size, char *fault, size_t fault_size); /* free() it */

/* -- a call ------------------------------------------------------------------------------------------------ */

typedef struct nl_call nl_call;

/* Gives the output, which is freed for it; or NULL after nl_fail. Calls may run at the same time. */
typedef nl_value *(*nl_handler)(nl_call *call, const nl_value *input);

/* Serves calls until the host is gone; what main returns. Knows --name, --version, --concurrency, --reads. */
int nl_serve(int argc, char **argv, nl_handler handler);

/* What came with the call; the text and the values are the call's. */
const char *nl_run_id(const nl_call *call);
const char *nl_step(const nl_call *call);
int64_t nl_attempt(const nl_call *call);
const char *nl_idempotency_key(const nl_call *call);
const char *nl_work_dir(const nl_call *call);
const char *nl_traceparent(const nl_call *call);
const nl_value *nl_config(const nl_call *call);                    /* an object */
const nl_value *nl_secrets(const nl_call *call);                   /* an object of texts */
const char *nl_secret(const nl_call *call, const char *name);
double nl_deadline(const nl_call *call);                           /* seconds since the epoch; 0: none */
bool nl_cancelled(const nl_call *call);                            /* or past its deadline, or the host is gone */

/* The run's context, as far as the manifest's `reads` asks for it. Reading what was not sent fails the call. */
const nl_value *nl_var(nl_call *call, const char *key);
const nl_value *nl_request(nl_call *call, const char *part);
void nl_set_var(nl_call *call, const char *key, nl_value *value);
void nl_delete_var(nl_call *call, const char *key);

/* What a run shows. `data` belongs to the log line from then on and may be NULL. */
void nl_log(nl_call *call, const char *level, const char *format, ...) __attribute__((format(printf, 3, 4)));
void nl_log_data(nl_call *call, const char *level, const char *message, nl_value *data);
void nl_progress(nl_call *call, double done, double total, const char *message);
void nl_metric(nl_call *call, const char *name, double value);

/* The output in parts: it waits where the host is slow, and is false when the call is over meanwhile. With a
 * null output the parts are the output. */
bool nl_chunk(nl_call *call, nl_value *part);

/* Bytes by reference. The descriptor is the caller's; -1 after nl_fail. The value stands for the file. */
int nl_open_blob(nl_call *call, const nl_value *blob);
nl_value *nl_write_blob(nl_call *call, const void *bytes, size_t size, const char *media_type);

/* -- errors ------------------------------------------------------------------------------------------------ */

enum {
    NL_USER_ERROR = 4000,
    NL_INVALID_INPUT = 4001,
    NL_INVALID_CONFIG = 4002,
    NL_PERMISSION_DENIED = 4003,
    NL_UNKNOWN_NODE = 4004,
    NL_TOO_LARGE = 4005,
    NL_INVALID_OUTPUT = 4006,
    NL_UNSUPPORTED = 4010,
    NL_TRANSIENT = 5000,
    NL_RATE_LIMITED = 5001,
    NL_OVERLOADED = 5002,
    NL_DEADLINE = 5004,
    NL_UNAVAILABLE = 5005
};

/* The call fails with this; always NULL, to be returned. The rest adds to what nl_fail said. */
nl_value *nl_fail(nl_call *call, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
nl_value *nl_fail_as(nl_call *call, const char *dotted_code, const char *message); /* a code of your own */
void nl_fail_type(nl_call *call, const char *type);
void nl_fail_retry(nl_call *call, bool retryable);
void nl_fail_retry_after(nl_call *call, int64_t milliseconds);
void nl_fail_details(nl_call *call, nl_value *details);
void nl_fail_cause(nl_call *call, const char *type, const char *message); /* each is the last one's cause */

#ifdef __cplusplus
}
#endif
#endif
