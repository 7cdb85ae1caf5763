/* Values and their JSON, looked at from inside: nodeling.c is part of this file. */
#include "nodeling.c"

#include <assert.h>

static int looked_at;

#define CHECK(what)                                                                     \
    do {                                                                                \
        looked_at++;                                                                    \
        if (!(what)) {                                                                  \
            fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #what);    \
            exit(1);                                                                    \
        }                                                                               \
    } while (0)

static nl_value *read_it(const char *text) { return nl_parse(text, strlen(text), NULL, 0); }

/* What comes back when a text is read and written. */
static void comes_back(const char *text, const char *wanted) {
    nl_value *value = read_it(text);
    CHECK(value);
    char *found = nl_write(value, NULL, NULL, 0);
    if (!found || strcmp(found, wanted)) fprintf(stderr, "%s became %s\n", text, found ? found : "nothing");
    CHECK(found && !strcmp(found, wanted));
    free(found);
    nl_free(value);
}

static void is_refused(const char *text, const char *why) {
    char fault[128] = "";
    nl_value *value = nl_parse(text, strlen(text), fault, sizeof fault);
    if (value || !strstr(fault, why)) fprintf(stderr, "%s: %s\n", text, fault);
    CHECK(!value && strstr(fault, why));
}

static void test_values_come_back_as_they_were_written(void) {
    const char *same[] = {"null", "true", "false", "0", "-1", "9007199254740991", "-9007199254740991", "1.5", "0.1",
                          "1e+300", "\"\"", "\"a\"", "[]", "{}", "[[],{}]", "{\"a\":{\"b\":[1,2.5,null]}}"};
    for (size_t n = 0; n < sizeof same / sizeof *same; n++) comes_back(same[n], same[n]);
    comes_back(" [ 1 , 2 ] ", "[1,2]");
    comes_back("1.0", "1.0"); /* a number stays one, and an integer an integer */
    comes_back("-0.0", "-0.0");
    comes_back("1e2", "100.0");
    comes_back("{\"a\":1,\"b\":2,\"a\":3}", "{\"b\":2,\"a\":3}");
    comes_back("\"\\u00e9\\ud83c\\udf88\\/\"", "\"\xc3\xa9\xf0\x9f\x8e\x88/\"");
    comes_back("\"\\u0000\\n\"", "\"\\u0000\\u000a\"");
}

static void test_what_other_languages_could_not_read_is_refused(void) {
    is_refused("9007199254740992", "integer");
    is_refused("-9007199254740992", "integer");
    is_refused("[123456789012345678901234567890]", "integer");
    is_refused("1e400", "too large");
    is_refused("\"\\ud800\"", "lone surrogate");
    is_refused("{\"\\udc00\":1}", "lone surrogate");
    const char *bad[] = {"", "[", "]", "[1", "[1,", "[1,]", "{\"a\"", "{\"a\":", "{\"a\":1,}", "{a:1}", "01", "+1", ".5",
                         "1.", "1e", "0x1", "NaN", "-", "nul", "truee", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "\"\t\"",
                         "\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\x80\"", "\"\xf4\x90\x80\x80\"", "1 2", "[1]x", "/*c*/1"};
    for (size_t n = 0; n < sizeof bad / sizeof *bad; n++) is_refused(bad[n], "");
}

static void nest(char *text, int depth) {
    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    text[2 * depth] = 0;
}

static void test_depth_is_counted_and_never_descended_into(void) {
    static char text[2 * 200000 + 1];
    nest(text, 64);
    comes_back(text, text);
    nest(text, 65);
    is_refused(text, "64 levels");
    nest(text, 200000);
    is_refused(text, "64 levels");
    is_refused("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]]", "");
    nl_value *deep = nl_list();
    for (int n = 0; n < 64; n++) {
        nl_value *outer = nl_list();
        nl_push(outer, deep);
        deep = outer;
    }
    char fault[128];
    CHECK(!nl_write(deep, NULL, fault, sizeof fault) && strstr(fault, "64 levels"));
    nl_free(deep);
}

static void test_what_cannot_travel_is_not_written(void) {
    nl_value *wrong[] = {nl_number(NAN), nl_number(INFINITY), nl_integer(NL_LARGEST_INTEGER + 1), nl_text("\xff"), nl_text_of("\xed\xa0\x80", 3)};
    for (size_t n = 0; n < sizeof wrong / sizeof *wrong; n++) {
        nl_value *list = nl_list();
        nl_push(list, wrong[n]);
        char fault[128] = "";
        CHECK(!nl_write(list, NULL, fault, sizeof fault) && *fault);
        nl_free(list);
    }
}

static void test_doubles_survive(void) {
    double edges[] = {0.1, 1.0 / 3, 1e308, 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308, 123456789.123, 1e15, 1e16, 1e21, -1e-7};
    for (size_t n = 0; n < sizeof edges / sizeof *edges; n++) {
        nl_value *value = nl_number(edges[n]);
        size_t size;
        char *text = nl_write(value, &size, NULL, 0);
        nl_value *again = nl_parse(text, size, NULL, 0);
        CHECK(nl_is(again, NL_NUMBER) && nl_as_number(again, 0) == edges[n]);
        free(text);
        nl_free(value);
        nl_free(again);
    }
}

static void test_numbers_have_a_point_in_every_locale(void) {
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) return; /* not installed here */
    comes_back("[1.5,2.5e+30]", "[1.5,2.5e+30]");
    setlocale(LC_NUMERIC, "C");
}

static void test_objects_and_lists_are_read_without_guards(void) {
    nl_value *value = read_it("{\"list\":[1,\"two\",{\"three\":3}],\"text\":\"a\\u0000b\"}");
    size_t size = 0;
    CHECK(nl_size(value) == 2 && nl_size(nl_get(value, "list")) == 3);
    CHECK(nl_as_integer(nl_get(nl_at(nl_get(value, "list"), 2), "three"), -1) == 3);
    CHECK(nl_as_text(nl_get(value, "text"), &size) && size == 3);
    CHECK(!nl_get(value, "none") && !nl_get(nl_get(value, "none"), "deeper") && nl_size(NULL) == 0);
    CHECK(nl_as_integer(nl_get(value, "text"), 7) == 7 && nl_as_number(NULL, 2.5) == 2.5 && nl_as_bool(NULL, true));
    CHECK(!strcmp(nl_name_at(value, 1, &size), "text") && size == 4 && !nl_name_at(value, 2, NULL));
    nl_value *copy = nl_copy(value);
    nl_set(copy, "text", nl_null());
    nl_set(copy, "more", nl_bool(true));
    char *text = nl_write(copy, NULL, NULL, 0), *before = nl_write(value, NULL, NULL, 0);
    CHECK(!strcmp(text, "{\"list\":[1,\"two\",{\"three\":3}],\"text\":null,\"more\":true}"));
    CHECK(strstr(before, "a\\u0000b"));
    free(text);
    free(before);
    nl_free(copy);
    nl_free(value);
    nl_free(NULL);
}

static void test_a_call_keeps_its_last_word_on_each_variable(void) {
    nl_call call = {0};
    call.params = nl_object();
    nl_set_var(&call, "a", nl_integer(1));
    nl_set_var(&call, "a", nl_integer(2));
    nl_set_var(&call, "b", nl_integer(3));
    nl_delete_var(&call, "b");
    nl_delete_var(&call, "c");
    nl_set_var(&call, "c", nl_null());
    char *vars = nl_write(call.vars, NULL, NULL, 0), *deleted = nl_write(call.deleted, NULL, NULL, 0);
    CHECK(!strcmp(vars, "{\"a\":2,\"c\":null}") && !strcmp(deleted, "[\"b\"]"));
    free(vars);
    free(deleted);
    nl_free(call.vars);
    nl_free(call.deleted);
    nl_free(call.params);
}

static void test_secrets_are_masked_wherever_they_stand(void) {
    nl_call call = {0};
    call.params = read_it("{\"secrets\":{\"A\":\"hunter2\",\"B\":\"\",\"C\":7}}");
    nl_value *value = read_it("{\"url\":[\"https://u:hunter2@h/hunter2\"],\"n\":1}");
    mask_value(&call, value);
    char *text = nl_write(value, NULL, NULL, 0);
    CHECK(!strcmp(text, "{\"url\":[\"https://u:***@h/***\"],\"n\":1}"));
    free(text);
    nl_free(value);
    nl_free(call.params);
}

static void test_reads_covers_names_and_stars(void) {
    W.reads = "vars.limit,request.*";
    CHECK(reads("vars", "limit") && reads("request", "body"));
    CHECK(!reads("vars", "lim") && !reads("vars", "limits") && !reads("requests", "x"));
    W.reads = NULL;
    CHECK(!reads("vars", "limit"));
}

static void test_any_bytes_are_read_or_refused(void) {
    static const char letters[] = "[]{}\",:0123456789.eE+-truefalsn\\u \n\xc3\xa9\xff";
    unsigned state = 20240229;
    for (int round = 0; round < 200000; round++) {
        char text[24];
        size_t size = 0;
        for (; size < sizeof text; size++) {
            state = state * 1664525u + 1013904223u;
            if (state >> 28 == 0) break;
            text[size] = letters[(state >> 16) % (sizeof letters - 1)];
        }
        nl_value *value = nl_parse(text, size, NULL, 0);
        char *again = value ? nl_write(value, NULL, NULL, 0) : NULL;
        if (value && !again) CHECK(!"what was read can be written");
        free(again);
        nl_free(value);
    }
    looked_at++;
}

int main(void) {
    test_values_come_back_as_they_were_written();
    test_what_other_languages_could_not_read_is_refused();
    test_depth_is_counted_and_never_descended_into();
    test_what_cannot_travel_is_not_written();
    test_doubles_survive();
    test_numbers_have_a_point_in_every_locale();
    test_objects_and_lists_are_read_without_guards();
    test_a_call_keeps_its_last_word_on_each_variable();
    test_secrets_are_masked_wherever_they_stand();
    test_reads_covers_names_and_stars();
    test_any_bytes_are_read_or_refused();
    printf("%d checks passed\n", looked_at);
    return 0;
}
