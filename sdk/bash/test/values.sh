#!/usr/bin/env bash
# What the functions of nodeling.sh make of texts and of JSON: `bash test/values.sh`.
. "${BASH_SOURCE[0]%/*}/../nodeling.sh"
export LC_ALL=C.UTF-8

passed=0 failed=0
is() { # WHAT FOUND WANTED
  if [[ $2 == "$3" ]]; then
    ((passed += 1))
  else
    ((failed += 1))
    printf 'not ok: %s\n  found  %q\n  wanted %q\n' "$1" "$2" "$3"
  fi
}

for text in '' plain 'a"b\c/d' $'tab\there' $'two\nlines\r' 'é€😀' '\u0041' '\\' '"' "it's \$HOME" $'\x01\x1f\x7f' '\\n' '\"\\"'; do
  nodeling_quote "$text"
  nodeling_text "$REPLY"
  is "round trip of $(printf %q "$text")" "$REPLY" "$text"
done

nodeling_text '"\u00e9\ud83d\ude00\/ \\ud83d \t|\b"'
is 'escapes' "$REPLY" $'é😀/ \\ud83d \t|\b'
for json in 12 -0.5 true null '[1, "a"]' '{"a": "\n"}'; do
  nodeling_text "$json"
  is "what is no text stays: $json" "$REPLY" "$json"
done

nodeling_members ' { "a" : 1 , "b\"c" : "x,y}" ,"d":[{"a":2},"]"], "":null, "e": {"f": "\\"} } '
is 'a number' "${MEMBERS[a.]}" 1
is 'an escaped name' "${MEMBERS['b\"c.']}" '"x,y}"'
is 'a list' "${MEMBERS[d.]}" '[{"a":2},"]"]'
is 'the empty name' "${MEMBERS[.]}" null
is 'a text that ends in a backslash' "${MEMBERS[e.]}" '{"f": "\\"}'
is 'no more' "${#MEMBERS[@]}" 5
nodeling_members '{"a":1,"a":2}'
is 'the last of two' "${MEMBERS[a.]}" 2
nodeling_members '{}'
is 'an empty object' "$? ${#MEMBERS[@]}" '0 0'
for wrong in '' '[]' '{' '{"a":1' '{"a":"' 'x{}' '{}x' '{"a":1}}' '"{}"' 12; do
  nodeling_members "$wrong"
  is "no object: $wrong" "$?" 1
done

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
