/* The kitchen sink: one node that does, on demand, everything the conformance cases look at.
 *
 * Every SDK ships the same one. `input.do` says what; the rest of `input` says how.
 */
#define _GNU_SOURCE
#include "nodeling.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char *text_of(const nl_value *input, const char *name, const char *otherwise) {
    const char *found = nl_as_text(nl_get(input, name), NULL);
    return found ? found : otherwise;
}

static int64_t whole_of(const nl_value *input, const char *name, int64_t otherwise) {
    return nl_as_integer(nl_get(input, name), otherwise);
}

static double seconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void nap(double length) {
    struct timespec rest = {(time_t)length, (long)((length - floor(length)) * 1e9)};
    while (nanosleep(&rest, &rest) && errno == EINTR) continue;
}

static nl_value *value_or_null(const nl_value *input) {
    const nl_value *found = nl_get(input, "value");
    return found ? nl_copy(found) : nl_null();
}

static nl_value *echo(nl_call *call, const nl_value *input) {
    (void)call;
    return value_or_null(input);
}

static nl_value *sum(nl_call *call, const nl_value *input) {
    (void)call;
    const nl_value *values = nl_get(input, "values");
    double total = 0;
    for (size_t n = 0; n < nl_size(values); n++) total += nl_as_number(nl_at(values, n), 0);
    return total == floor(total) ? nl_integer((int64_t)total) : nl_number(total);
}

static nl_value *doze(nl_call *call, const nl_value *input) {
    nl_log(call, "info", "started");
    double end = seconds() + (double)whole_of(input, "ms", 0) / 1000;
    while (seconds() < end && !nl_cancelled(call)) nap(0.005);
    return value_or_null(input);
}

static nl_value *spin(nl_call *call, const nl_value *input) {
    nl_log(call, "info", "started");
    double end = seconds() + (double)whole_of(input, "ms", 0) / 1000;
    while (seconds() < end) continue;
    return nl_null();
}

static nl_value *ignore_cancel(nl_call *call, const nl_value *input) {
    nl_log(call, "info", "started");
    nap((double)whole_of(input, "ms", 0) / 1000);
    return nl_text("ignored");
}

static nl_value *fail(nl_call *call, const nl_value *input) {
    const char *message = text_of(input, "message", "failed");
    const nl_value *code = nl_get(input, "code"), *retry = nl_get(input, "retryable"), *wait = nl_get(input, "retry_after_ms");
    const nl_value *details = nl_get(input, "details");
    if (nl_is(code, NL_TEXT)) nl_fail_as(call, nl_as_text(code, NULL), message);
    else nl_fail(call, (int)nl_as_integer(code, NL_USER_ERROR), "%s", message);
    if (retry) nl_fail_retry(call, nl_as_bool(retry, false));
    if (wait) nl_fail_retry_after(call, nl_as_integer(wait, 0));
    if (details) nl_fail_details(call, nl_copy(details));
    for (int64_t n = 1; n <= whole_of(input, "causes", 0); n++) {
        char cause[32];
        snprintf(cause, sizeof cause, "cause %lld", (long long)n);
        nl_fail_cause(call, "ValueError", cause);
    }
    return NULL;
}

static nl_value *crash(nl_call *call, const nl_value *input) {
    (void)call;
    if (nl_get(input, "signal")) {
        kill(getpid(), (int)whole_of(input, "signal", SIGKILL));
        pause();
    }
    _exit((int)whole_of(input, "exit", 1));
}

/* Write `text` as Latin-1, so that any byte can be asked for. */
static void write_latin(int fd, const char *text, size_t size) {
    for (size_t n = 0; n < size; n++) {
        unsigned char c = (unsigned char)text[n];
        if (c >= 0xc2 && c <= 0xc3 && n + 1 < size) c = (unsigned char)((c & 3) << 6 | (text[++n] & 0x3f));
        if (write(fd, &c, 1) < 0) return;
    }
}

static nl_value *print(nl_call *call, const nl_value *input) {
    (void)call;
    size_t size = 0;
    const char *text = nl_as_text(nl_get(input, "text"), &size), *how = text_of(input, "how", "line");
    int64_t times = whole_of(input, "times", 1);
    for (int64_t n = 0; n < times; n++) {
        if (!strcmp(how, "native")) dprintf(1, "%s\n", text);
        else if (!strcmp(how, "stderr")) write_latin(2, text, size);
        else printf("%s%s", text, strcmp(how, "line") ? "" : "\n");
    }
    return nl_integer(times);
}

static nl_value *letters(char letter, size_t size) {
    char *bytes = malloc(size + 1);
    if (!bytes) abort();
    memset(bytes, letter, size);
    nl_value *found = nl_text_of(bytes, size);
    free(bytes);
    return found;
}

static nl_value *spawn_print(nl_call *call, const nl_value *input) {
    (void)call;
    char script[160];
    snprintf(script, sizeof script, "n=0; while [ $n -lt %lld ]; do echo grandchild $n %s; n=$((n+1)); done",
             (long long)whole_of(input, "lines", 0), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    int status = system(script);
    nl_value *found = nl_object();
    nl_set(found, "text", letters('y', (size_t)whole_of(input, "bytes", 0)));
    nl_set(found, "exit", nl_integer(WIFEXITED(status) ? WEXITSTATUS(status) : -1));
    return found;
}

static nl_value *big(nl_call *call, const nl_value *input) {
    (void)call;
    return letters('z', (size_t)whole_of(input, "bytes", 0));
}

static nl_value *blob(nl_call *call, const nl_value *input) {
    int fd = nl_open_blob(call, nl_get(input, "value"));
    if (fd < 0) return NULL;
    char bytes[4096];
    int64_t total = 0;
    for (ssize_t count; (count = read(fd, bytes, sizeof bytes)) > 0;) total += count;
    close(fd);
    nl_value *found = nl_object();
    nl_set(found, "bytes", nl_integer(total));
    return found;
}

static nl_value *write_log(nl_call *call, const nl_value *input) {
    const nl_value *data = nl_get(input, "data");
    for (int64_t n = whole_of(input, "times", 1); n > 0; n--) {
        nl_log_data(call, text_of(input, "level", "info"), text_of(input, "message", ""), nl_copy(data));
    }
    return nl_null();
}

static nl_value *progress(nl_call *call, const nl_value *input) {
    int64_t times = whole_of(input, "times", 0);
    for (int64_t n = 0; n < times; n++) nl_progress(call, (double)(n + 1), (double)times, "working");
    return nl_integer(times);
}

static nl_value *stream(nl_call *call, const nl_value *input) {
    int64_t count = whole_of(input, "n", 0);
    const nl_value *bytes = nl_get(input, "bytes"), *returns = nl_get(input, "returns");
    for (int64_t n = 0; n < count; n++) {
        nl_value *part = nl_object();
        nl_set(part, "n", nl_integer(n));
        if (bytes) nl_set(part, "text", letters('x', (size_t)nl_as_integer(bytes, 0)));
        if (!nl_chunk(call, part)) return NULL;
    }
    if (returns) return nl_copy(returns);
    return count ? nl_null() : nl_list();
}

static nl_value *read_stdin(nl_call *call, const nl_value *input) {
    (void)call, (void)input;
    char bytes[101];
    ssize_t count = read(0, bytes, 100);
    nl_value *found = nl_object();
    nl_set(found, "native", nl_text_of(bytes, count > 0 ? (size_t)count : 0));
    return found;
}

static nl_value *leak_child(nl_call *call, const nl_value *input) {
    char count[32];
    snprintf(count, sizeof count, "%lld", (long long)whole_of(input, "seconds", 0));
    pid_t child = fork();
    if (child < 0) return nl_fail(call, NL_TRANSIENT, "no child: %s", strerror(errno));
    if (!child) {
        execlp("sleep", "sleep", count, (char *)NULL);
        _exit(127);
    }
    return nl_integer(child);
}

static nl_value *about(nl_call *call, const nl_value *input) {
    (void)input;
    nl_value *found = nl_object();
    nl_set(found, "config", nl_copy(nl_config(call)));
    nl_set(found, "secrets", nl_copy(nl_secrets(call)));
    nl_set(found, "run_id", nl_text(nl_run_id(call)));
    nl_set(found, "step", nl_text(nl_step(call)));
    nl_set(found, "attempt", nl_integer(nl_attempt(call)));
    nl_set(found, "idempotency_key", nl_text(nl_idempotency_key(call)));
    nl_set(found, "deadline", nl_deadline(call) > 0 ? nl_number(nl_deadline(call)) : nl_null());
    return found;
}

static nl_value *work_dir(nl_call *call, const nl_value *input) {
    (void)input;
    char path[4096];
    snprintf(path, sizeof path, "%s/made.txt", nl_work_dir(call));
    FILE *file = fopen(path, "we");
    if (!file) return nl_fail(call, NL_TRANSIENT, "%s: %s", path, strerror(errno));
    fputs("here", file);
    fclose(file);
    return nl_text(nl_work_dir(call));
}

static nl_value *write_vars(nl_call *call, const nl_value *input) {
    const nl_value *set = nl_get(input, "set"), *delete = nl_get(input, "delete");
    for (size_t n = 0; n < nl_size(set); n++) nl_set_var(call, nl_name_at(set, n, NULL), nl_copy(nl_at(set, n)));
    for (size_t n = 0; n < nl_size(delete); n++) nl_delete_var(call, nl_as_text(nl_at(delete, n), NULL));
    return nl_null();
}

static nl_value *read_vars(nl_call *call, const nl_value *input) {
    const nl_value *keys = nl_get(input, "vars");
    nl_value *found = nl_object(), *vars = nl_object();
    nl_set(found, "vars", vars);
    for (size_t n = 0; n < nl_size(keys); n++) {
        const char *key = nl_as_text(nl_at(keys, n), NULL);
        const nl_value *value = nl_var(call, key);
        nl_set(vars, key, value ? nl_copy(value) : nl_null());
    }
    if (nl_as_bool(nl_get(input, "body"), false)) {
        const nl_value *body = nl_request(call, "body");
        nl_set(found, "body", body ? nl_copy(body) : nl_null());
    }
    return found;
}

static nl_value *metric(nl_call *call, const nl_value *input) {
    nl_metric(call, text_of(input, "name", ""), nl_as_number(nl_get(input, "value"), 0));
    return nl_null();
}

/* An output that cannot travel. Where C has no such thing, its nearest. */
static nl_value *odd(nl_call *call, const nl_value *input) {
    (void)call;
    const char *what = text_of(input, "what", "");
    nl_value *found = nl_object(), *deep = nl_list();
    nl_set(found, "deep", deep);
    if (!strcmp(what, "nan")) nl_push(deep, nl_number(NAN));
    if (!strcmp(what, "infinity")) nl_push(deep, nl_number(INFINITY));
    if (!strcmp(what, "integer")) nl_push(deep, nl_integer(NL_LARGEST_INTEGER + 1));
    if (!strcmp(what, "bytes")) nl_push(deep, nl_text_of("\xff\xfe", 2));
    if (!strcmp(what, "surrogate")) nl_push(deep, nl_text_of("\xed\xa0\x80", 3));
    if (!strcmp(what, "key")) nl_set(found, "\xff", nl_null());
    for (int n = 0; !strcmp(what, "object") && n < NL_DEEPEST; n++) {
        nl_value *inner = nl_list();
        nl_push(deep, inner);
        deep = inner;
    }
    return found;
}

static nl_value *environment(nl_call *call, const nl_value *input) {
    (void)call, (void)input;
    nl_value *names = nl_list(), *inheritable = nl_list(), *found = nl_object();
    for (char **at = environ; *at; at++) nl_push(names, nl_text_of(*at, strcspn(*at, "=")));
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFD);
        if (fd > 2 && flags >= 0 && !(flags & FD_CLOEXEC)) nl_push(inheritable, nl_integer(fd));
    }
    if (folder) closedir(folder);
    nl_set(found, "names", names);
    nl_set(found, "inheritable", inheritable);
    return found;
}

static const struct {
    const char *name;
    nl_handler handler;
} actions[] = {
    {"about", about},
    {"big", big},
    {"blob", blob},
    {"crash", crash},
    {"echo", echo},
    {"environment", environment},
    {"fail", fail},
    {"ignore_cancel", ignore_cancel},
    {"leak_child", leak_child},
    {"log", write_log},
    {"metric", metric},
    {"odd", odd},
    {"print", print},
    {"progress", progress},
    {"read", read_vars},
    {"read_stdin", read_stdin},
    {"sleep", doze},
    {"spawn_print", spawn_print},
    {"spin", spin},
    {"stream", stream},
    {"sum", sum},
    {"work_dir", work_dir},
    {"write", write_vars},
};

static nl_value *run(nl_call *call, const nl_value *input) {
    const char *what = text_of(input, "do", "");
    for (size_t n = 0; n < sizeof actions / sizeof *actions; n++)
        if (!strcmp(actions[n].name, what)) return actions[n].handler(call, input);
    return nl_fail(call, NL_INVALID_INPUT, "there is no action '%s'", what);
}

int main(int argc, char **argv) {
    printf("kitchen sink imported\n"); /* a node that prints before it serves must hurt nobody */
    return nl_serve(argc, argv, run);
}
